/**
 * What does a partition's step cost per ping: decode, find the driver, its handler, its timers, sealing its minutes,
 * mail to the cells merged? Baselines: decoding the same frames alone, and a hand-written count per driver and cell
 * behind the same decoding, which keeps nothing, seals nothing and knows no time.
 */
import { decodeEventFrame, encodeEventFrame } from '../../src/partition/frame.js';
import type { Partition } from '../../src/partition/partition.js';
import type { Stage } from '../stage.js';
import type { Ping } from '../workload.js';
import { emptyPartition, framesOf, pingsOfPartition, sample } from './sample.js';

export const handler: Stage = {
  name: 'handler',
  question: "What does a partition's step cost per ping, seal included?",
  operation: 'event',
  prepare(size) {
    const { market, pings } = sample(size);
    const frames = framesOf(pingsOfPartition(pings, 3));
    const operations = frames.reduce((sum, { events }) => sum + events.length, 0);
    const encoded = frames.map(encodeEventFrame);
    let partition: Partition;
    return {
      candidates: [
        {
          name: 'Partition, decoding included',
          operations,
          prepare() {
            partition = emptyPartition(market, 3);
          },
          run() {
            let events = 0;
            encoded.forEach((bytes, i) => {
              events += partition.acceptEvents(bytes, i + 1, 0);
              partition.advance(0);
            });
            return partition.activations > 0 ? events : 0;
          },
        },
        {
          name: 'decoding alone',
          operations,
          run() {
            let events = 0;
            for (const bytes of encoded) events += decodeEventFrame(bytes).events.length;
            return events;
          },
        },
        {
          name: 'decoding and two Maps',
          operations,
          run() {
            const drivers = new Map<string, Ping>();
            const cells = new Map<string, number>();
            let events = 0;
            for (const bytes of encoded) {
              for (const event of decodeEventFrame(bytes).events as readonly Ping[]) {
                drivers.set(event.driverId, event);
                const key = `${event.cell}/${Math.floor(event.ts / 60_000)}`;
                cells.set(key, (cells.get(key) ?? 0) + 1);
                events++;
              }
            }
            return drivers.size > 0 && cells.size > 0 ? events : 0;
          },
        },
      ],
    };
  },
};
