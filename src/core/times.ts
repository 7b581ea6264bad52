/**
 * Times by name, for owners of which there are many and most have one: the first stands in the object itself. A Map for each
 * would take ten times the memory, and make its table anew whenever its only entry goes and comes back.
 */
export class Times implements Iterable<[name: string, ms: number]> {
  #name: string | undefined;
  #ms = Number.NaN;
  /** The others. */
  #more: Map<string, number> | undefined;

  constructor(times: Iterable<readonly [name: string, ms: number]> = []) {
    for (const [name, ms] of times) this.set(name, ms);
  }

  get size(): number {
    return (this.#name === undefined ? 0 : 1) + (this.#more?.size ?? 0);
  }

  get(name: string): number | undefined {
    return name === this.#name ? this.#ms : this.#more?.get(name);
  }

  set(name: string, ms: number): void {
    if (name !== this.#name && (this.#name !== undefined || this.#more?.has(name) === true)) {
      (this.#more ??= new Map<string, number>()).set(name, ms);
      return;
    }
    this.#name = name;
    this.#ms = ms;
  }

  delete(name: string): void {
    if (name === this.#name) this.#name = undefined;
    else this.#more?.delete(name);
  }

  /** The name with the earliest time at or before a limit; of equal times, the first of the names. */
  firstBy(limitMs: number): string | undefined {
    let first = this.#name !== undefined && this.#ms <= limitMs ? this.#name : undefined;
    if (this.#more === undefined) return first;
    let firstMs = first === undefined ? Number.POSITIVE_INFINITY : this.#ms;
    for (const [name, ms] of this.#more) {
      if (ms > limitMs || ms > firstMs || (ms === firstMs && name > first!)) continue;
      first = name;
      firstMs = ms;
    }
    return first;
  }

  forEach(see: (ms: number, name: string) => void): void {
    if (this.#name !== undefined) see(this.#ms, this.#name);
    this.#more?.forEach(see);
  }

  *[Symbol.iterator](): Iterator<[name: string, ms: number]> {
    if (this.#name !== undefined) yield [this.#name, this.#ms];
    if (this.#more !== undefined) yield* this.#more;
  }
}
