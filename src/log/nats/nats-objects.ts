/**
 * Objects in a bucket of the JetStream object store. Chunks go out as atomic batches, each compared-and-set on the last
 * chunk, so a batch whose answer was lost is neither left out nor stored twice; the record that makes the object
 * visible is the last thing written, and only under a name that is free. Reading and writing hold a few chunks at a time,
 * however large the object (P8).
 */
import { createHash } from 'node:crypto';
import type { JetStreamManager } from '@nats-io/jetstream';
import { nuid, type NatsConnection } from 'nats';
import { sleep, systemClock, type Clock } from '../../core/clock.js';
import { GroundswellError } from '../../core/errors.js';
import type { LogEntry } from '../log.js';
import type { ObjectInfo, ObjectStore } from '../objects.js';
import { readRange } from '../read-range.js';
import { NatsLog } from './nats-log.js';
import { ensureBucket } from './object-bucket.js';
import {
  BucketSubjects,
  CHUNK_BYTES,
  decodeRecord,
  digestOf,
  encodeRecord,
  type ObjectRecord,
} from './object-record.js';

export interface NatsObjectsOptions {
  readonly connection: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly bucket: string;
  /** Copies in a cluster; without it, as they are. */
  readonly replicas?: number;
  readonly clock?: Clock;
  /** How long the server may be away, ms. */
  readonly patienceMs?: number;
}

/** Chunks of one batch. */
const BATCH_CHUNKS = 8;
const PATIENCE_MS = 30_000;
const AGAIN_MS = 250;

export class NatsObjects implements ObjectStore {
  readonly #log: NatsLog;
  readonly #jsm: JetStreamManager;
  readonly #subjects: BucketSubjects;
  readonly #bucket: string;
  readonly #clock: Clock;
  readonly #patienceMs: number;

  /** @throws GroundswellError GS_NATS_AUTH, GS_NATS_OLD, GS_STREAM_CONFIG, GS_LOG */
  static async open(options: NatsObjectsOptions): Promise<NatsObjects> {
    const subjects = new BucketSubjects(options.bucket);
    await ensureBucket(options.jsm, subjects, options.replicas);
    return new NatsObjects(options, subjects);
  }

  private constructor(options: NatsObjectsOptions, subjects: BucketSubjects) {
    const { connection, jsm, bucket, clock = systemClock, patienceMs = PATIENCE_MS } = options;
    this.#log = new NatsLog(connection, jsm, { stream: subjects.stream, writer: nuid.next(), clock });
    this.#jsm = jsm;
    this.#subjects = subjects;
    this.#bucket = bucket;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  async put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    if ((await this.#record(name)) !== undefined) throw taken(name);
    const id = nuid.next();
    try {
      const written = await this.#putChunks(this.#subjects.chunks(id), chunks);
      const mtime = new Date(this.#clock.now()).toISOString();
      const record: ObjectRecord = { name, bucket: this.#bucket, nuid: id, ...written, mtime };
      await this.#putRecord(record);
      return infoOf(record);
    } catch (error) {
      // What cannot be removed now is swept up later: without a record nobody sees it.
      await this.#removeChunks(id).catch(() => undefined);
      throw error;
    }
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const record = await this.#record(name);
    return record === undefined ? undefined : this.#chunksOf(record);
  }

  async list(): Promise<ObjectInfo[]> {
    const infos = new Map<string, ObjectInfo>();
    for await (const payload of this.#payloads(this.#subjects.records)) {
      const record = decodeRecord(payload);
      if (record !== undefined) infos.set(record.name, infoOf(record));
    }
    return [...infos.values()];
  }

  async remove(name: string): Promise<void> {
    const subject = this.#subjects.record(name);
    const last = await this.#log.last(subject);
    if (last === undefined) return;
    // First the record: an object is never seen with a part of its chunks.
    await this.#log.purge(subject, last.seq + 1);
    const record = decodeRecord(last.payload);
    if (record !== undefined) await this.#removeChunks(record.nuid);
  }

  async sweep(olderThanMs: number): Promise<number> {
    const info = await this.#jsm.streams.info(this.#subjects.stream, {
      subjects_filter: this.#subjects.chunks('>'),
    });
    const { state, ts } = info;
    const begun = new Set(Object.keys(state.subjects ?? {}).map((subject) => this.#subjects.nuidOf(subject)));
    for await (const payload of this.#payloads(this.#subjects.records)) {
      const record = decodeRecord(payload);
      if (record !== undefined) begun.delete(record.nuid);
    }
    // Both times are the server's: what the clock of this machine says is of no account.
    const nowMs = ts === undefined ? this.#clock.now() : Date.parse(ts);
    let swept = 0;
    for (const id of begun) {
      const subject = this.#subjects.chunks(id);
      const last = await this.#jsm.streams.getMessage(this.#subjects.stream, { last_by_subj: subject });
      if (last === null || nowMs - last.time.getTime() < olderThanMs) continue;
      await this.#removeChunks(id);
      swept++;
    }
    return swept;
  }

  async #record(name: string): Promise<ObjectRecord | undefined> {
    const last = await this.#log.last(this.#subjects.record(name));
    return last === undefined ? undefined : decodeRecord(last.payload);
  }

  async #putChunks(
    subject: string,
    source: AsyncIterable<Uint8Array>,
  ): Promise<Pick<ObjectRecord, 'size' | 'chunks' | 'digest'>> {
    const hash = createHash('sha256');
    let size = 0;
    let chunks = 0;
    let lastSeq = 0;
    let batch: Uint8Array[] = [];
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      const entries = batch.map((payload, i): LogEntry => {
        return i === 0 ? { subject, payload, expectLastSeq: lastSeq } : { subject, payload };
      });
      lastSeq = (await this.#append(entries, lastSeq)) + entries.length - 1;
      batch = [];
    };
    for await (const chunk of rechunked(source, CHUNK_BYTES)) {
      hash.update(chunk);
      size += chunk.byteLength;
      chunks++;
      batch.push(chunk);
      if (batch.length >= BATCH_CHUNKS) await flush();
    }
    await flush();
    return { size, chunks, digest: digestOf(hash.digest()) };
  }

  async #putRecord(record: ObjectRecord): Promise<void> {
    const subject = this.#subjects.record(record.name);
    const last = await this.#log.last(subject);
    if (last !== undefined && decodeRecord(last.payload) !== undefined) throw taken(record.name);
    const before = last?.seq ?? 0;
    const payload = encodeRecord(record);
    const seq = await this.#append([{ subject, payload, expectLastSeq: before }], before);
    const stored = await this.#log.next(subject, seq);
    if (stored === undefined || decodeRecord(stored.payload)?.nuid !== record.nuid) throw taken(record.name);
  }

  /** Stores entries of one subject, once. Gives the sequence of the first. */
  async #append(entries: readonly LogEntry[], before: number): Promise<number> {
    const { subject } = entries[0]!;
    const deadlineMs = this.#clock.monotonic() + this.#patienceMs;
    for (;;) {
      const outcome = await this.#log.append(entries);
      if (outcome.outcome === 'committed') return outcome.firstSeq;
      if (outcome.outcome === 'refused' && !outcome.retry) throw refused(subject, outcome.cause);
      if (outcome.outcome !== 'refused') {
        // Ours was stored and its answer lost, or nothing was: the stream tells (P6).
        const last = await this.#log.last(subject);
        if ((last?.seq ?? 0) > before) return last!.seq - entries.length + 1;
      }
      if (this.#clock.monotonic() >= deadlineMs) throw refused(subject, outcome.cause);
      await sleep(this.#clock, AGAIN_MS);
    }
  }

  async *#chunksOf(record: ObjectRecord): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    const subject = this.#subjects.chunks(record.nuid);
    let chunks = 0;
    let bytes = 0;
    for await (const payload of this.#payloads(subject)) {
      hash.update(payload);
      chunks++;
      bytes += payload.byteLength;
      yield payload;
    }
    if (chunks < record.chunks) throw damaged(record, `${record.chunks - chunks} of its chunks are missing`);
    if (bytes !== record.size || digestOf(hash.digest()) !== record.digest)
      throw damaged(record, 'its digest is another');
  }

  /** All that is stored on a subject now. */
  async *#payloads(subject: string): AsyncGenerator<Uint8Array> {
    const last = await this.#log.last(subject);
    if (last === undefined) return;
    const range = { fromSeq: 1, throughSeq: last.seq, clock: this.#clock };
    for await (const { payload } of readRange(this.#log, subject, range)) yield payload;
  }

  async #removeChunks(id: string): Promise<void> {
    const subject = this.#subjects.chunks(id);
    const last = await this.#log.last(subject);
    if (last !== undefined) await this.#log.purge(subject, last.seq + 1);
  }
}

/** The same bytes, in pieces of one size; the last one may be smaller. */
async function* rechunked(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let buffer = new Uint8Array(size);
  let filled = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.byteLength;) {
      const taken = Math.min(size - filled, piece.byteLength - at);
      buffer.set(piece.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < size) continue;
      yield buffer;
      buffer = new Uint8Array(size);
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}

function infoOf({ name, size, mtime }: ObjectRecord): ObjectInfo {
  return { name, bytes: size, storedAtMs: Date.parse(mtime) };
}

function taken(name: string): GroundswellError {
  return new GroundswellError('GS_LOG', `There is an object ${name} already: objects are never changed.`, {
    remedy: 'Give another name, or remove the object first.',
  });
}

function refused(subject: string, cause: string): GroundswellError {
  return new GroundswellError('GS_LOG', `The object store did not take ${subject}: ${cause}.`);
}

function damaged({ name }: ObjectRecord, why: string): GroundswellError {
  return new GroundswellError('GS_DATA_CORRUPT', `The object ${name} is damaged: ${why}.`, {
    remedy: 'Take an older object; this one can be deleted.',
  });
}
