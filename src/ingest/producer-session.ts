/**
 * The claim of a process to a producer's id: a message on the id's session subject, of which the last one counts. Every batch of
 * the producer is stored on condition that its claim is still the last, so whoever claims the id later fences it off by the
 * stream alone (P1), whatever is under way and whatever the clocks say. Owns making the claim, and telling whether it stands.
 */
import { sleep, type Clock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Log } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import type { ProducerMode } from '../partition/watermark.js';
import type { Condition } from './unsent.js';

export interface SessionOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly id: string;
  readonly mode: ProducerMode;
}

const SESSION_FORMAT = 1;
const PATIENCE_MS = 60_000;
const RETRY_FIRST_MS = 50;
const RETRY_LONGEST_MS = 2_000;
const encoder = new TextEncoder();

export class ProducerSession {
  readonly #log: Log;
  /** What a batch is stored on. */
  readonly condition: Condition;

  /**
   * Claims an id; the last of several who do so at once has it.
   * @throws GroundswellError GS_LOG when the stream does not take the claim, GS_NATS_AUTH when the user may not make it
   */
  static async claim({ log, subjects, clock, id, mode }: SessionOptions): Promise<ProducerSession> {
    const subject = subjects.session(id);
    const startedMs = clock.monotonic();
    for (let attempt = 0; ; attempt++) {
      // Compared and set: a claim whose answer was lost cannot come after all, and fence off the one that follows it here.
      const expectLastSeq = (await log.last(subject))?.seq ?? 0;
      const text = JSON.stringify({ format: SESSION_FORMAT, mode, openedAtMs: clock.now() });
      const outcome = await log.append([{ subject, payload: encoder.encode(text), expectLastSeq }]);
      if (outcome.outcome === 'committed')
        return new ProducerSession(log, { expectSubject: subject, expectLastSeq: outcome.firstSeq });
      const final = outcome.outcome === 'refused' && !outcome.retry;
      const denied = /permissions violation/i.test(outcome.cause);
      if (final || denied || clock.monotonic() - startedMs >= PATIENCE_MS)
        throw notClaimed(id, subject, outcome.cause, denied);
      await sleep(clock, Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** attempt));
    }
  }

  private constructor(log: Log, condition: Condition) {
    this.#log = log;
    this.condition = condition;
  }

  /** No other process has claimed the id since. */
  async isOurs(): Promise<boolean> {
    const last = await this.#log.last(this.condition.expectSubject);
    return last?.seq === this.condition.expectLastSeq;
  }
}

function notClaimed(id: string, subject: string, cause: string, denied: boolean): GroundswellError {
  const message = `The producer ${id} could not be opened: ${cause}.`;
  if (!denied) return new GroundswellError('GS_LOG', message);
  return new GroundswellError('GS_NATS_AUTH', message, {
    remedy: `Give the user the right to publish on ${subject}.`,
  });
}

export function fencedOff(id: string): GroundswellError {
  return new GroundswellError('GS_FENCED', `The producer ${id} was opened again by another process.`, {
    remedy: 'Give each process a producer id of its own, or end the one that is too many.',
  });
}
