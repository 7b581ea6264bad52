/** What a store and the thread that writes for it say to each other. */
import type { PackedChanges } from '../../partition/changes.js';

export interface WriteTarget {
  readonly folder: string;
  readonly partitions: number;
}

/** Of one partition, as it is stored. */
export interface PackedUpdate {
  readonly partition: number;
  readonly position: { readonly key: string; readonly value: Uint8Array };
  readonly changes: PackedChanges;
}

/** Updates that are one transaction; undefined when there are no more. */
export type ToWriter = readonly PackedUpdate[] | undefined;

/** One for each transaction, in their order: what it failed with, if it did. */
export interface FromWriter {
  readonly failure: Error | undefined;
}
