/**
 * The changed actors of a commit, in one piece of memory, each as it stands in a journal frame: its id, what is known of it,
 * its record. Thousands change in every commit and wait for the snapshot, so one of them is no object: it is made when somebody
 * looks at it. Owns that layout, and which of the changes of several commits still stand.
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

// What is known of a change: flags. The last two are not written.
const HAS_RECORD = 1;
const TIMED = 2;
const TIMED_AS_BEFORE = 4;
/** A later one of its actor stands in its place. */
const REPLACED = 8;
/** So few are copied one by one: changes that stand alone among others that were replaced. */
const FEW_BYTES = 128;

/** The changes of a frame, up to its end. */
export function* readChanges(reader: ByteReader): Generator<ActorChange> {
  while (!reader.done) yield readChange(reader);
}

function readChange(reader: ByteReader): ActorChange {
  const id = reader.text() as ActorId;
  const flags = reader.uint();
  const bytes = (flags & HAS_RECORD) === 0 ? undefined : reader.bytes();
  return { id, bytes, timed: (flags & TIMED) !== 0 };
}

/** The same, with what is not written. */
function knownChange(reader: ByteReader, flags: number): ActorChange {
  const { id, bytes, timed } = readChange(reader);
  return { id, bytes, timed, timedAsBefore: (flags & TIMED_AS_BEFORE) !== 0 };
}

/** Changes as nothing but memory of their own: to be handed to another thread. */
export interface PackedChanges {
  /** As in a frame. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What is known of each. */
  readonly flags: Uint8Array<ArrayBuffer>;
}

/** The changes of commits, oldest first, less those that were replaced. */
export function packChanges(commits: readonly Changes[]): PackedChanges {
  let length = 0;
  let count = 0;
  for (const changes of commits) {
    const standing = changes.standing();
    length += standing.bytes;
    count += standing.count;
  }
  const packed = { bytes: new Uint8Array(length), flags: new Uint8Array(count) };
  let at = 0;
  let place = 0;
  for (const changes of commits) {
    const standing = changes.copyStanding(packed, at, place);
    at += standing.bytes;
    place += standing.count;
  }
  return packed;
}

/** Where the texts of ids lie. */
export interface IdPlaces {
  readonly bytes: Uint8Array;
  readonly from: Uint32Array;
  /** The first bytes behind them. */
  readonly to: Uint32Array;
}

/** Reads packed changes, in whatever order they are asked for. */
export class PackedReader implements Iterable<ActorChange> {
  readonly #flags: Uint8Array;
  readonly #reader: ByteReader;
  /** Where each begins. */
  readonly #begins: Uint32Array;
  /** Of each, in the packed bytes. */
  readonly ids: IdPlaces;

  constructor({ bytes, flags }: PackedChanges) {
    const reader = new ByteReader(bytes);
    const begins = new Uint32Array(flags.length);
    const from = new Uint32Array(flags.length);
    const to = new Uint32Array(flags.length);
    for (let i = 0; i < flags.length; i++) {
      begins[i] = reader.place;
      const idBytes = reader.uint();
      from[i] = reader.place;
      reader.skip(idBytes);
      to[i] = reader.place;
      if ((reader.uint() & HAS_RECORD) !== 0) reader.skip(reader.uint());
    }
    this.#flags = flags;
    this.#reader = reader;
    this.#begins = begins;
    this.ids = { bytes, from, to };
  }

  /** Its record lies in the packed bytes. */
  at(index: number): ActorChange {
    this.#reader.moveTo(this.#begins[index]!);
    return knownChange(this.#reader, this.#flags[index]!);
  }

  *[Symbol.iterator](): Iterator<ActorChange> {
    for (let i = 0; i < this.#flags.length; i++) yield this.at(i);
  }
}

export class Changes implements Iterable<ActorChange> {
  readonly #flags: Uint8Array;
  /** All of them, one after the other. */
  readonly #bytes: Uint8Array;
  /** Where each ends. */
  readonly #ends: Uint32Array;
  /** For each, how many commits before this one its actor had changed last, and which change of that commit it was; 0 where unknown. */
  #before: Uint32Array | undefined;

  constructor(flags: Uint8Array, bytes: Uint8Array, ends: Uint32Array) {
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
    return this.#flags.length;
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

  /** One of them, copied: native code, such as the decoder's of states, takes a wrong address of shared memory, or none. */
  at(index: number): ActorChange {
    const copy = this.#bytes.slice(this.#startOf(index), this.#ends[index]);
    return knownChange(new ByteReader(copy), this.#flags[index]!);
  }

  *[Symbol.iterator](): Iterator<ActorChange> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  /**
   * Says when an actor had changed last before this.
   * @param commitsAgo 1 for the commit before this one
   * @param place among the changes of that commit
   */
  follows(index: number, commitsAgo: number, place: number): void {
    this.#before ??= new Uint32Array(uncounted(8 * this.length));
    this.#before[2 * index] = commitsAgo;
    this.#before[2 * index + 1] = place;
  }

  /**
   * These stand in the place of what their actors were before.
   * @param commits those before this one that are kept, one after the other, oldest first
   */
  replaceIn(commits: readonly Changes[]): void {
    const before = this.#before;
    if (before === undefined || commits.length === 0) return;
    const flags = this.#flags;
    for (let i = 0; i < flags.length; i++) {
      const ago = before[2 * i]!;
      if (ago === 0 || ago > commits.length) continue;
      const earlier = commits[commits.length - ago]!.#flags;
      const place = before[2 * i + 1]!;
      // Whether its timers are as before is asked of what was before both.
      if ((earlier[place]! & TIMED_AS_BEFORE) === 0) flags[i]! &= ~TIMED_AS_BEFORE;
      earlier[place]! |= REPLACED;
    }
  }

  /** How many were not replaced, and their bytes. */
  standing(): { readonly bytes: number; readonly count: number } {
    const flags = this.#flags;
    let bytes = 0;
    let count = 0;
    for (let i = 0; i < flags.length; i++) {
      if ((flags[i]! & REPLACED) !== 0) continue;
      bytes += this.sizeOf(i);
      count++;
    }
    return { bytes, count };
  }

  /** Copies those that were not replaced to places of packed ones. Gives how much that was. */
  copyStanding(packed: PackedChanges, at: number, place: number): { bytes: number; count: number } {
    const flags = this.#flags;
    let [toByte, to] = [at, place];
    for (let i = 0; i < flags.length;) {
      if ((flags[i]! & REPLACED) !== 0) {
        i++;
        continue;
      }
      const from = i;
      for (; i < flags.length && (flags[i]! & REPLACED) === 0; i++) packed.flags[to++] = flags[i]!;
      const end = this.#ends[i - 1]!;
      const start = this.#startOf(from);
      if (end - start <= FEW_BYTES)
        for (let byte = start; byte < end; byte++) packed.bytes[toByte++] = this.#bytes[byte]!;
      else {
        packed.bytes.set(this.#bytes.subarray(start, end), toByte);
        toByte += end - start;
      }
    }
    return { bytes: toByte - at, count: to - place };
  }

  #startOf(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!;
  }
}

/**
 * Shared memory, for it is no pressure on the collector: whenever buffers of other memory are 64 MB more, that goes through all
 * objects there are, and changes wait for the snapshot in hundreds of megabytes. What is garbage of it goes when that of the
 * journal's frames does, which are as many bytes, and are counted.
 */
function uncounted(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes);
}

/** Changes that there is room for at first. */
const FIRST_CHANGES = 1_024;

/** Gathers the changes of one commit, and is used again for the next, in the same memory. */
export class ChangesWriter {
  readonly #writer = new ByteWriter();
  #flags = new Uint8Array(FIRST_CHANGES);
  #ends = new Uint32Array(FIRST_CHANGES);
  #count = 0;

  /** @param record all that its writer holds */
  add(id: ActorId, record: ByteWriter, known: { timed: boolean; timedAsBefore: boolean }): void {
    this.#begin(id, HAS_RECORD | (known.timed ? TIMED : 0) | (known.timedAsBefore ? TIMED_AS_BEFORE : 0));
    this.#end(this.#writer.writtenBy(record));
  }

  addForgotten(id: ActorId, timedAsBefore: boolean): void {
    this.#end(this.#begin(id, timedAsBefore ? TIMED_AS_BEFORE : 0));
  }

  take(): Changes {
    const count = this.#count;
    const { written } = this.#writer;
    // Of each four bytes for where it ends and one of flags, then all of them.
    const memory = uncounted(5 * count + written.length);
    const ends = new Uint32Array(memory, 0, count);
    ends.set(this.#ends.subarray(0, count));
    const flags = new Uint8Array(memory, 4 * count, count);
    flags.set(this.#flags.subarray(0, count));
    const bytes = new Uint8Array(memory, 5 * count);
    bytes.set(written);
    this.clear();
    return new Changes(flags, bytes, ends);
  }

  /** Forgets what was added and not taken. */
  clear(): void {
    this.#writer.clear();
    this.#count = 0;
  }

  #begin(id: ActorId, flags: number): ByteWriter {
    if (this.#count === this.#flags.length) this.#grow();
    this.#flags[this.#count] = flags;
    return this.#writer.text(id).uint(flags & ~TIMED_AS_BEFORE);
  }

  #end({ length }: ByteWriter): void {
    this.#ends[this.#count++] = length;
  }

  #grow(): void {
    const [flags, ends] = [this.#flags, this.#ends];
    this.#flags = new Uint8Array(2 * flags.length);
    this.#ends = new Uint32Array(2 * ends.length);
    this.#flags.set(flags);
    this.#ends.set(ends);
  }
}
