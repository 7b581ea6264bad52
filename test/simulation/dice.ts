/**
 * Chance of a simulation: everything that is left open is decided here, from the seed. Each purpose has dice of its own, so
 * that switching one kind of fault off leaves the throws of the others as they were.
 */
import { seededRandom, type Random } from '../../src/core/random.js';
import { fnv1a32 } from '../../src/core/hash.js';

export class Dice {
  readonly #random: Random;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seededRandom(seed);
  }

  /** Dice for one purpose. */
  of(purpose: string): Dice {
    return new Dice((fnv1a32(`${purpose} ${this.#seed}`) ^ this.#seed) >>> 0);
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.#random.next();
  }

  /** True with a probability; no throw is made for what can never be. */
  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  /** A whole number, both ends included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)]!;
  }

  /** Waiting time until something that happens once per `mean` on average. */
  wait(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  /** The same things in another order. */
  shuffle<T>(list: readonly T[]): T[] {
    const copy = [...list];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [copy[i], copy[j]] = [copy[j]!, copy[i]!];
    }
    return copy;
  }
}
