/**
 * The port to a watch over handlers: a call that takes too long is broken off. `node/handler-guard.ts` is the real one;
 * without one, nothing is watched, and a handler that never returns holds up its node for ever.
 */
import { GroundswellError } from '../core/errors.js';

export interface HandlerGuard {
  /**
   * Calls `what`, and breaks it off where it stands when it takes longer than the limit: no `catch` and no `finally` within
   * it runs any more, so that nothing it was changing can be relied on.
   * @throws HandlerTimeout when it was broken off
   */
  run<T>(limitMs: number, what: () => T): T;
}

/** A call was broken off. */
export class HandlerTimeout extends GroundswellError {
  /** The process had hardly any processor time meanwhile: it was stopped, or others had the machine. Nobody's fault. */
  readonly starved: boolean;

  constructor(limitMs: number, starved: boolean) {
    super('GS_HANDLER_TIME', `A handler was broken off: it took longer than ${limitMs} ms.`);
    this.starved = starved;
  }
}
