/**
 * How the nodes of a region find each other: each keeps a lease of its own, and watches those of the others. Wires the own
 * lease, the leases that are heard, and the judgement of who is alive; what follows from it is decided in `ownership.ts`.
 */
import type { Clock } from '../../core/clock.js';
import { GroundswellError, messageOf } from '../../core/errors.js';
import type { Lease, LeaseChange, Leases } from '../../log/leases.js';
import type { MemberStatus } from '../status.js';
import { Members } from './members.js';
import { OwnLease } from './own-lease.js';
import { decodeRecord, encodeRecord, type NodeRecord } from './record.js';

export interface MembershipOptions {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly self: Omit<NodeRecord, 'owned' | 'ready' | 'draining'>;
  /** A node that is silent for longer is dead, ms: whole seconds. */
  readonly ttlMs?: number;
  /** Called when a member came, went or said something new, and when this node's own lease or its failure changed. */
  onChange(): void;
}

/** What a node tells of itself that changes while it runs. */
export type MembershipUpdate = Partial<Pick<NodeRecord, 'owned' | 'ready' | 'draining' | 'http'>>;

const TTL_MS = 2_000;
const START_TIMEOUT_MS = 20_000;

export class Membership {
  readonly id: string;
  readonly instance: string;
  readonly #options: MembershipOptions;
  readonly #leases: Leases;
  readonly #clock: Clock;
  readonly #createdAtMs: number;
  readonly #members: Members;
  readonly #own: OwnLease;
  #self: NodeRecord;
  /** Sequence up to which all leases have been heard. */
  #heardSeq = 0;
  /** The lease was fresh when it was looked at last. */
  #wasFresh = false;
  #waiting = new Set<() => void>();
  #watch: { close(): Promise<void> } | undefined;
  #cancelSilence: () => void = () => undefined;
  /** When a write was last asked for as a proof. */
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #stopped = false;
  #failure: GroundswellError | undefined;
  /** Leases that could not be read, or are of a newer format. */
  ignored = 0;

  constructor(options: MembershipOptions) {
    const { leases, clock, self, ttlMs = TTL_MS } = options;
    this.#options = options;
    this.id = self.id;
    this.instance = self.instance;
    this.#leases = leases;
    this.#clock = clock;
    this.#createdAtMs = clock.monotonic();
    this.#self = { ...self, owned: [], ready: [], draining: false };
    this.#members = new Members(ttlMs);
    this.#own = new OwnLease({
      leases,
      clock,
      ttlMs,
      name: self.id,
      instance: self.instance,
      value: () => encodeRecord(this.#self),
      onWritten: () => {
        this.#members.calm(clock.monotonic());
        this.#judge();
        this.#lookAtFreshness();
      },
      onTrouble: () => {
        this.#members.troubled();
      },
      onStale: () => {
        this.#lookAtFreshness();
      },
      onConflict: (error) => {
        this.#fail(error);
      },
    });
  }

  /**
   * Writes this node's lease, and hears of all others: what `members` says afterwards is whole.
   * @throws GroundswellError GS_LOG when the server does not answer in time; GS_STREAM_LOST; GS_NODE_ID
   */
  async start(): Promise<void> {
    try {
      this.#own.write();
      await this.#firstWrite();
      this.#watch = await this.#leases.watch(
        (change) => {
          this.#heard(change);
        },
        (error) => {
          this.#fail(error);
        },
      );
      for (const lease of await this.#leases.list()) if (lease.name !== this.id) this.#written(lease);
      if (this.#failure !== undefined) throw this.#failure;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** What is new about this node is told to the others at once. */
  update(update: MembershipUpdate): void {
    const self = { ...this.#self, ...update };
    if (JSON.stringify(self) === JSON.stringify(this.#self)) return;
    this.#self = self;
    // Before the start there is nobody to tell it to.
    if (this.#watch !== undefined) this.#own.write();
  }

  /** All nodes that are known, this one first. */
  members(): MemberStatus[] {
    const nowMs = this.#clock.monotonic();
    const { fresh } = this;
    const lastSeenMsAgo = nowMs - Math.max(this.#own.writtenAtMs, this.#createdAtMs);
    const self = { ...this.#self, alive: fresh, self: true, lastSeenMsAgo };
    const others = this.#members.list().map(({ record, alive, heardAtMs }) => ({
      ...record,
      alive,
      self: false,
      lastSeenMsAgo: nowMs - heardAtMs,
    }));
    return [self, ...others];
  }

  /** The others can count on this node being there: a renewal was acknowledged within the time to live. */
  get fresh(): boolean {
    return !this.#stopped && this.#failure === undefined && this.#own.fresh;
  }

  /** Resolves true as soon as the lease is fresh; false when it never will be again. */
  async whenFresh(): Promise<boolean> {
    while (!this.fresh) {
      if (this.#stopped || this.#failure !== undefined) return false;
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
    return true;
  }

  /** What ended it: another process under this node's id (GS_NODE_ID), or leases that are no longer kept (GS_STREAM_LOST). */
  get failure(): GroundswellError | undefined {
    return this.#failure;
  }

  /** GS_NODE_ID once another process has written this node's lease. */
  get conflict(): GroundswellError | undefined {
    return this.#failure?.code === 'GS_NODE_ID' ? this.#failure : undefined;
  }

  /** Gives the lease up, so that the others need not wait for it to run out. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#cancelSilence();
    this.#wake();
    await this.#own.end();
    await this.#watch?.close();
    // It is not ours to give up.
    if (this.conflict !== undefined) return;
    // Without an answer it runs out by itself.
    await this.#leases.remove(this.id).catch(() => undefined);
  }

  async #firstWrite(): Promise<void> {
    const written = await new Promise<boolean>((resolve, reject) => {
      const cancel = this.#clock.after(START_TIMEOUT_MS, () => {
        resolve(false);
      });
      this.whenFresh().then(resolve, reject).finally(cancel);
    });
    if (written || this.#failure !== undefined || this.#stopped) return;
    const cause = this.#own.cause ?? 'no answer';
    throw new GroundswellError('GS_LOG', `The lease of this node could not be written: ${cause}.`);
  }

  #heard(change: LeaseChange): void {
    if (this.#stopped) return;
    if (change.kind === 'written') this.#written(change.lease);
    else if (change.name === this.id) this.#own.write();
    else if (this.#members.gone(change.name, this.#clock.monotonic())) this.#options.onChange();
  }

  #written(lease: Lease): void {
    if (lease.name === this.id) {
      this.#heardSeq = Math.max(this.#heardSeq, lease.seq);
      this.#own.heard(lease);
      this.#judge();
      return;
    }
    const decoded = decodeRecord(lease.value);
    if (decoded.kind === 'ignored' || decoded.record.id !== lease.name) {
      this.ignored++;
      return;
    }
    if (this.#members.heard(decoded.record, lease.seq, this.#clock.monotonic())) this.#options.onChange();
    this.#awaitSilence();
  }

  /** Our last write has been heard back: whoever wrote before it was heard as well. */
  #judge(): void {
    const { writtenSeq, writtenAtMs } = this.#own;
    if (writtenSeq === 0 || this.#heardSeq < writtenSeq) return;
    if (this.#members.heardAllBefore(writtenAtMs)) this.#options.onChange();
    this.#awaitSilence();
  }

  /** When somebody has been silent for so long that it may be dead, a write of our own is the proof, or the delay. */
  #awaitSilence(): void {
    this.#cancelSilence();
    const atMs = this.#members.nextSilenceMs();
    if (atMs === undefined || this.#stopped) return;
    const leftMs = atMs - this.#clock.monotonic();
    if (leftMs <= 0) this.#askForProof(atMs);
    else {
      this.#cancelSilence = this.#clock.after(leftMs, () => {
        this.#askForProof(atMs);
      });
    }
  }

  /** A write that is sent after a moment; once is enough. */
  #askForProof(afterMs: number): void {
    if (this.#askedAtMs >= afterMs) return;
    this.#askedAtMs = this.#clock.monotonic();
    this.#own.write();
  }

  #lookAtFreshness(): void {
    const { fresh } = this;
    if (fresh === this.#wasFresh) return;
    this.#wasFresh = fresh;
    if (fresh) this.#wake();
    this.#options.onChange();
  }

  #fail(error: Error): void {
    if (this.#stopped || this.#failure !== undefined) return;
    this.#failure =
      error instanceof GroundswellError
        ? error
        : new GroundswellError('GS_LOG', messageOf(error), { cause: error });
    this.#own.halt();
    this.#cancelSilence();
    this.#wake();
    this.#options.onChange();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const resolve of waiting) resolve();
  }
}
