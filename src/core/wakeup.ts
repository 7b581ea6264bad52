/** Lets a loop sleep until somebody has something for it, or a time has passed. A wake between looks is not lost. */
import type { Clock } from './clock.js';

export class Wakeup {
  readonly #clock: Clock;
  #woken = false;
  #resolve: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Forgets earlier wakes: call it before looking for work. */
  arm(): void {
    this.#woken = false;
  }

  wake(): void {
    this.#woken = true;
    this.#resolve?.();
  }

  /** Resolves at the first wake since `arm`, or after the time-out. */
  async wait(timeoutMs: number): Promise<void> {
    if (this.#woken) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(timeoutMs, resolve);
      this.#resolve = () => {
        cancel();
        resolve();
      };
    });
    this.#resolve = undefined;
  }
}
