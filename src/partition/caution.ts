/**
 * How carefully a partition calls its actors. There are three degrees: as fast as can be, with calls that can be taken
 * back, and with each of these watched by itself. A failure raises it; commits without one lower it again.
 */
import { HandlerTimeout } from './handler-guard.js';
import type { CallFailed, PoisonRules } from './poison.js';

export class Caution {
  readonly #rules: PoisonRules;
  /** Commits for which it lasts. */
  #carefulFor = 0;
  #eachFor = 0;

  constructor(rules: PoisonRules) {
    this.#rules = rules;
  }

  /** Calls can be taken back. */
  get careful(): boolean {
    return this.#carefulFor > 0;
  }

  /** Each call is watched by itself. */
  get each(): boolean {
    return this.#eachFor > 0;
  }

  /** A step failed as it was made: the next degree that helps. False when there is none. */
  raise(cause: CallFailed | HandlerTimeout): boolean {
    const { carefulCommits } = this.#rules;
    if (this.each || (this.careful && !(cause instanceof HandlerTimeout))) return false;
    this.#carefulFor = carefulCommits;
    if (cause instanceof HandlerTimeout) this.#eachFor = carefulCommits;
    return true;
  }

  /** A call failed and was taken back. */
  failed(): void {
    this.#carefulFor = this.#rules.carefulCommits;
    if (this.each) this.#eachFor = this.#rules.carefulCommits;
  }

  /** A commit was made. True when the degree is another one from here on. */
  committed(): boolean {
    const { careful, each } = this;
    if (careful) this.#carefulFor--;
    if (each) this.#eachFor--;
    return careful !== this.careful || each !== this.each;
  }
}
