/** What does a producer pay to pack events into a frame? Baseline: JSON. */
import { encodeEventFrame } from '../../src/partition/frame.js';
import type { Stage } from '../stage.js';
import { framesOf, sample } from './sample.js';

export const pack: Stage = {
  name: 'pack',
  question: 'What does it cost to pack events into a frame?',
  operation: 'event',
  prepare(size) {
    const { pings } = sample(size);
    const frames = framesOf(pings.slice(0, 16_384));
    const operations = frames.reduce((sum, { events }) => sum + events.length, 0);
    return {
      candidates: [
        {
          name: 'encodeEventFrame',
          operations,
          run: () => frames.reduce((bytes, frame) => bytes + encodeEventFrame(frame).byteLength, 0),
        },
        {
          name: 'JSON',
          operations,
          run: () =>
            frames.reduce((bytes, frame) => bytes + Buffer.from(JSON.stringify(frame)).byteLength, 0),
        },
      ],
    };
  },
};
