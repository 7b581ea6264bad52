/** What does it cost to find an event's partition? Baselines: the hash over encoded bytes, and no hash at all. */
import { partitionOf } from '../../src/core/hash.js';
import { actorId } from '../../src/core/ids.js';
import type { Stage } from '../stage.js';
import { sample } from './sample.js';

const PARTITIONS = 16;

export const route: Stage = {
  name: 'route',
  question: "What does it cost to find an event's partition?",
  operation: 'event',
  prepare(size) {
    const { pings } = sample(size);
    const ids = pings.slice(0, 20_000).map(({ driverId }) => driverId);
    const known = new Map(ids.map((id) => [id, partitionOf(actorId('driver', id), PARTITIONS)]));
    const encoder = new TextEncoder();
    const summed = (partition: (id: string) => number) => () => {
      let sum = 0;
      for (const id of ids) sum += partition(id);
      return sum;
    };
    return {
      candidates: [
        {
          name: 'actorId and partitionOf',
          operations: ids.length,
          run: summed((id) => partitionOf(actorId('driver', id), PARTITIONS)),
        },
        {
          name: 'FNV-1a over UTF-8 bytes',
          operations: ids.length,
          run: summed((id) => {
            let hash = 0x811c9dc5;
            for (const byte of encoder.encode(`driver/${id}`)) hash = Math.imul(hash ^ byte, 0x01000193);
            return (hash >>> 0) % PARTITIONS;
          }),
        },
        { name: 'Map from id to partition', operations: ids.length, run: summed((id) => known.get(id)!) },
      ],
    };
  },
};
