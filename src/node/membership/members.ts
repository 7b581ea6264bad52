/**
 * Who is alive, as this node sees it. Facts in, with monotonic time; nothing here reads a clock, and wall time, here or
 * elsewhere, has no part in it.
 *
 * - (M1) A node is alive while its lease was heard to be written within the time to live.
 * - (M2) Silence counts only with proof: a write of our own, sent after that time and heard back in the same order as
 *   everybody's, shows that nothing of theirs was under way. So neither a server that is away nor a process of ours that hung
 *   declares anybody dead.
 * - (M3) After trouble with the server nobody is dead, and nobody gone, before one time to live has passed: the others may
 *   still be on their way back, and leases ran out that nobody could renew.
 * - (M4) Otherwise a lease that was given up, or has run out, is gone at once.
 */
import type { NodeRecord } from './record.js';

export interface KnownMember {
  readonly record: NodeRecord;
  readonly alive: boolean;
  /** When its lease was last heard to be written, monotonic ms. */
  readonly heardAtMs: number;
}

interface Member {
  record: NodeRecord;
  seq: number;
  alive: boolean;
  heardAtMs: number;
}

/** A dead node is told of for so long. */
const FORGET_MS = 10 * 60_000;
const MEMBERS_MAX = 4_096;

export class Members {
  readonly #ttlMs: number;
  readonly #members = new Map<string, Member>();
  #troubled = false;
  /** End of the last trouble. */
  #calmSinceMs = Number.NEGATIVE_INFINITY;

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  /** All that are known, this node not among them. */
  list(): KnownMember[] {
    return [...this.#members.values()].map(({ record, alive, heardAtMs }) => ({ record, alive, heardAtMs }));
  }

  /** A lease was heard. True when it tells anything but that its node is still there. */
  heard(record: NodeRecord, seq: number, atMs: number): boolean {
    const member = this.#members.get(record.id);
    if (member === undefined) {
      if (this.#members.size >= MEMBERS_MAX) return false;
      this.#members.set(record.id, { record, seq, alive: true, heardAtMs: atMs });
      return true;
    }
    // Told again, not written again.
    if (seq <= member.seq) return false;
    const changed = !member.alive || !isSame(member.record, record);
    Object.assign(member, { record, seq, alive: true, heardAtMs: atMs });
    return changed;
  }

  /** A lease is gone (M3, M4). True when its node is now dead. */
  gone(id: string, atMs: number): boolean {
    const member = this.#members.get(id);
    if (member?.alive !== true || this.#troubled || atMs - this.#calmSinceMs < this.#ttlMs) return false;
    member.alive = false;
    return true;
  }

  /** A write of our own did not get through. */
  troubled(): void {
    this.#troubled = true;
  }

  /** A write of our own got through. */
  calm(atMs: number): void {
    if (!this.#troubled) return;
    this.#troubled = false;
    this.#calmSinceMs = atMs;
  }

  /** Everything that was written before a moment has been heard (M1, M2). True when somebody is dead by that. */
  heardAllBefore(ms: number): boolean {
    let died = false;
    for (const [id, member] of this.#members) {
      if (member.alive && this.#silentAtMs(member) <= ms) {
        member.alive = false;
        died = true;
      } else if (!member.alive && ms - member.heardAtMs > FORGET_MS) {
        this.#members.delete(id);
      }
    }
    return died;
  }

  /** When the next one would be dead if nothing more is heard of it; undefined when all are. */
  nextSilenceMs(): number | undefined {
    let next: number | undefined;
    for (const member of this.#members.values()) {
      if (!member.alive) continue;
      const atMs = this.#silentAtMs(member);
      if (next === undefined || atMs < next) next = atMs;
    }
    return next;
  }

  #silentAtMs({ heardAtMs }: Member): number {
    return Math.max(heardAtMs, this.#calmSinceMs) + this.#ttlMs;
  }
}

function isSame(a: NodeRecord, b: NodeRecord): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
