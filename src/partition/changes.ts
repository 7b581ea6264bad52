/**
 * The changed actors of a commit, in one piece of memory, each as it stands in a journal frame: its id, what is known of it,
 * its record. Thousands change in every commit and wait for the snapshot, so one of them is no object: it is made when somebody
 * looks at it. Owns that layout.
 */
import { ByteReader, ByteWriter } from '../core/bytes.js';
import type { ActorId } from '../core/ids.js';

/** A changed actor as a commit carries it: the encoded record, or none when it was forgotten. */
export interface ActorChange {
  readonly id: ActorId;
  readonly bytes: Uint8Array | undefined;
  /** Recovery must look at it: it has timers, or is in quarantine. */
  readonly timed: boolean;
  /** It was so, or was not, at the commit before too. Unset where that is not known. */
  readonly timedAsBefore?: boolean;
}

// What is known of a change: flags. The last is not written.
const HAS_RECORD = 1;
const TIMED = 2;
const TIMED_AS_BEFORE = 4;

/** The changes of a frame, up to its end. */
export function* readChanges(reader: ByteReader): Generator<ActorChange> {
  while (!reader.done) {
    const id = reader.text() as ActorId;
    const flags = reader.uint();
    const bytes = (flags & HAS_RECORD) === 0 ? undefined : reader.bytes();
    yield { id, bytes, timed: (flags & TIMED) !== 0 };
  }
}

export class Changes implements Iterable<ActorChange> {
  readonly ids: readonly ActorId[];
  readonly #flags: readonly number[];
  /** All of them, one after the other. */
  readonly #bytes: Uint8Array;
  /** Where each ends. */
  readonly #ends: readonly number[];

  constructor(ids: readonly ActorId[], flags: readonly number[], bytes: Uint8Array, ends: readonly number[]) {
    this.ids = ids;
    this.#flags = flags;
    this.#bytes = bytes;
    this.#ends = ends;
  }

  static of(changes: Iterable<ActorChange>): Changes {
    const writer = new ChangesWriter();
    const records = new ByteWriter();
    for (const { id, bytes, timed, timedAsBefore } of changes) {
      if (bytes === undefined) writer.addForgotten(id, timedAsBefore === true);
      else writer.add(id, records.raw(bytes), { timed, timedAsBefore: timedAsBefore === true });
      records.clear();
    }
    return writer.take();
  }

  get length(): number {
    return this.ids.length;
  }

  /** Bytes of the changes from one up to another, exclusive. */
  sizeOf(from: number, to = from + 1): number {
    return to === from ? 0 : this.#ends[to - 1]! - this.#startOf(from);
  }

  /** The changes from one up to another, exclusive, as they stand in a frame. */
  bytesOf(from: number, to: number): Uint8Array {
    const start = this.#startOf(from);
    return this.#bytes.subarray(start, start + this.sizeOf(from, to));
  }

  at(index: number): ActorChange {
    const flags = this.#flags[index]!;
    return {
      id: this.ids[index]!,
      bytes: (flags & HAS_RECORD) === 0 ? undefined : this.#recordOf(index),
      timed: (flags & TIMED) !== 0,
      timedAsBefore: this.isTimedAsBefore(index),
    };
  }

  isTimedAsBefore(index: number): boolean {
    return (this.#flags[index]! & TIMED_AS_BEFORE) !== 0;
  }

  *[Symbol.iterator](): Iterator<ActorChange> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  #recordOf(index: number): Uint8Array {
    const reader = new ByteReader(this.#bytes, this.#startOf(index), this.#ends[index]);
    reader.skip(reader.uint());
    reader.uint();
    return reader.bytes();
  }

  #startOf(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!;
  }
}

/** Gathers the changes of one commit, and is used again for the next. */
export class ChangesWriter {
  readonly #writer = new ByteWriter();
  #ids: ActorId[] = [];
  #flags: number[] = [];
  #ends: number[] = [];

  /** @param record all that its writer holds */
  add(id: ActorId, record: ByteWriter, known: { timed: boolean; timedAsBefore: boolean }): void {
    this.#begin(id, HAS_RECORD | (known.timed ? TIMED : 0) | (known.timedAsBefore ? TIMED_AS_BEFORE : 0));
    this.#writer.writtenBy(record);
    this.#ends.push(this.#writer.length);
  }

  addForgotten(id: ActorId, timedAsBefore: boolean): void {
    this.#begin(id, timedAsBefore ? TIMED_AS_BEFORE : 0);
    this.#ends.push(this.#writer.length);
  }

  take(): Changes {
    const changes = new Changes(this.#ids, this.#flags, this.#writer.take(), this.#ends);
    this.clear();
    return changes;
  }

  /** Forgets what was added and not taken. */
  clear(): void {
    this.#writer.clear();
    this.#ids = [];
    this.#flags = [];
    this.#ends = [];
  }

  #begin(id: ActorId, flags: number): void {
    this.#ids.push(id);
    this.#flags.push(flags);
    this.#writer.text(id).uint(flags & ~TIMED_AS_BEFORE);
  }
}
