/**
 * The live map: one feed for all who look. Each of them gets the cells there are, then, at most four times a second, those
 * that changed. Owns how much goes out at a time: a burst of changes, or a newcomer's first picture of a large region, is
 * spread over several turns (P8). What changed in between is sent once, as it is then.
 */
import type { CellSummary } from '../cell-summary.js';
import { turn } from '../turn.js';
import type { HttpFacts } from './facts.js';
import { FlowRates } from './flow-rates.js';
import type { EventStream } from './sse.js';
import { freshness } from './view-query.js';

const TICK_MS = 250;
/** The figures go out this often even when no cell changed: who looks sees that all is well. */
const QUIET_TICKS = 4;
const CELLS_PER_EVENT = 1_000;

interface Looker {
  readonly stream: EventStream;
  /** Cells that it has not been told of since it came. Empty: it is told what all are told. */
  readonly missing: Set<string>;
  /** False while it came before the view was caught up. */
  complete: boolean;
}

export class MapFeed {
  readonly #facts: HttpFacts;
  readonly #rates: FlowRates;
  readonly #lookers = new Set<Looker>();
  readonly #changed = new Set<string>();
  #quietTicks = 0;
  #leave: (() => void) | undefined;

  constructor(facts: HttpFacts) {
    this.#facts = facts;
    this.#rates = new FlowRates(facts);
  }

  join(stream: EventStream): void {
    const { view } = this.#facts;
    const missing = new Set(view.cellKeys());
    const looker: Looker = { stream, missing, complete: view.caughtUp };
    const cells = this.#take(missing);
    stream.send('map', { ...mapHead(this.#facts), rates: this.#rates.now(), cells });
    this.#lookers.add(looker);
    this.#leave ??= this.#begin();
    const drop = (): void => {
      this.#drop(looker);
    };
    stream.closed.then(drop, drop);
  }

  #begin(): () => void {
    const { view, clock } = this.#facts;
    let cancel: () => void = () => undefined;
    let over = false;
    const next = (): void => {
      cancel = clock.after(TICK_MS, () => {
        this.#tick().then(
          () => {
            if (!over) next();
          },
          () => {
            // Without figures there is no map: those who look come again, and see.
            for (const { stream } of this.#lookers) stream.close();
          },
        );
      });
    };
    const stop = view.subscribe({
      cells: (keys) => {
        for (const key of keys) this.#changed.add(key);
      },
    });
    next();
    return () => {
      over = true;
      cancel();
      stop();
    };
  }

  #drop(looker: Looker): void {
    this.#lookers.delete(looker);
    if (this.#lookers.size > 0) return;
    this.#leave?.();
    this.#leave = undefined;
    this.#changed.clear();
  }

  async #tick(): Promise<void> {
    const changed = [...this.#changed].slice(0, CELLS_PER_EVENT);
    for (const key of changed) this.#changed.delete(key);
    this.#quietTicks = changed.length > 0 ? 0 : this.#quietTicks + 1;
    const due = changed.length > 0 || this.#quietTicks >= QUIET_TICKS;
    if (due) this.#quietTicks = 0;
    let forAll: string | undefined;
    for (const looker of [...this.#lookers]) {
      const { stream, missing } = looker;
      if (!looker.complete && this.#facts.view.caughtUp) {
        looker.complete = true;
        for (const key of this.#facts.view.cellKeys()) missing.add(key);
      }
      if (missing.size > 0) {
        for (const key of changed) missing.add(key);
        stream.send('change', this.#change(this.#take(missing)));
        await turn();
      } else if (due) {
        forAll ??= this.#change(changed.map((key) => this.#facts.view.cell(key)));
        stream.send('change', forAll);
      }
    }
  }

  #take(missing: Set<string>): CellSummary[] {
    const keys = [...missing].slice(0, CELLS_PER_EVENT);
    for (const key of keys) missing.delete(key);
    return keys.map((key) => this.#facts.view.cell(key));
  }

  #change(cells: readonly CellSummary[]): string {
    return JSON.stringify({ ...figures(this.#facts), rates: this.#rates.now(), cells });
  }
}

/** What changes with time, besides the cells. */
function figures(facts: HttpFacts): object {
  const { view } = facts;
  return { ...freshness(facts), total: view.total() ?? null, liveTotal: view.liveTotal() };
}

/** All of the map but its cells. */
export function mapHead(facts: HttpFacts): object {
  const { name, timezone, cover } = facts.region;
  return { region: name, timezone, cover, bounds: facts.surgeBounds ?? null, ...figures(facts) };
}
