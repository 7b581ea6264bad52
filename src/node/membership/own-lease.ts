/**
 * This node's own lease: written at once when there is something new to say, renewed at a third of its time to live, one
 * write at a time. It is fresh while a write that was acknowledged was sent less than its time to live ago, by the monotonic
 * clock: counted from the sending, so that it never is for longer than the others believe. Each write expects the one
 * before it; whoever else writes our lease runs under our id.
 */
import type { Clock } from '../../core/clock.js';
import { GroundswellError, messageOf } from '../../core/errors.js';
import type { Lease, LeaseOutcome, Leases } from '../../log/leases.js';
import { decodeRecord } from './record.js';

export interface OwnLeaseOptions {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly name: string;
  readonly instance: string;
  readonly ttlMs: number;
  /** What to write now. */
  value(): Uint8Array;
  /** A write was acknowledged. */
  onWritten(): void;
  /** A write did not get through, or nobody knows whether it did. */
  onTrouble(): void;
  /** It is no longer fresh. */
  onStale(): void;
  /** Another process writes it; nothing more is written from here. */
  onConflict(error: GroundswellError): void;
}

export class OwnLease {
  readonly #options: OwnLeaseOptions;
  /** Of its last write that is known of; none is expected by the first, which replaces that of an earlier start. */
  #expectSeq: number | undefined;
  #writing: Promise<void> | undefined;
  #wanted = false;
  #ended = false;
  #cancelRenewal: () => void = () => undefined;
  #cancelStale: () => void = () => undefined;
  /** The last write that was acknowledged. */
  writtenSeq = 0;
  /** When that was sent, monotonic ms. */
  writtenAtMs = Number.NEGATIVE_INFINITY;
  /** Why the last write did not get through. */
  cause: string | undefined;

  constructor(options: OwnLeaseOptions) {
    this.#options = options;
  }

  get fresh(): boolean {
    const { clock, ttlMs } = this.#options;
    return !this.#ended && clock.monotonic() - this.writtenAtMs < ttlMs;
  }

  /** Writes soon: after the write that is under way, if there is one. */
  write(): void {
    if (this.#ended) return;
    this.#wanted = true;
    if (this.#writing !== undefined) return;
    this.#cancelRenewal();
    this.#writing = this.#writeWanted().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Our lease was heard of. */
  heard({ seq, value }: Lease): void {
    // Without an acknowledged write it may be what an earlier start left.
    if (this.#ended || this.writtenSeq === 0 || seq <= this.writtenSeq) return;
    if (!this.#isOurs(value)) this.#conflict();
  }

  /** Writes no more. */
  halt(): void {
    this.#ended = true;
    this.#cancelRenewal();
    this.#cancelStale();
  }

  /** The same; resolves when nothing is under way. */
  async end(): Promise<void> {
    this.halt();
    await this.#writing;
  }

  async #writeWanted(): Promise<void> {
    const { clock, ttlMs } = this.#options;
    let delayMs = 0;
    while (this.#wanted && !this.#ended) {
      this.#wanted = false;
      const sentMs = clock.monotonic();
      const through = await this.#writeOnce(sentMs);
      if (this.#ended) return;
      delayMs = Math.max(0, sentMs + ttlMs / 3 - clock.monotonic());
      if (through) continue;
      this.#options.onTrouble();
      // Whatever was wanted goes with the next try.
      this.#wanted = false;
      delayMs = ttlMs / 8;
    }
    this.#cancelRenewal = clock.after(delayMs, () => {
      this.write();
    });
  }

  /** True when the lease is written. */
  async #writeOnce(sentMs: number): Promise<boolean> {
    try {
      let outcome = await this.#put();
      if (outcome.outcome === 'stale') {
        await this.#lookAgain();
        if (this.#ended) return false;
        outcome = await this.#put();
      }
      if (outcome.outcome === 'written') {
        this.#written(outcome.seq, sentMs);
        return true;
      }
      this.cause = outcome.outcome === 'stale' ? 'others write it as well' : outcome.cause;
    } catch (error) {
      this.cause = messageOf(error);
    }
    return false;
  }

  #put(): Promise<LeaseOutcome> {
    const { leases, name, ttlMs } = this.#options;
    const expected = this.#expectSeq === undefined ? {} : { expectSeq: this.#expectSeq };
    return leases.write({ name, value: this.#options.value(), ttlMs, ...expected });
  }

  /** It is not as we left it: a write of ours was stored without an answer, it has run out, or it is another's. */
  async #lookAgain(): Promise<void> {
    const { leases, name } = this.#options;
    const lease = (await leases.list()).find((found) => found.name === name);
    if (lease === undefined) this.#expectSeq = 0;
    else if (this.#isOurs(lease.value)) this.#expectSeq = lease.seq;
    else this.#conflict();
  }

  #written(seq: number, sentMs: number): void {
    if (this.#ended) return;
    this.#expectSeq = seq;
    this.writtenSeq = seq;
    this.writtenAtMs = sentMs;
    this.cause = undefined;
    this.#awaitStale();
    this.#options.onWritten();
  }

  #awaitStale(): void {
    const { clock, ttlMs } = this.#options;
    this.#cancelStale();
    this.#cancelStale = clock.after(this.writtenAtMs + ttlMs - clock.monotonic(), () => {
      // A timer may be early by a moment.
      if (this.fresh) this.#awaitStale();
      else this.#options.onStale();
    });
  }

  #isOurs(value: Uint8Array): boolean {
    const decoded = decodeRecord(value);
    return decoded.kind === 'record' && decoded.record.instance === this.#options.instance;
  }

  #conflict(): void {
    if (this.#ended) return;
    const { name } = this.#options;
    this.halt();
    const text = `Another process runs as node ${name}: it writes the lease that this one had.`;
    this.#options.onConflict(new GroundswellError('GS_NODE_ID', text));
  }
}
