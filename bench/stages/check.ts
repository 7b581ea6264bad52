/** What does it cost to tell that a raw value is an event of the region? Baseline: the zod schema that defines it. */
import { Cover, geohash30 } from '../../src/core/geohash.js';
import { EventChecker } from '../../src/ingest/check.js';
import { eventSchemas } from '../../src/ingest/event.js';
import type { Stage } from '../stage.js';
import { sample } from './sample.js';

const EVENTS = 20_000;

export const check: Stage = {
  name: 'check',
  question: 'What does it cost to tell that a raw value is an event of the region?',
  operation: 'event',
  prepare(size) {
    const { market, pings } = sample(size);
    const raws = pings.slice(0, EVENTS).map(({ cell: _, ...raw }) => raw);
    const cover = new Cover(market.config.cover);
    const checker = new EventChecker({ cover, nowMs: () => Date.now() });
    const schema = eventSchemas(() => Date.now())['driver.location'];
    return {
      candidates: [
        {
          name: 'EventChecker',
          operations: raws.length,
          run() {
            let accepted = 0;
            for (const raw of raws) if (checker.check(raw).outcome === 'accepted') accepted++;
            return accepted;
          },
        },
        {
          name: 'zod schema and cover',
          operations: raws.length,
          run() {
            let accepted = 0;
            for (const raw of raws) {
              const { success, data } = schema.safeParse(raw);
              if (success && cover.has(geohash30(data.lat, data.lon))) accepted++;
            }
            return accepted;
          },
        },
      ],
    };
  },
};
