/**
 * Leases in memory, over a clock: for unit and simulation tests. `MemoryLeaseServer` is what all see; each node has a
 * `MemoryLeases` of its own, which can be cut off from it. All is told in the order of microtasks, so the same run goes
 * the same way.
 */
import type { Clock } from '../../core/clock.js';
import { GroundswellError } from '../../core/errors.js';
import type { Lease, LeaseChange, LeaseOutcome, Leases, LeaseWrite } from '../leases.js';

export class MemoryLeaseServer {
  readonly #clock: Clock;
  readonly #leases = new Map<string, { readonly lease: Lease; readonly forget: () => void }>();
  readonly #listeners = new Set<() => void>();
  #seq = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** All that there are now, oldest write first. */
  get leases(): Lease[] {
    return [...this.#leases.values()].map(({ lease }) => lease).sort((a, b) => a.seq - b.seq);
  }

  write({ name, value, ttlMs, expectSeq }: LeaseWrite): LeaseOutcome {
    const had = this.#leases.get(name);
    if (expectSeq !== undefined && (had?.lease.seq ?? 0) !== expectSeq) return { outcome: 'stale' };
    had?.forget();
    const lease = { name, value: new Uint8Array(value), seq: ++this.#seq };
    const forget = this.#clock.after(ttlMs, () => {
      this.remove(name);
    });
    this.#leases.set(name, { lease, forget });
    this.#changed();
    return { outcome: 'written', seq: lease.seq };
  }

  remove(name: string): void {
    this.#leases.get(name)?.forget();
    if (this.#leases.delete(name)) this.#changed();
  }

  /** Calls back after each change; the returned function ends it. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** One node's way to the server. */
export class MemoryLeases implements Leases {
  readonly #server: MemoryLeaseServer;
  readonly #watchers = new Set<Watcher>();
  #partitioned = false;
  /** What is written is stored, and no answer comes. */
  losesAnswers = false;

  constructor(server: MemoryLeaseServer) {
    this.#server = server;
  }

  /** Cut off from the server: nothing goes out, and nothing is heard. Afterwards the present state is. */
  get partitioned(): boolean {
    return this.#partitioned;
  }

  set partitioned(cut: boolean) {
    this.#partitioned = cut;
    for (const watcher of this.#watchers) watcher.look();
  }

  async write(write: LeaseWrite): Promise<LeaseOutcome> {
    // An answer takes its time: no caller may count on having it at once.
    await Promise.resolve();
    if (this.#partitioned) return { outcome: 'unknown', cause: 'cut off from the server' };
    const outcome = this.#server.write(write);
    return this.losesAnswers ? { outcome: 'unknown', cause: 'the answer was lost' } : outcome;
  }

  async remove(name: string): Promise<void> {
    await Promise.resolve();
    this.#reach(`The lease ${name} could not be given up`);
    this.#server.remove(name);
  }

  async list(): Promise<Lease[]> {
    await Promise.resolve();
    this.#reach('The leases could not be listed');
    return this.#server.leases;
  }

  async watch(onChange: (change: LeaseChange) => void): Promise<{ close(): Promise<void> }> {
    await Promise.resolve();
    this.#reach('The leases could not be watched');
    const watcher = new Watcher(this.#server, () => !this.#partitioned, onChange);
    this.#watchers.add(watcher);
    return {
      close: () => {
        this.#watchers.delete(watcher);
        watcher.close();
        return Promise.resolve();
      },
    };
  }

  #reach(what: string): void {
    if (this.#partitioned) throw new GroundswellError('GS_LOG', `${what}: cut off from the server.`);
  }
}

/** Tells how what the server has now differs from what was told before. */
class Watcher {
  readonly #server: MemoryLeaseServer;
  readonly #hears: () => boolean;
  readonly #onChange: (change: LeaseChange) => void;
  readonly #unlisten: () => void;
  readonly #told = new Map<string, number>();
  #looking = false;
  #closed = false;

  constructor(server: MemoryLeaseServer, hears: () => boolean, onChange: (change: LeaseChange) => void) {
    this.#server = server;
    this.#hears = hears;
    this.#onChange = onChange;
    this.#unlisten = server.listen(() => {
      this.look();
    });
    this.look();
  }

  look(): void {
    if (this.#looking) return;
    this.#looking = true;
    queueMicrotask(() => {
      this.#looking = false;
      if (this.#hears()) this.#tell();
    });
  }

  close(): void {
    this.#closed = true;
    this.#unlisten();
  }

  #tell(): void {
    const { leases } = this.#server;
    const present = new Set(leases.map(({ name }) => name));
    for (const name of [...this.#told.keys()]) {
      if (present.has(name) || this.#closed) continue;
      this.#told.delete(name);
      this.#onChange({ kind: 'gone', name });
    }
    for (const lease of leases) {
      if (this.#told.get(lease.name) === lease.seq || this.#closed) continue;
      this.#told.set(lease.name, lease.seq);
      this.#onChange({ kind: 'written', lease });
    }
  }
}
