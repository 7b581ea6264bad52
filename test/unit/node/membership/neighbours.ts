/** Nodes that know each other by leases in memory, in virtual time: any of them can be cut off, hang or be killed. */
import { VirtualClock, type Clock } from '../../../../src/core/clock.js';
import type { WallTimeMs } from '../../../../src/core/ids.js';
import { MemoryLeases, MemoryLeaseServer } from '../../../../src/log/memory/memory-leases.js';
import { Membership } from '../../../../src/node/membership/membership.js';
import type { NodeRecord } from '../../../../src/node/membership/record.js';
import type { MemberStatus } from '../../../../src/node/status.js';
import { turns } from '../../../support/until.js';
import { recordOf } from './records.js';

/** The clock of a process that can be stopped: what was due meanwhile is called when it goes on. */
export class ProcessClock implements Clock {
  readonly #clock: Clock;
  #stopped = false;
  #late: (() => void)[] = [];
  /** How far the machine's wall clock was set. */
  wallOffMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): WallTimeMs {
    return (this.#clock.now() + this.wallOffMs) as WallTimeMs;
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  after(delayMs: number, callback: () => void): () => void {
    let cancelled = false;
    const cancel = this.#clock.after(delayMs, () => {
      if (this.#stopped) this.#late.push(() => !cancelled && callback());
      else callback();
    });
    return () => {
      cancelled = true;
      cancel();
    };
  }

  stop(): void {
    this.#stopped = true;
  }

  goOn(): void {
    this.#stopped = false;
    for (const callback of this.#late.splice(0)) callback();
  }
}

export class Neighbour {
  readonly clock: ProcessClock;
  readonly leases: MemoryLeases;
  readonly membership: Membership;
  changes = 0;

  constructor(town: Neighbours, id: string, said: Partial<NodeRecord> = {}) {
    this.clock = new ProcessClock(town.clock);
    this.leases = new MemoryLeases(town.server);
    this.membership = new Membership({
      leases: this.leases,
      clock: this.clock,
      self: recordOf(id, said),
      onChange: () => {
        this.changes++;
      },
    });
  }

  get others(): MemberStatus[] {
    return this.membership.members().filter(({ self }) => !self);
  }

  /** Ids of the other nodes that it takes for alive. */
  get alive(): string[] {
    return this.others
      .filter(({ alive }) => alive)
      .map(({ id }) => id)
      .sort();
  }

  /** As a process that is stopped: it neither does nor hears anything. */
  hang(): void {
    this.clock.stop();
    this.leases.partitioned = true;
  }

  wake(): void {
    // What came meanwhile lies in the socket: timers that were due are called before it is read.
    this.clock.goOn();
    this.leases.partitioned = false;
  }

  /** As kill -9: for the others its lease just runs out. */
  kill(): void {
    this.hang();
  }
}

export class Neighbours {
  readonly clock = new VirtualClock(5_000_000);
  readonly server = new MemoryLeaseServer(this.clock);
  readonly all: Neighbour[] = [];

  async add(id: string, said: Partial<NodeRecord> = {}): Promise<Neighbour> {
    const node = new Neighbour(this, id, said);
    this.all.push(node);
    await this.during(node.membership.start());
    return node;
  }

  async of(...ids: string[]): Promise<Neighbour[]> {
    const nodes: Neighbour[] = [];
    for (const id of ids) nodes.push(await this.add(id));
    return nodes;
  }

  /** Lets time pass, and everything happen that is due. */
  async pass(ms: number, each: () => void = () => undefined): Promise<void> {
    const untilMs = this.clock.monotonic() + ms;
    while (this.clock.monotonic() < untilMs) {
      this.clock.advance(Math.min(20, untilMs - this.clock.monotonic()));
      await turns(1);
      each();
    }
  }

  /** Time passes until it is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    // Whoever awaits it sees the failure.
    ended.catch(() => undefined);
    await turns(2);
    for (let i = 0; i < 5_000 && !done; i++) await this.pass(20);
    return ended;
  }

  /** Time that passes until a condition holds, ms. */
  async timeUntil(condition: () => boolean): Promise<number> {
    const startedMs = this.clock.monotonic();
    while (!condition()) {
      if (this.clock.monotonic() - startedMs > 60_000) throw new Error('it never came');
      await this.pass(20);
    }
    return this.clock.monotonic() - startedMs;
  }
}
