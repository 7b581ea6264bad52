/**
 * Identifiers and their branded types. Owns how actors, partitions and keys are written; nothing here does I/O.
 */

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** An actor's address, `type/key`: `cell/9q8yyk`, `driver/d-17`, `region/sf`. */
export type ActorId = Brand<string, 'ActorId'>;
/** Index of a partition, 0 … P-1. */
export type PartitionId = Brand<number, 'PartitionId'>;
/** Name of a region: one subject token, `[a-z0-9_-]{1,32}`. */
export type RegionName = Brand<string, 'RegionName'>;
/** A geohash of 1 to 12 characters. A cell's key has the region's cell precision (6 by default). */
export type CellKey = Brand<string, 'CellKey'>;
/** Event time: integer milliseconds since 1970-01-01 UTC, as the outside world told it. */
export type EventTimeMs = Brand<number, 'EventTimeMs'>;
/** Wall time of this machine, milliseconds since 1970-01-01 UTC. Never mixed with event time. */
export type WallTimeMs = Brand<number, 'WallTimeMs'>;
/** A stream sequence number of the log. */
export type LogSeq = Brand<number, 'LogSeq'>;

export function actorId(type: string, key: string): ActorId {
  return `${type}/${key}` as ActorId;
}

/** The type of an actor id: all before the first slash. */
export function actorType(id: ActorId): string {
  return id.slice(0, id.indexOf('/'));
}

/** The key of an actor id: all after the first slash (a key may itself hold slashes). */
export function actorKey(id: ActorId): string {
  return id.slice(id.indexOf('/') + 1);
}

/** Partition as three digits, as it stands in subjects: `007`. */
export function partitionToken(partition: number): string {
  return String(partition).padStart(3, '0');
}

export const REGION_NAME = /^[a-z0-9_-]{1,32}$/;
