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

interface Closable {
  close(): Promise<unknown>;
}

/** Two things that are opened at the same time: both, or neither. Of two failures the first one's is told. */
export async function openTogether<A extends Closable, B extends Closable | undefined>(
  first: Promise<A>,
  second: Promise<B>,
): Promise<[A, B]> {
  const settled = await Promise.allSettled([first, second]);
  const [one, other] = settled;
  if (one.status === 'fulfilled' && other.status === 'fulfilled') return [one.value, other.value];
  for (const each of settled)
    if (each.status === 'fulfilled') await each.value?.close().catch(() => undefined);
  throw errorOf((one.status === 'rejected' ? one : (other as PromiseRejectedResult)).reason);
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
