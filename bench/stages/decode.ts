/** What does it cost to get the events out of a frame? Baselines: JSON, and msgpackr without records. */
import { Packr } from 'msgpackr';
import { decodeEventFrame, encodeEventFrame, type EventFrame } from '../../src/partition/frame.js';
import type { Stage } from '../stage.js';
import { framesOf, sample } from './sample.js';

export const decode: Stage = {
  name: 'decode',
  question: 'What does it cost to get the events out of a frame?',
  operation: 'event',
  prepare(size) {
    const { pings } = sample(size);
    const frames = framesOf(pings.slice(0, 16_384));
    const operations = frames.reduce((sum, { events }) => sum + events.length, 0);
    const plain = new Packr({ useRecords: false });
    const summed = (encoded: readonly Uint8Array[], open: (bytes: Uint8Array) => EventFrame) => () => {
      let sum = 0;
      for (const bytes of encoded) for (const { ts } of open(bytes).events) sum += ts % 1000;
      return sum;
    };
    return {
      candidates: [
        { name: 'decodeEventFrame', operations, run: summed(frames.map(encodeEventFrame), decodeEventFrame) },
        {
          name: 'msgpackr, maps',
          operations,
          run: summed(
            frames.map((frame) => plain.pack(frame)),
            (bytes) => plain.unpack(bytes) as EventFrame,
          ),
        },
        {
          name: 'JSON',
          operations,
          run: summed(
            frames.map((frame) => Buffer.from(JSON.stringify(frame))),
            (bytes) => JSON.parse((bytes as Buffer).toString()) as EventFrame,
          ),
        },
      ],
    };
  },
};
