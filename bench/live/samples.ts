/** Times that were measured, and their quantiles. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export class Samples {
  readonly #values: number[] = [];

  add(value: number): void {
    this.#values.push(value);
  }

  /** Undefined when nothing was measured. */
  quantiles(): Quantiles | undefined {
    const sorted = Float64Array.from(this.#values).sort();
    const count = sorted.length;
    if (count === 0) return undefined;
    // Nearest rank: a value that was measured.
    const at = (q: number): number => sorted[Math.max(0, Math.ceil(q * count) - 1)]!;
    return { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted[count - 1]! };
  }
}
