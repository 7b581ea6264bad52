// Hunts: what a replay that has ended left, closed in the small pieces of a live minute, of which each is committed.
import { describe, expect, it } from 'vitest';
import type { NodeLimits } from '../../../src/node/node.js';
import type { NodeStats } from '../../../src/node/status.js';
import { Engine } from '../../support/engine.js';
import { EagerClock } from '../../support/eager-clock.js';
import { CELLS, MINUTE, ping, T0 } from '../../support/market.js';

const DRIVERS = 300;

/** What it took to close all that a replay left, of drivers of one minute. */
async function afterReplay(limits: Partial<NodeLimits>, wasFedLive: boolean): Promise<NodeStats> {
  // Long before the events: no clock closes them.
  const clock = new EagerClock(T0 - 1_000 * MINUTE);
  const engine = await Engine.start({ limits, clock, frameEvents: DRIVERS });
  if (wasFedLive) await engine.producer('now', engine.log, 'live').end();
  const producer = engine.producer();
  await producer.send(Array.from({ length: DRIVERS }, (_, i) => ping(`d-${i}`, 0, CELLS[i % CELLS.length]!)));
  const { rows } = await engine.results(await producer.end());
  const stats = { ...engine.node.stats };
  await engine.stop();
  expect(rows.length).toBeGreaterThan(0);
  return stats;
}

describe('a turn, when a replay has ended with much to close', () => {
  it.each<[string, Partial<NodeLimits>, keyof NodeStats]>([
    [
      'does not commit what each turn has closed',
      { turnTimersMax: 20, commitEveryMs: 0, replayCommitEveryMs: 60 * MINUTE },
      'batches',
    ],
    ['closes without looking at the time', { turnTimersMs: 0 }, 'steps'],
  ])('%s, unless the region was fed live', async (_, limits, counted) => {
    const [replayed, live] = [await afterReplay(limits, false), await afterReplay(limits, true)];
    expect(replayed[counted]).toBeLessThan(live[counted] / 2);
  });
});
