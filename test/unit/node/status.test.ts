// Hunts: a node that tells what is not committed yet, or lets a clock that went back pass without a word.
import { describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '../../../src/core/clock.js';
import { actorId, type WallTimeMs } from '../../../src/core/ids.js';
import { Engine, newLog } from '../../support/engine.js';
import { CELLS, MINUTE, ping } from '../../support/market.js';
import { MemoryStore } from '../../../src/state/memory/memory-store.js';
import { until } from '../../support/until.js';

/** Wall time that stands. */
const clockAt = (ms: number): Clock => ({
  now: () => ms as WallTimeMs,
  monotonic: () => systemClock.monotonic(),
  after: (delayMs, callback) => systemClock.after(delayMs, callback),
});

describe('a node', () => {
  it('P4 tells of an actor, and of its partitions, what is committed', async () => {
    const engine = await Engine.start();
    const producer = engine.producer();
    await producer.send([ping('d-1', 0, CELLS[0]), ping('d-1', 2 * MINUTE, CELLS[1])]);
    await producer.producer.flush();
    const id = actorId('driver', 'd-1');
    await until('the driver is there', async () => (await engine.node.inspect(id)) !== undefined);
    const view = (await engine.node.inspect(id))!;
    const status = engine.node.status();
    const partition = status.partitions.find((one) => one.partition === view.partition)!;
    expect(view).toMatchObject({ id, type: 'driver', key: 'd-1', stage: 0 });
    expect(partition.commit).toBeGreaterThanOrEqual(view.commit);
    expect(status).toMatchObject({ state: 'running', region: 'sf', partitionCount: 4, clockBehindMs: 0 });
    expect(await engine.node.inspect(actorId('driver', 'nobody'))).toBeUndefined();
    expect(await engine.node.inspect(actorId('nothing', 'x'))).toBeUndefined();
    await engine.stop();
    expect(engine.node.status().state).toBe('stopped');
  });

  it('says how far its clock is behind the last commit', async () => {
    const log = newLog();
    const store = new MemoryStore();
    const first = await Engine.start({ log, store, clock: clockAt(10 * MINUTE) });
    const producer = first.producer();
    await producer.send([ping('d-1', 0, CELLS[0])]);
    await producer.producer.flush();
    await until('it is committed', () => first.node.status().partitions.some(({ commit }) => commit > 0));
    await first.stop();
    const second = await Engine.start({ log, store, clock: clockAt(4 * MINUTE) });
    expect(second.node.status().clockBehindMs).toBe(6 * MINUTE);
    await second.stop();
  });
});
