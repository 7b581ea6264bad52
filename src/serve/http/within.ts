/** A bounded wait: nothing that a request asks for may keep it for ever. */
import type { Clock } from '../../core/clock.js';

/** What the promise gives, or undefined when it has not by then. It rejects as the promise does; later, unheard. */
export async function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> {
  let cancel: () => void = () => undefined;
  const late = new Promise<undefined>((resolve) => {
    cancel = clock.after(ms, () => {
      resolve(undefined);
    });
  });
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}
