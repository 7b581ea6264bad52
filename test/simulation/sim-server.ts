/**
 * The simulated nats-server: streams on a disk that keeps what was acknowledged, and connections to it. It may be killed and
 * come back, lose its leader for a while, have a slow disk, cut a connection, lose what is under way on it, or store a
 * batch long after its sender has given up (P6). Duplicates do not happen: a batch has an id.
 */
import type { AppendOutcome, LogEntry } from '../../src/log/log.js';
import type { WallTimeMs } from '../../src/core/ids.js';
import { MemoryLeaseServer } from '../../src/log/memory/memory-leases.js';
import { MemoryObjects } from '../../src/log/memory/memory-objects.js';
import type { Dice } from './dice.js';
import type { Scheduler, SimProcess } from './sim-clock.js';
import { SimStream } from './sim-stream.js';

/** What may go wrong with a batch, as probabilities. */
export interface NetworkFaults {
  /** The connection is cut while the batch is under way: it may be stored, now or later, or never. */
  cut: number;
  /** Stored, or not, and no answer ever comes. */
  silence: number;
  /** Not taken for now. */
  refuse: number;
}

/** A batch that the sender has given up is stored, if ever, within so long, ms: then the server abandons it. */
export const BATCH_IDLE_MS = 10_000;
const NEVER = Number.POSITIVE_INFINITY;

interface Pending {
  readonly stream: SimStream;
  readonly entries: readonly LogEntry[];
  readonly from: string;
  answer: ((outcome: AppendOutcome) => void) | undefined;
  dropped: boolean;
}

export class SimServer {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly faults: NetworkFaults = { cut: 0, silence: 0, refuse: 0 };
  readonly streams = new Map<string, SimStream>();
  readonly connections = new Set<SimConnection>();
  /** How long a message is under way, ms, at least and at most. */
  latencyMs: readonly [number, number] = [0.1, 1];
  /** How long storing a batch takes, ms, at least and at most. */
  diskMs: readonly [number, number] = [1, 4];
  readonly #pending = new Set<Pending>();
  #up = true;
  #hasLeader = true;
  #diskFreeAtMs = 0;
  readonly #wallStartMs: number;
  /** The table of leases: run by the clock of the server. */
  readonly leases: MemoryLeaseServer;
  /** Base snapshots. */
  readonly objects: MemoryObjects;

  constructor(scheduler: Scheduler, dice: Dice, wallStartMs: number) {
    this.scheduler = scheduler;
    this.dice = dice;
    this.#wallStartMs = wallStartMs;
    this.objects = new MemoryObjects({ now: () => this.wallMs as WallTimeMs });
    this.leases = new MemoryLeaseServer({
      now: () => this.wallMs as WallTimeMs,
      monotonic: () => scheduler.nowMs,
      after: (delayMs, callback) => scheduler.after(delayMs, undefined, 'lease runs out', callback),
    });
  }

  get wallMs(): number {
    return Math.floor(this.#wallStartMs + this.scheduler.nowMs);
  }

  get up(): boolean {
    return this.#up;
  }

  /** Answers to writes and to questions about streams. */
  get leading(): boolean {
    return this.#up && this.#hasLeader;
  }

  stream(name: string, payloadBytesMax: number): SimStream {
    let stream = this.streams.get(name);
    if (stream === undefined) this.streams.set(name, (stream = new SimStream(name, payloadBytesMax)));
    return stream;
  }

  /** `kill -9`: what was acknowledged is on the disk; of what was not, each batch is there whole or not at all. */
  kill(): void {
    if (!this.#up) return;
    this.#up = false;
    this.scheduler.note('server', 'killed');
    for (const pending of this.#pending) {
      pending.answer = undefined;
      if (this.dice.chance(0.5)) this.#store(pending);
      else pending.dropped = true;
    }
    this.#pending.clear();
    for (const connection of this.connections) connection.cut(NEVER);
  }

  restart(): void {
    if (this.#up) return;
    this.#up = true;
    this.#diskFreeAtMs = this.scheduler.nowMs;
    this.scheduler.note('server', 'restarted');
    for (const connection of this.connections) connection.restoreAfter(this.dice.between(1, 250));
  }

  loseLeader(): void {
    this.#hasLeader = false;
    this.scheduler.note('server', 'no leader');
  }

  electLeader(): void {
    this.#hasLeader = true;
    this.scheduler.note('server', 'leader');
  }

  /** A batch has arrived: stored whole or refused, after what the disk takes. */
  take(
    stream: SimStream,
    entries: readonly LogEntry[],
    from: string,
    answer: ((outcome: AppendOutcome) => void) | undefined,
  ): void {
    if (!this.#up) return;
    if (!this.#hasLeader) {
      answer?.({ outcome: 'refused', cause: 'no leader', retry: true });
      return;
    }
    const pending: Pending = { stream, entries, from, answer, dropped: false };
    this.#pending.add(pending);
    const { scheduler } = this;
    this.#diskFreeAtMs = Math.max(this.#diskFreeAtMs, scheduler.nowMs) + this.dice.between(...this.diskMs);
    scheduler.after(this.#diskFreeAtMs - scheduler.nowMs, undefined, 'disk', () => {
      if (!this.#pending.delete(pending) || pending.dropped) return;
      const outcome = this.#store(pending);
      pending.answer?.(outcome);
    });
  }

  #store({ stream, entries, from }: Pending): AppendOutcome {
    if (stream.deleted) return { outcome: 'refused', cause: 'stream not found', retry: true };
    const outcome = stream.append(entries, from, this.wallMs);
    this.scheduler.note(
      'server',
      `${stream.name} ${outcome.outcome} ${stream.lastSeq} ${entries[0]?.subject ?? ''}`,
    );
    return outcome;
  }
}

type Listener = { lost?(): void; restored?(): void };

/** The one connection of a process to the server. */
export class SimConnection {
  readonly server: SimServer;
  readonly process: SimProcess;
  readonly #dice: Dice;
  #connected: boolean;
  #generation = 0;
  #outAtMs = 0;
  #inAtMs = 0;
  readonly #listeners = new Set<Listener>();
  /** Batches sent and not arrived yet. */
  readonly #underWay = new Set<{ lost: boolean }>();

  constructor(server: SimServer, process: SimProcess) {
    this.server = server;
    this.process = process;
    this.#dice = server.dice.of(`connection ${process.name}`);
    this.#connected = server.up;
    server.connections.add(this);
    process.onEnd(() => {
      server.connections.delete(this);
      // What the kernel had taken from it still goes out, as a rule.
      for (const batch of this.#underWay) if (this.#dice.chance(0.5)) batch.lost = true;
    });
  }

  get connected(): boolean {
    return this.#connected;
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Loses the connection; it comes back after a while. */
  cut(forMs: number): void {
    this.#generation++;
    for (const batch of this.#underWay) if (this.#dice.chance(0.5)) batch.lost = true;
    if (this.#connected) {
      this.#connected = false;
      this.process.after(0, 'disconnected', () => {
        for (const listener of [...this.#listeners]) listener.lost?.();
      });
    }
    if (forMs < NEVER) this.restoreAfter(forMs);
  }

  restoreAfter(delayMs: number): void {
    const generation = this.#generation;
    this.process.after(delayMs, 'connect', () => {
      if (this.#connected || generation !== this.#generation || !this.server.up) return;
      this.#connected = true;
      this.process.scheduler.note(this.process.name, 'connected');
      for (const listener of [...this.#listeners]) listener.restored?.();
    });
  }

  /** Has something happen at the server, behind all that was sent before. Not when the connection is lost on the way. */
  toServer(label: string, run: () => void): void {
    const batch = { lost: false };
    this.#underWay.add(batch);
    this.server.scheduler.after(this.#outDelay(), undefined, label, () => {
      this.#underWay.delete(batch);
      if (!batch.lost) run();
    });
  }

  /** Has something happen here, behind all that the server sent before. Not when the connection is lost on the way. */
  toClient(label: string, run: () => void): void {
    const generation = this.#generation;
    this.process.after(this.#inDelay(), label, () => {
      if (this.#connected && generation === this.#generation) run();
    });
  }

  /**
   * Puts a question to the server, once. Undefined when no answer comes: the server is away or has no leader, the connection
   * was lost, or the time is over.
   * @param silent it is heard, and its answer is lost
   */
  ask<T>(
    label: string,
    question: () => T | Promise<T>,
    timeoutMs: number,
    silent = false,
  ): Promise<{ value: T } | undefined> {
    if (!this.#connected) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const cancel = this.process.after(timeoutMs, `${label}: no answer`, () => {
        done(undefined);
      });
      const unlisten = this.listen({
        lost: () => {
          done(undefined);
        },
      });
      const done = (answer: { value: T } | undefined): void => {
        cancel();
        unlisten();
        resolve(answer);
      };
      const answered = (value: T): void => {
        if (!silent)
          this.toClient(`${label}: answer`, () => {
            done({ value });
          });
      };
      this.toServer(label, () => {
        if (!this.server.leading) return;
        const value = question();
        if (value instanceof Promise) value.then(answered, reject);
        else answered(value);
      });
    });
  }

  #outDelay(): number {
    const { nowMs } = this.server.scheduler;
    this.#outAtMs = Math.max(this.#outAtMs + 2 ** -10, nowMs + this.#dice.between(...this.server.latencyMs));
    return this.#outAtMs - nowMs;
  }

  #inDelay(): number {
    const { nowMs } = this.server.scheduler;
    this.#inAtMs = Math.max(this.#inAtMs + 2 ** -10, nowMs + this.#dice.between(...this.server.latencyMs));
    return this.#inAtMs - nowMs;
  }
}
