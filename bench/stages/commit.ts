/** What does it cost to turn changed actors into journal frames? Baselines: one msgpackr frame of all, and JSON. */
import { pack } from 'msgpackr';
import { encodeCommit } from '../../src/node/batch-assembly.js';
import { decodeActor } from '../../src/partition/actor-record.js';
import { encodeEventFrame } from '../../src/partition/frame.js';
import type { Partition } from '../../src/partition/partition.js';
import type { Stage } from '../stage.js';
import { emptyPartition, framesOf, pingsOfPartition, sample } from './sample.js';

const FRAME_BYTES_MAX = 1024 * 1024;

export const commit: Stage = {
  name: 'commit encode',
  question: 'What does it cost to turn changed actors into journal frames?',
  operation: 'actor',
  prepare(size) {
    const { market, pings } = sample(size);
    // One minute: each driver has a dozen pings that are not sealed yet, as in the middle of a step.
    const minute = pingsOfPartition(pings, 3).filter(({ ts }) => ts < pings[0]!.ts + 55_000);
    const frames = framesOf(minute).map(encodeEventFrame);
    const changed = (): Partition => {
      const partition = emptyPartition(market, 3);
      frames.forEach((bytes, i) => partition.acceptEvents(bytes, i + 1, 0));
      return partition;
    };
    const { changes } = changed().takeCommit()!.entry;
    const states = [...changes].map(({ id, bytes }) => {
      const { state, timers } = decodeActor(bytes!);
      return { id, state, timers: [...(timers ?? [])] };
    });
    let partition: Partition;
    return {
      candidates: [
        {
          name: 'takeCommit and encodeCommit',
          operations: changes.length,
          prepare() {
            partition = changed();
          },
          run: () => encodeCommit(partition.takeCommit()!, FRAME_BYTES_MAX).commit.entry.changes.length,
        },
        {
          name: 'one msgpackr frame',
          operations: states.length,
          run: () => (pack(states).byteLength > 0 ? states.length : 0),
        },
        {
          name: 'JSON per actor',
          operations: states.length,
          run() {
            let encoded = 0;
            for (const state of states) if (Buffer.from(JSON.stringify(state)).byteLength > 0) encoded++;
            return encoded;
          },
        },
      ],
    };
  },
};
