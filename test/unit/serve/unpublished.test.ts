// Hunts rows that a region has committed and nobody has published, taken for published.
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { Subjects } from '../../../src/log/subjects.js';
import { encodeOutput, type SideOutput } from '../../../src/partition/output.js';
import { RowBlocks } from '../../../src/partition/row-block.js';
import { OwnOutputs } from '../../../src/serve/own-outputs.js';
import { Publisher, aggregateTarget, sideTarget } from '../../../src/serve/publisher.js';
import { unpublished } from '../../../src/serve/unpublished.js';

const subjects = new Subjects('sf');

function frame(what: 'row' | 'side' | 'nothing'): Uint8Array {
  const rows = new RowBlocks();
  if (what === 'row') {
    rows.add({
      ...{
        region: 'sf',
        level: 'gh4',
        key: '9q8y',
        window: '1m',
        start: 0,
        end: 60_000,
        rev: 0,
        final: true,
      },
      ...{ features: { requests: 1 }, watermark: 1, completeness: { expected: 1, reported: 1 } },
    });
  }
  const side: SideOutput = { kind: 'late', type: 'x', body: {} };
  const output = { progress: null, blocks: rows.take(), sides: what === 'side' ? [side] : [], shown: [] };
  return encodeOutput(output, 1_000_000)[0]!;
}

describe('unpublished', () => {
  const source = new MemoryLog();
  const outputs = new OwnOutputs(source);
  const aggregates = new MemoryLog();
  const sides = new MemoryLog();
  const count = (): Promise<number> =>
    unpublished({ source, aggregates, sides, subjects, partitions: 2, clock: systemClock });
  const says = async (partition: number, what: 'row' | 'side' | 'nothing'): Promise<void> => {
    await source.append([{ subject: subjects.out(partition), payload: frame(what) }]);
  };
  const publish = async (): Promise<void> => {
    for (const target of [aggregateTarget(aggregates, subjects), sideTarget(sides, subjects)]) {
      for (const partition of [0, 1]) {
        const publisher = new Publisher({ outputs, target, subjects, partition, clock: systemClock });
        await publisher.start();
        await publisher.stop();
      }
    }
  };

  it('counts outputs behind the cursors that hold something; rows only where rows are published', async () => {
    expect(await count()).toBe(0);
    await says(0, 'row');
    await says(1, 'nothing');
    expect(await count()).toBe(0);
    await says(1, 'side');
    expect(await count()).toBe(1);
    await publish();
    expect(await count()).toBe(0);
    await says(0, 'nothing');
    expect(await count()).toBe(0);
    await says(0, 'row');
    await says(1, 'row');
    await says(1, 'side');
    expect(await count()).toBe(3);
    await publish();
    expect(await count()).toBe(0);
  });
});
