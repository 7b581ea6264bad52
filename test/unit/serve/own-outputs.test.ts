// Hunts outputs that a publisher misses or gets twice where what it is told and what it reads from the stream meet.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogMessage } from '../../../src/log/log.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { OwnOutputs, type PartitionOutputs } from '../../../src/serve/own-outputs.js';
import { until } from '../../support/until.js';

const SUBJECT = 'gs.x.p.000.out';
const OUTPUT_BYTES = 10;
const nothing = (): void => undefined;

class Writer {
  readonly log = new MemoryLog();
  readonly written: number[] = [];

  /** Stores outputs of one commit; others of the stream are between. */
  store(count: number): LogMessage[] {
    this.log.appendNow([{ subject: 'gs.x.p.000.journal', payload: new Uint8Array(1) }]);
    return Array.from({ length: count }, () => {
      const payload = new Uint8Array(OUTPUT_BYTES);
      const outcome = this.log.appendNow([{ subject: SUBJECT, payload }]);
      if (outcome.outcome !== 'committed') throw new Error(outcome.cause);
      this.written.push(outcome.firstSeq);
      return { subject: SUBJECT, seq: outcome.firstSeq, payload };
    });
  }
}

function takeAll(reader: PartitionOutputs): number[] {
  const seqs: number[] = [];
  for (let taken = reader.take(25); taken.length > 0; taken = reader.take(25))
    seqs.push(...taken.map(({ seq }) => seq));
  if (reader.failure !== undefined) throw reader.failure;
  return seqs;
}

describe('OwnOutputs', () => {
  it('P3 gives each output once, in order, whatever was stored before and however far its reader is behind', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('commit' as const), count: fc.integer({ min: 0, max: 4 }) }),
      fc.record({ kind: fc.constant('take' as const), bytes: fc.integer({ min: 1, max: 60 }) }),
      fc.record({ kind: fc.constant('wait' as const) }),
      fc.record({ kind: fc.constant('reopen' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 5 }), fc.array(step, { maxLength: 40 }), async (before, steps) => {
        const writer = new Writer();
        writer.store(before);
        const outputs = new OwnOutputs(writer.log, 5 * OUTPUT_BYTES);
        outputs.begin(SUBJECT);
        const given: number[] = [];
        let reader = await outputs.read(SUBJECT, 1, nothing);
        for (const one of steps) {
          if (one.kind === 'commit') outputs.committed(writer.store(one.count));
          else if (one.kind === 'take') given.push(...reader.take(one.bytes).map(({ seq }) => seq));
          else if (one.kind === 'wait') await Promise.resolve();
          else {
            await reader.close();
            reader = await outputs.read(SUBJECT, (given.at(-1) ?? 0) + 1, nothing);
          }
        }
        const lastSeq = writer.written.at(-1) ?? 0;
        expect(await reader.lastSeq()).toBe(lastSeq);
        await until('all are given', () => {
          given.push(...takeAll(reader));
          return (given.at(-1) ?? 0) >= lastSeq;
        });
        expect(given).toEqual(writer.written);
        expect(takeAll(reader)).toEqual([]);
        expect(reader.bufferedBytes).toBe(0);
        await reader.close();
      }),
      { numRuns: 300 },
    );
  });

  it('does not read the stream again while its reader keeps up, and does when more waits than may', async () => {
    const writer = new Writer();
    let reads = 0;
    const read = writer.log.read.bind(writer.log);
    writer.log.read = (...args) => {
      reads++;
      return read(...args);
    };
    const outputs = new OwnOutputs(writer.log, 3 * OUTPUT_BYTES);
    outputs.begin(SUBJECT);
    let woken = 0;
    const reader = await outputs.read(SUBJECT, 1, () => woken++);
    for (let i = 0; i < 10; i++) {
      outputs.committed(writer.store(2));
      expect(takeAll(reader)).toHaveLength(2);
    }
    expect(reads).toBe(0);
    for (let i = 0; i < 3; i++) outputs.committed(writer.store(2));
    expect(reads).toBe(1);
    expect(reader.bufferedBytes).toBeLessThanOrEqual(3 * OUTPUT_BYTES);
    await reader.close();
    const before = woken;
    outputs.committed(writer.store(1));
    expect(woken).toBe(before);
  });

  it('P1 what another node has written between two ownerships of this one is not passed over', async () => {
    const writer = new Writer();
    const outputs = new OwnOutputs(writer.log);
    outputs.begin(SUBJECT);
    const first = await outputs.read(SUBJECT, 1, nothing);
    outputs.committed(writer.store(1));
    outputs.end(SUBJECT);
    const theirs = writer.store(1).map(({ seq }) => seq);
    outputs.begin(SUBJECT);
    const ours = writer.store(1);
    outputs.committed(ours);
    // Whoever began before goes only as far as it was told.
    const before = takeAll(first);
    expect(before).toEqual([writer.written[0]]);
    expect(await first.lastSeq()).toBe(writer.written[0]);
    const second = await outputs.read(SUBJECT, before.at(-1)! + 1, nothing);
    expect(takeAll(second)).toEqual([...theirs, ours[0]!.seq]);
    await Promise.all([first.close(), second.close()]);
  });

  it('of a partition that is not owned here it reads the stream, as it goes on', async () => {
    const writer = new Writer();
    const outputs = new OwnOutputs(writer.log);
    writer.store(1);
    const reader = await outputs.read(SUBJECT, 1, nothing);
    writer.store(2);
    expect(await reader.lastSeq()).toBe(writer.written.at(-1));
    expect(takeAll(reader)).toEqual(writer.written);
    await reader.close();
  });

  it('fails when the stream cannot be read', async () => {
    const writer = new Writer();
    const outputs = new OwnOutputs(writer.log, OUTPUT_BYTES);
    outputs.begin(SUBJECT);
    let woken = 0;
    const reader = await outputs.read(SUBJECT, 1, () => woken++);
    writer.log.read = () => Promise.reject(new Error('no'));
    outputs.committed(writer.store(1));
    outputs.committed(writer.store(1));
    await until('it says so', () => reader.failure !== undefined);
    expect(reader.failure).toMatchObject({ message: 'no' });
    expect(woken).toBe(3);
    await reader.close();
    writer.store(1);
    await expect(outputs.read(SUBJECT, 1, nothing)).rejects.toThrow('no');
  });
});
