/** Which routes there are, for answers to requests that have none: the methods that the path takes, or the nearest path. */
import type { RouteOptions } from 'fastify';
import { nearest } from '../../core/nearest.js';
import { HttpProblem, notFound } from './problem.js';

/** How much of a path is looked at and shown. */
const PATH_CHARS_MAX = 120;

export class RouteTable {
  readonly #methods = new Map<string, Set<string>>();

  add({ url, method }: RouteOptions): void {
    const methods = this.#methods.get(url) ?? new Set<string>();
    for (const one of [method].flat()) methods.add(one);
    this.#methods.set(url, methods);
  }

  /** 405 when another method has such a path, else 404 with the nearest one. */
  missing(method: string, url: string): HttpProblem {
    const path = url.split(/[?#]/, 1)[0]!;
    const allowed = new Set<string>();
    for (const [pattern, methods] of this.#methods)
      if (fits(pattern, path)) for (const one of methods) allowed.add(one);
    if (allowed.size > 0) {
      const allow = [...allowed].sort().join(', ');
      return new HttpProblem(405, 'GS_USAGE', `${shown(path)} does not take ${method}.`, {
        remedy: `It takes ${allow}.`,
        headers: { allow },
      });
    }
    const short = path.slice(0, PATH_CHARS_MAX);
    const byPath = new Map([...this.#methods.keys()].map((pattern) => [filled(pattern, short), pattern]));
    const near = nearest(short, [...byPath.keys()]);
    const hint = near === undefined ? '' : `; did you mean ${byPath.get(near)!}?`;
    return notFound(
      `There is no ${shown(path)}${hint || '.'}`,
      hint === '' ? `There are ${this.#listed()}.` : undefined,
    );
  }

  #listed(): string {
    return [...this.#methods.keys()].sort().join(', ');
  }
}

function shown(path: string): string {
  return path.length > PATH_CHARS_MAX ? `${path.slice(0, PATH_CHARS_MAX)}…` : path;
}

function fits(pattern: string, path: string): boolean {
  const want = pattern.split('/');
  const have = path.split('/');
  for (let i = 0; i < want.length; i++) {
    if (want[i] === '*') return have.length > i && have.slice(i).some((part) => part !== '');
    if (have[i] === undefined) return false;
    if (want[i]!.startsWith(':') ? have[i] === '' : want[i] !== have[i]) return false;
  }
  return want.length === have.length;
}

/** A pattern with the path's own words where it takes any, so that only the fixed ones tell near from far. */
function filled(pattern: string, path: string): string {
  const have = path.split('/');
  return pattern
    .split('/')
    .map((part, i) => (part.startsWith(':') || part === '*' ? (have[i] ?? part) : part))
    .join('/');
}
