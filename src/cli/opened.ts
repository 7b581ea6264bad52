import { errorOf } from '../core/errors.js';

/** What is being closed, in words; undefined where whoever closes it has nothing left to wait for. */
type What = string | (() => string | undefined);

/** What was opened, in order: closed in the opposite one, each once, whatever happens to the others. */
export class Opened {
  readonly #parts: { readonly what: What; readonly close: () => Promise<unknown> }[] = [];
  #closing: What | undefined;

  /** @param what for who waits until it is closed; of parts that have parts, which of those it is now */
  add(what: What, close: () => Promise<unknown>): void {
    this.#parts.push({ what, close });
  }

  /** What `close` is waiting for, in words; undefined while nothing is being closed. */
  get closing(): string | undefined {
    return typeof this.#closing === 'function' ? this.#closing() : this.#closing;
  }

  /** Rejects with the first failure, when all have been tried. */
  async close(): Promise<void> {
    let failure: unknown;
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      this.#closing = part.what;
      // One part that fails to close must not keep the others open.
      await part.close().catch((error: unknown) => (failure ??= error));
    }
    this.#closing = undefined;
    if (failure !== undefined) throw errorOf(failure);
  }
}

/** What both give; also when one fails, both have ended by then, and what they have opened is known. */
export async function bothEnded<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
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
