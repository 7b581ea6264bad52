/**
 * Distributions drawn by comparing and adding only: no Math.log or Math.cos, whose last bit differs between engines, so
 * a seed gives the same city everywhere.
 */
import type { Random } from '../../core/random.js';

/** Uniform in [low, high). */
export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random.next();
}

/** Uniform among 0 … n-1. */
export function below(random: Random, n: number): number {
  return Math.floor(random.next() * n);
}

/** A bell of mean 0, variance 1, never beyond ±3.47: the sum of four uniforms. */
export function bell(random: Random): number {
  return (random.next() + random.next() + random.next() + random.next() - 2) * Math.sqrt(3);
}

/**
 * Exponential of mean 1, exactly: the chance that a falling run that starts at x ends at an odd length is e^-x.
 *
 * Source: J. von Neumann, "Various techniques used in connection with random digits", 1951.
 */
export function exponential(random: Random): number {
  for (let whole = 0; ; whole++) {
    const first = random.next();
    let last = first;
    let length = 1;
    for (let x = random.next(); x < last; x = random.next()) {
      last = x;
      length++;
    }
    if (length % 2 === 1) return whole + first;
  }
}

/** An index with chance proportional to its weight. */
export function pick(random: Random, weights: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i]!;
  let left = random.next() * total;
  for (let i = 0; i < weights.length - 1; i++) {
    left -= weights[i]!;
    if (left < 0) return i;
  }
  return weights.length - 1;
}
