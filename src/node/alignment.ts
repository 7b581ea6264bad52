/**
 * How far partitions take input in a turn of a replay: nobody goes on to a pane that the slowest has not come to. So they close a
 * minute together, what they tell each other of it merges, and nobody holds minutes that nobody can close yet.
 *
 * Source: watermark alignment of Apache Flink, FLIP-182.
 */

/** A partition that has input to take. */
interface Taking {
  /** Event time, ms UTC. */
  readonly watermarkMs: number;
}

export class Alignment {
  readonly #paneMs: number;
  /** Of the slowest at the last look, when others were held back for it. */
  #slowestMs = Number.NaN;

  constructor(paneMs: number) {
    this.#paneMs = paneMs;
  }

  /**
   * Event time up to which those that have input take it in this turn, ms UTC; infinity when nobody is held back. Nobody waits twice
   * for one that stands still though it takes input, such as for a producer that says nothing: the others have their turn.
   */
  untilMs(taking: readonly Taking[]): number {
    const slowestMs = Math.min(...taking.map(({ watermarkMs }) => watermarkMs));
    if (taking.length === 0 || slowestMs === this.#slowestMs) {
      this.#slowestMs = Number.NaN;
      return Number.POSITIVE_INFINITY;
    }
    this.#slowestMs = slowestMs;
    return (Math.floor(slowestMs / this.#paneMs) + 1) * this.#paneMs;
  }
}
