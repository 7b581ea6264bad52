/** Who is told of what comes into a view. A listener that fails is told nothing more; the view goes on. */
import type { Row } from '../actor/row.js';
import { messageOf } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { LiveChange } from './live-values.js';

/** Told of what comes, once the view is caught up. */
export interface ViewListener {
  rows?(rows: readonly Row[]): void;
  live?(changes: readonly LiveChange[]): void;
  /** Cells whose summary is another now; a key may come again and again. */
  cells?(keys: readonly string[]): void;
}

export class ViewListeners {
  readonly #logger: Logger;
  readonly #all = new Set<ViewListener>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get size(): number {
    return this.#all.size;
  }

  add(listener: ViewListener): () => void {
    this.#all.add(listener);
    return () => {
      this.#all.delete(listener);
    };
  }

  /** What they hear is only made when somebody listens to it. */
  tell<K extends keyof ViewListener>(what: K, make: () => Parameters<NonNullable<ViewListener[K]>>[0]): void {
    let made: ReturnType<typeof make> | undefined;
    for (const listener of this.#all) {
      if (listener[what] === undefined) continue;
      made ??= make();
      try {
        (listener[what] as (heard: typeof made) => void)(made);
      } catch (error) {
        this.#all.delete(listener);
        this.#logger.error({ error: messageOf(error) }, 'a listener of the view failed and was let go');
      }
    }
  }
}
