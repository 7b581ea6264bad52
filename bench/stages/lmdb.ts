/** What does it cost to write a changed actor into the snapshots? Baseline: bare puts into one database. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { LmdbStore } from '../../src/state/lmdb/lmdb-store.js';
import type { SnapshotUpdate } from '../../src/state/store.js';
import { emptyPartition, framesOf, pingsOfPartition, sample } from './sample.js';
import { encodeControl } from '../../src/partition/journal.js';
import { encodeEventFrame } from '../../src/partition/frame.js';
import type { Stage } from '../stage.js';

const PARTITIONS = 16;

export const lmdb: Stage = {
  name: 'LMDB write',
  question:
    'What does it cost to write a changed actor into the snapshots, in one transaction over all partitions?',
  operation: 'actor',
  async prepare(size) {
    const { market, pings } = sample(size);
    const updates = Array.from({ length: PARTITIONS }, (_, p): SnapshotUpdate => {
      const partition = emptyPartition(market, p);
      framesOf(pingsOfPartition(pings, p)).forEach((frame, i) =>
        partition.acceptEvents(encodeEventFrame(frame), i + 1, 0),
      );
      const { control, changes } = partition.takeCommit()!.entry;
      return { partition: p, journalSeq: 1, control: encodeControl(control), commits: [changes] };
    });
    // Looked at beforehand: a bare put is one of a record that is at hand.
    const records = updates.flatMap(({ commits: [changes] }) => [...changes!]);
    const actors = records.length;
    const folder = await mkdtemp(join(tmpdir(), 'groundswell-bench-'));
    const store = await LmdbStore.open(join(folder, 'store'), { region: 'sf', partitions: PARTITIONS });
    const bare = open<Uint8Array, string>({
      path: join(folder, 'bare'),
      encoding: 'binary',
      noMemInit: true,
    });
    return {
      candidates: [
        {
          name: 'LmdbStore.write',
          operations: actors,
          async run() {
            await store.write(updates);
            return actors;
          },
        },
        {
          name: 'bare puts in one transaction',
          operations: actors,
          async run() {
            let put = 0;
            await bare.transaction(() => {
              for (const { id, bytes } of records) {
                bare.putSync(id, bytes as Buffer);
                put++;
              }
            });
            return put;
          },
        },
      ],
      async close() {
        await store.close();
        await bare.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  },
};
