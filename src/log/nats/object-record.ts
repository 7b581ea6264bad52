/**
 * How an object of the object store looks on the wire: chunks on one subject, then a record of them on another, so that an
 * object is there when its record is. Other tools (`nats object`) read and write the same.
 *
 * Source: NATS ADR-20, JetStream based object stores.
 */
import { GroundswellError } from '../../core/errors.js';

export interface ObjectRecord {
  readonly name: string;
  readonly bucket: string;
  /** Names the chunks. */
  readonly nuid: string;
  readonly size: number;
  readonly chunks: number;
  /** `SHA-256=` and the digest in base64url, with its padding. */
  readonly digest: string;
  /** Wall time at which it was stored, ISO 8601. */
  readonly mtime: string;
  /** It was removed by a tool that leaves a note of it. */
  readonly deleted?: boolean;
}

export const CHUNK_BYTES = 128 * 1024;

export class BucketSubjects {
  readonly #bucket: string;

  constructor(bucket: string) {
    this.#bucket = bucket;
  }

  get stream(): string {
    return `OBJ_${this.#bucket}`;
  }
  get all(): string[] {
    return [this.chunks('>'), `$O.${this.#bucket}.M.>`];
  }
  get records(): string {
    return `$O.${this.#bucket}.M.>`;
  }
  record(name: string): string {
    return `$O.${this.#bucket}.M.${padded(Buffer.from(name).toString('base64url'))}`;
  }
  chunks(nuid: string): string {
    return `$O.${this.#bucket}.C.${nuid}`;
  }
  /** Name of the chunks on a subject. */
  nuidOf(subject: string): string {
    return subject.slice(this.chunks('').length);
  }
}

export function digestOf(sha256: Buffer): string {
  return `SHA-256=${padded(sha256.toString('base64url'))}`;
}

export function encodeRecord(record: ObjectRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ ...record, options: { max_chunk_size: CHUNK_BYTES } }));
}

/** Undefined for the note of an object that was removed. */
export function decodeRecord(payload: Uint8Array): ObjectRecord | undefined {
  let record: ObjectRecord;
  try {
    record = JSON.parse(new TextDecoder().decode(payload)) as ObjectRecord;
  } catch (cause) {
    throw new GroundswellError('GS_DATA_CORRUPT', 'A record of the object store is no JSON.', {
      cause,
      remedy: 'Restore the object store from a copy, or delete the object.',
    });
  }
  return record.deleted === true ? undefined : record;
}

function padded(base64url: string): string {
  return base64url.padEnd(Math.ceil(base64url.length / 4) * 4, '=');
}
