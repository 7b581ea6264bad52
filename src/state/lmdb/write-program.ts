/** The thread's end of `WriteThread`: writes what it is told, a transaction after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { errorOf } from '../../core/errors.js';
import { PackedReader } from '../../partition/changes.js';
import { openDatabases, openRoot } from './databases.js';
import { keyOrder } from './key-order.js';
import { seal, sealInPlace } from './sealed.js';
import type { FromWriter, PackedUpdate, ToWriter, WriteTarget } from './write-messages.js';

const NOTHING = new Uint8Array();
/** What a transaction failed with. None follows it: a position would stand for changes that were not written (P5). */
let failure: Error | undefined;

const port = parentPort!;
const { folder, partitions } = workerData as WriteTarget;
const root = openRoot(folder, partitions);
const databases = openDatabases(root, partitions);

port.on('message', (updates: ToWriter) => {
  if (updates === undefined) {
    root.close().then(end, end);
    return;
  }
  if (failure === undefined) {
    try {
      root.transactionSync(() => {
        updates.forEach(write);
      });
    } catch (error) {
      failure = errorOf(error);
    }
  }
  port.postMessage({ failure } satisfies FromWriter);
});

function write({ partition, position, changes }: PackedUpdate): void {
  const { actors, timed } = databases.partitions[partition]!;
  const packed = new PackedReader(changes);
  const { bytes, from, to } = packed.ids;
  for (const i of keyOrder(packed.ids)) {
    const { id, bytes: record, timed: hasTimers, timedAsBefore } = packed.at(i);
    if (record === undefined) actors.removeSync(id);
    // Before a record stand the end of its id, its flags and its length, which are not read again.
    else actors.putSync(id, sealInPlace(bytes, from[i]!, to[i]!, record));
    if (timedAsBefore === true) continue;
    if (hasTimers) timed.putSync(id, seal(id, NOTHING));
    else timed.removeSync(id);
  }
  databases.positions.putSync(position.key, position.value);
}

function end(): void {
  port.close();
}
