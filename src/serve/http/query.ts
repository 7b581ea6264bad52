/**
 * The query of a request, read strictly: a parameter that is not known, given twice or out of bounds is told, not passed
 * over, so that a mistyped one never looks like an answer.
 */
import type { FastifyRequest } from 'fastify';
import { nearest } from '../../core/nearest.js';
import { badRequest } from './problem.js';

const VALUE_CHARS_MAX = 256;

export class Query {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #names: readonly string[];

  /** @throws HttpProblem 400 when the request has a parameter of another name */
  constructor(request: FastifyRequest, names: readonly string[]) {
    this.#values = (request.query ?? {}) as Record<string, unknown>;
    this.#names = names;
    for (const name of Object.keys(this.#values)) {
      if (names.includes(name)) continue;
      const near = nearest(name.slice(0, VALUE_CHARS_MAX), names);
      throw badRequest(
        `No parameter is called "${name.slice(0, 40)}"${near === undefined ? '.' : `; did you mean "${near}"?`}`,
        this.#known(),
      );
    }
  }

  /** The value as it stands; undefined when it is not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    if (typeof value !== 'string')
      throw badRequest(`The parameter "${name}" is given more than once.`, 'Give it once.');
    if (value.length > VALUE_CHARS_MAX)
      throw badRequest(
        `The parameter "${name}" is longer than ${VALUE_CHARS_MAX} characters.`,
        'Shorten it.',
      );
    return value;
  }

  /** A whole number within bounds; undefined when it is not given. */
  whole(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw badRequest(
        `The parameter "${name}" is "${text.slice(0, 40)}".`,
        `It takes a whole number from ${min} to ${max}.`,
      );
    return value;
  }

  /** A switch: `1`, `true` or nothing behind its name is on; `0`, `false` or no parameter is off. */
  flag(name: string): boolean {
    const text = this.text(name);
    if (text === undefined || text === '0' || text === 'false') return false;
    if (text === '' || text === '1' || text === 'true') return true;
    throw badRequest(`The parameter "${name}" is "${text.slice(0, 40)}".`, 'It takes 1 or 0.');
  }

  #known(): string {
    return this.#names.length === 0
      ? 'This route takes none.'
      : `This route takes ${this.#names.join(', ')}.`;
  }
}
