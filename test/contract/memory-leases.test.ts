// Hunts, beyond the contract: a node that is cut off and still hears, or that comes back and is not told what it missed.
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/core/clock.js';
import { MemoryLeases, MemoryLeaseServer } from '../../src/log/memory/memory-leases.js';
import { turns } from '../support/until.js';
import { Heard, leasesContract } from './leases.contract.js';

leasesContract('MemoryLeases', () => {
  const clock = new VirtualClock(1_000);
  const server = new MemoryLeaseServer(clock);
  return Promise.resolve({
    client: () => new MemoryLeases(server),
    settle: () => turns(2),
    now: () => clock.monotonic(),
    until: async (what, condition) => {
      const endMs = clock.monotonic() + 20_000;
      for (;;) {
        await turns(2);
        if (await condition()) return;
        if (clock.monotonic() > endMs) throw new Error(`not within 20 s: ${what}`);
        clock.advance(50);
      }
    },
  });
});

describe('a client that is cut off', () => {
  const value = new Uint8Array([120]);

  async function cutOff(): Promise<{
    clock: VirtualClock;
    here: MemoryLeases;
    there: MemoryLeases;
    heard: Heard;
  }> {
    const clock = new VirtualClock();
    const server = new MemoryLeaseServer(clock);
    const here = new MemoryLeases(server);
    const there = new MemoryLeases(server);
    const heard = await Heard.of(here);
    for (const name of ['stays', 'renewed', 'given-up', 'runs-out'])
      await there.write({ name, value, ttlMs: name === 'runs-out' ? 1_000 : 60_000 });
    await turns(2);
    heard.lines.length = 0;
    here.partitioned = true;
    return { clock, here, there, heard };
  }

  it('gets nothing through, and the others do', async () => {
    const { here, there } = await cutOff();
    expect(await here.write({ name: 'mine', value, ttlMs: 1_000 })).toMatchObject({ outcome: 'unknown' });
    for (const asked of [here.list(), here.remove('stays'), here.watch(() => undefined)])
      await expect(asked).rejects.toMatchObject({ code: 'GS_LOG' });
    expect((await there.list()).map(({ name }) => name)).toEqual([
      'stays',
      'renewed',
      'given-up',
      'runs-out',
    ]);
  });

  it('hears nothing, and when it is back only what is different', async () => {
    const { clock, here, there, heard } = await cutOff();
    await there.write({ name: 'renewed', value, ttlMs: 60_000 });
    await there.write({ name: 'new', value, ttlMs: 60_000 });
    await there.remove('given-up');
    clock.advance(2_000);
    await turns(2);
    expect(heard.lines).toEqual([]);
    here.partitioned = false;
    await turns(2);
    expect(heard.lines).toEqual(['given-up gone', 'runs-out gone', 'renewed=x', 'new=x']);
  });

  it('whose answers are lost has written all the same', async () => {
    const { here, there } = await cutOff();
    here.partitioned = false;
    here.losesAnswers = true;
    expect(await here.write({ name: 'mine', value, ttlMs: 1_000 })).toMatchObject({ outcome: 'unknown' });
    expect((await there.list()).map(({ name }) => name)).toContain('mine');
  });
});
