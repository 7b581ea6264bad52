/** What does a six-character geohash cost? Baseline: ngeohash, which gives the same for every point. */
import ngeohash from 'ngeohash';
import { geohash30, geohash30Text } from '../../src/core/geohash.js';
import type { Stage } from '../stage.js';
import { sample } from './sample.js';

export const geohash: Stage = {
  name: 'geohash',
  question: 'What does the six-character geohash of a point cost?',
  operation: 'point',
  prepare(size) {
    const { pings } = sample(size);
    const points = pings.slice(0, 20_000).map(({ lat, lon }) => ({ lat, lon }));
    const summed = (encode: (lat: number, lon: number) => string) => () => {
      let sum = 0;
      for (const { lat, lon } of points) {
        const text = encode(lat, lon);
        sum += text.charCodeAt(5) + text.charCodeAt(4) * 128;
      }
      return sum;
    };
    return {
      candidates: [
        {
          name: 'geohash30 and its text',
          operations: points.length,
          run: summed((lat, lon) => geohash30Text(geohash30(lat, lon))),
        },
        {
          name: 'ngeohash',
          operations: points.length,
          run: summed((lat, lon) => ngeohash.encode(lat, lon, 6)),
        },
      ],
    };
  },
};
