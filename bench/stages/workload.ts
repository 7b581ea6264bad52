/** Is generating the canonical workload a bottleneck of the canonical bench? It runs in the same process. */
import type { Stage } from '../stage.js';
import { canonicalMarket } from '../market.js';
import { CanonicalWorkload } from '../workload.js';

export const workload: Stage = {
  name: 'workload',
  question: 'What does it cost the bench itself to make an event?',
  operation: 'event',
  prepare(size) {
    const { config } = canonicalMarket({});
    const drivers = size === 'small' ? 100 : 20_000;
    const events = drivers * 6;
    return {
      candidates: [
        {
          name: 'generate',
          operations: events,
          run() {
            let sum = 0;
            for (const tick of new CanonicalWorkload({
              drivers,
              events,
              seed: 1,
              cover: config.cover,
            }).ticks())
              for (const { ts, cell } of tick) sum += (ts % 1000) + cell.charCodeAt(5);
            return sum;
          },
        },
      ],
    };
  },
};
