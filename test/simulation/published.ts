/**
 * Watches what is published: each row once for each of its revisions, and none before the commit that it is of is stored
 * (P3, P4). Afterwards all must be there.
 */
import { decodeOutput } from '../../src/partition/output.js';
import { subjects } from '../support/engine.js';
import type { Audit } from './audit.js';
import type { SimStream } from './sim-stream.js';

interface Named {
  readonly level: string;
  readonly key: string;
  readonly window: string;
  readonly start: number;
  readonly rev: number;
}

const nameOf = ({ level, key, window, start, rev }: Named): string =>
  `${level} ${key} ${window} ${start} rev ${rev}`;
const decoder = new TextDecoder();
const AGGREGATES = subjects.aggregateSubjects[0]!.replace('>', '');

export class PublishedWatch {
  readonly #audit: Audit;
  readonly #committed = new Set<string>();
  readonly #published = new Set<string>();
  #late = 0;
  #told = 0;

  constructor(engine: SimStream, aggregates: SimStream, sides: SimStream, audit: Audit) {
    this.#audit = audit;
    follow(engine, (subject, payload) => {
      if (!subject.endsWith('.out')) return;
      const frame = decodeOutput(payload);
      for (const row of frame.rows) this.#committed.add(nameOf(row));
      this.#told += frame.sides.length;
    });
    follow(aggregates, (subject, payload) => {
      if (subject.startsWith(AGGREGATES)) this.#row(nameOf(JSON.parse(decoder.decode(payload)) as Named));
    });
    follow(sides, (subject) => {
      if (!subject.includes('.cursor.')) this.#late++;
    });
  }

  /** All that was committed is published. A batch whose answer was lost takes its time. */
  get whole(): boolean {
    for (const name of this.#committed) if (!this.#published.has(name)) return false;
    return true;
  }

  /** To be called when everything has come to rest. */
  check(): void {
    for (const name of this.#committed)
      if (!this.#published.has(name)) this.#audit.violate('rows', `${name} was never published`);
    if (this.#late !== this.#told)
      this.#audit.violate(
        'effects',
        `${this.#late} side outputs are published, ${this.#told} were committed`,
      );
  }

  #row(name: string): void {
    if (!this.#committed.has(name)) this.#audit.violate('early', `${name} is published and not committed`);
    if (this.#published.has(name)) this.#audit.violate('repeated-row', `${name} is published twice`);
    this.#published.add(name);
  }
}

function follow(stream: SimStream, see: (subject: string, payload: Uint8Array) => void): void {
  let seen = 0;
  stream.listen(() => {
    while (seen < stream.batches.length)
      for (const { subject, payload } of stream.batches[seen++]!.messages) see(subject, payload);
  });
}
