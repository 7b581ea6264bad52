import { errorOf } from '../core/errors.js';

/** What was opened, in order: closed in the opposite one, each once, whatever happens to the others. */
export class Opened {
  readonly #closing: (() => Promise<unknown>)[] = [];

  add(close: () => Promise<unknown>): void {
    this.#closing.push(close);
  }

  /** Rejects with the first failure, when all have been tried. */
  async close(): Promise<void> {
    let failure: unknown;
    for (let undo = this.#closing.pop(); undo !== undefined; undo = this.#closing.pop()) {
      // One part that fails to close must not keep the others open.
      await undo().catch((error: unknown) => (failure ??= error));
    }
    if (failure !== undefined) throw errorOf(failure);
  }
}

/** A promise that only ever rejects, and counts as handled. */
export function failureSignal(): { failed: Promise<never>; fail: (error: unknown) => void } {
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  return { failed, fail };
}
