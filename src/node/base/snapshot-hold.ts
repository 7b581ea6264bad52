/**
 * A hold: an object that says that a snapshot of the region is being taken, so that no journal is purged and no base is
 * removed meanwhile. It is set before the cut is chosen, and what was decided before that is behind the cut: so all that
 * the snapshot reads stays. One that nobody lifted, because its process died, counts no longer after a while.
 */
import type { Clock } from '../../core/clock.js';
import type { ObjectInfo, ObjectStore } from '../../log/objects.js';

const PREFIX = 'hold/';
const HOLD_MS = 2 * 3_600_000;

export async function withHold<T>(
  objects: ObjectStore,
  clock: Clock,
  id: string,
  work: () => Promise<T>,
): Promise<T> {
  const name = `${PREFIX}${id}`;
  await removeOld(objects, clock.now());
  await objects.put(name, nothing());
  try {
    return await work();
  } finally {
    await objects.remove(name);
  }
}

export function isHeld(all: readonly ObjectInfo[], nowMs: number): boolean {
  return all.some((info) => info.name.startsWith(PREFIX) && isFresh(info, nowMs));
}

async function removeOld(objects: ObjectStore, nowMs: number): Promise<void> {
  for (const info of await objects.list())
    if (info.name.startsWith(PREFIX) && !isFresh(info, nowMs)) await objects.remove(info.name);
}

function isFresh({ storedAtMs }: ObjectInfo, nowMs: number): boolean {
  return nowMs - storedAtMs < HOLD_MS;
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // An empty object: its name says it all.
}
