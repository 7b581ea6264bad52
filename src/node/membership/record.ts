/**
 * What a node tells the others of itself: the value of its lease, as JSON. A newer node may say more than this one knows,
 * which is passed over; what cannot be read, or is of a newer format, is ignored by whoever counts such things.
 */
import { z } from 'zod';

export interface NodeRecord {
  /** Kept in the node's data folder: its partitions come back to the same snapshots after a restart. One subject token. */
  readonly id: string;
  /** Of this start of the process; the writer of its journal entries. */
  readonly instance: string;
  readonly name: string;
  /** Wall time, ms UTC. */
  readonly startedAtMs: number;
  /** Its share of the partitions, against the other nodes' weights; above 0. */
  readonly weight: number;
  /** Where its HTTP server answers. */
  readonly http: string | undefined;
  readonly version: string;
  /** It hands over what it owns, and takes nothing more. */
  readonly draining: boolean;
  /** Partitions that it owns. */
  readonly owned: readonly number[];
  /** Partitions that it follows, and is at the end of their journals. */
  readonly ready: readonly number[];
}

export type DecodedRecord =
  | { readonly kind: 'record'; readonly record: NodeRecord }
  | { readonly kind: 'ignored'; readonly why: string };

const RECORD_FORMAT = 1;
const PARTITIONS_MAX = 100_000;

const text = z.string().min(1).max(256);
const partitions = z.array(z.int().nonnegative()).max(PARTITIONS_MAX);
const recordSchema = z.object({
  id: text.regex(/^[^\s.*>]+$/),
  instance: text,
  name: text,
  startedAtMs: z.int().nonnegative(),
  weight: z.number().positive(),
  http: z.string().max(2_048).optional(),
  version: text,
  draining: z.boolean(),
  owned: partitions,
  ready: partitions,
});

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeRecord(record: NodeRecord): Uint8Array {
  return encoder.encode(JSON.stringify({ format: RECORD_FORMAT, ...record }));
}

export function decodeRecord(value: Uint8Array): DecodedRecord {
  let said: unknown;
  try {
    said = JSON.parse(decoder.decode(value));
  } catch {
    return { kind: 'ignored', why: 'it is no JSON' };
  }
  const format: unknown =
    typeof said === 'object' && said !== null && 'format' in said ? said.format : undefined;
  if (format !== RECORD_FORMAT) return { kind: 'ignored', why: `its format is ${JSON.stringify(format)}` };
  const { data, error } = recordSchema.safeParse(said);
  if (error === undefined) return { kind: 'record', record: { ...data, http: data.http } };
  const [issue] = error.issues;
  return { kind: 'ignored', why: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it is faulty'}` };
}
