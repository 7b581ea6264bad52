/**
 * Memory for bodies (P8): reserved before they come, so that of many at once some are told to come again and not held; and
 * a few at a time become objects.
 */
import type { FastifyRequest } from 'fastify';
import { BODY_BYTES_MAX } from './limits.js';
import { tooMany } from './problem.js';

/** Bodies under way at once, by the bytes that they may come to. */
const BODIES_BYTES_MAX = 256 * 1024 * 1024;

export class BodyBudget {
  readonly #reserved = new WeakMap<FastifyRequest, number>();
  #bytes = 0;

  /** Reserves as much as the request says that it sends; all that it may send when it does not say. @throws HttpProblem 429 */
  reserve(request: FastifyRequest): void {
    const length = Number(request.headers['content-length']);
    const bytes = Number.isSafeInteger(length) ? Math.min(length, BODY_BYTES_MAX) : BODY_BYTES_MAX;
    if (this.#bytes + bytes > BODIES_BYTES_MAX)
      throw tooMany('Too many requests with large bodies are under way: nothing was taken.');
    this.#bytes += bytes;
    this.#reserved.set(request, bytes);
  }

  release(request: FastifyRequest): void {
    this.#bytes -= this.#reserved.get(request) ?? 0;
    this.#reserved.delete(request);
  }
}

/** Lets so many work at a time; the others wait in order. */
export class Turnstile {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
