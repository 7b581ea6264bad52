/** Questions within one process, for tests: delivered in later turns of the event loop, as a network would. */
import type { Clock } from '../../core/clock.js';
import type { Answer, Asked, Requests } from '../requests.js';
import { messageMatches } from './match.js';

interface Listener {
  readonly subject: string;
  readonly answer: Answer;
}

/** What is asked through one is heard by all that share the hub. */
export class MemoryRequests implements Requests {
  readonly payloadBytesMax = 1024 * 1024;
  readonly #clock: Clock;
  readonly #listeners: Set<Listener>;

  constructor(clock: Clock, shared?: MemoryRequests) {
    this.#clock = clock;
    this.#listeners = shared === undefined ? new Set() : shared.#listeners;
  }

  async ask(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Asked> {
    await Promise.resolve();
    const listener = [...this.#listeners].find((one) => messageMatches(one.subject, subject));
    if (listener === undefined) return { outcome: 'nobody' };
    return new Promise((resolve) => {
      const cancel = this.#clock.after(timeoutMs, () => {
        resolve({ outcome: 'silent', cause: 'no answer in time' });
      });
      listener.answer(subject, payload.slice()).then(
        (answer) => {
          cancel();
          resolve({ outcome: 'answered', payload: answer.slice() });
        },
        () => undefined,
      );
    });
  }

  listen(subject: string, answer: Answer): Promise<{ close(): Promise<void> }> {
    const listener = { subject, answer };
    this.#listeners.add(listener);
    const close = (): Promise<void> => {
      this.#listeners.delete(listener);
      return Promise.resolve();
    };
    return Promise.resolve({ close });
  }
}
