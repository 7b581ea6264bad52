/**
 * Makes a partition's base snapshot from the local snapshot, and fills a local snapshot from one. A base is a copy of the
 * state at one place of the journal (P5): together with the journal after that place it is all that a partition is.
 */
import type { Clock } from '../../core/clock.js';
import { GroundswellError } from '../../core/errors.js';
import type { ObjectStore } from '../../log/objects.js';
import type { BasePointer } from '../../partition/journal.js';
import type { SnapshotStore } from '../../state/store.js';
import { decodeBase, encodeBase } from './base-format.js';
import { baseName, parseBaseName } from './base-name.js';

export interface MakeBaseOptions {
  readonly store: SnapshotStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly region: string;
  readonly partitions: number;
  readonly partition: number;
  readonly epoch: number;
  /** Who makes it: a name that no two processes share. */
  readonly instance: string;
  /** Asked while it is made: it is broken off when nobody wants it any more. */
  readonly unwanted?: () => boolean;
}

/** Undefined when the store knows nothing of the partition. */
export async function makeBase(options: MakeBaseOptions): Promise<BasePointer | undefined> {
  const { store, objects, clock, region, partitions, partition } = options;
  const exported = store.export(partition);
  if (exported === undefined) return undefined;
  try {
    const { journalSeq, control } = exported.position;
    const name = baseName({ ...options, journalSeq });
    const madeAtMs = clock.now();
    // Made before, and the commit that was to name it did not come about.
    const before = (await objects.list()).find((info) => info.name === name);
    if (before !== undefined) return { name, journalSeq, madeAtMs, bytes: before.bytes };
    const header = { region, partitions, partition, journalSeq, control };
    const { bytes } = await objects.put(
      name,
      encodeBase(header, wanted(exported.bites, options.unwanted), clock),
    );
    return { name, journalSeq, madeAtMs, bytes };
  } finally {
    exported.close();
  }
}

function* wanted<T>(bites: Iterable<T>, unwanted: () => boolean = () => false): Generator<T> {
  for (const bite of bites) {
    if (unwanted()) throw new GroundswellError('GS_LOG', 'The base snapshot is not wanted any more.');
    yield bite;
  }
}

/**
 * Replaces what the store knows of a partition by a base snapshot: the one that the pointer names, or, when that is missing
 * or damaged, the newest older one.
 * @throws GroundswellError GS_STREAM_LOST when there is none that is whole
 */
export async function restoreBase(
  pointer: BasePointer,
  partition: number,
  store: SnapshotStore,
  objects: ObjectStore,
): Promise<void> {
  let cause: unknown;
  const isRestored = async (name: string): Promise<boolean> => {
    try {
      return await restoreFrom(name, partition, store, objects);
    } catch (error) {
      if (!(error instanceof GroundswellError) || error.code !== 'GS_DATA_CORRUPT') throw error;
      cause ??= error;
      return false;
    }
  };
  if (await isRestored(pointer.name)) return;
  for (const name of await olderBases(pointer, partition, objects)) if (await isRestored(name)) return;
  await store.clear(partition);
  throw new GroundswellError(
    'GS_STREAM_LOST',
    `The base snapshot ${pointer.name} of partition ${partition} is ${cause === undefined ? 'missing' : 'damaged'}, and there is no older one.`,
    {
      cause,
      remedy:
        'Restore the region from a snapshot of it: groundswell snapshot --list shows them, groundswell restore takes one.',
    },
  );
}

async function restoreFrom(
  name: string,
  partition: number,
  store: SnapshotStore,
  objects: ObjectStore,
): Promise<boolean> {
  const chunks = await objects.get(name);
  if (chunks === undefined) return false;
  const { header, records } = await decodeBase(`The base snapshot ${name}`, chunks);
  if (header.partition !== partition) {
    throw new GroundswellError(
      'GS_DATA_CORRUPT',
      `The base snapshot ${name} is of partition ${header.partition}, not of ${partition}.`,
    );
  }
  await store.import(partition, header, records);
  return true;
}

async function olderBases(
  pointer: BasePointer,
  partition: number,
  objects: ObjectStore,
): Promise<readonly string[]> {
  return (await objects.list())
    .flatMap(({ name }) => parseBaseName(name) ?? [])
    .filter((base) => base.partition === partition && base.name !== pointer.name)
    .filter((base) => base.journalSeq <= pointer.journalSeq)
    .sort((a, b) => b.journalSeq - a.journalSeq)
    .map(({ name }) => name);
}
