// Hunts: what a replay that has ended left, closed in the small pieces of a live minute, of which each is committed.
import { describe, expect, it } from 'vitest';
import { Engine } from '../../support/engine.js';
import { EagerClock } from '../../support/eager-clock.js';
import { CELLS, MINUTE, ping, T0 } from '../../support/market.js';

const DRIVERS = 300;
/** So many timers fire in a turn: to close a minute takes many turns. */
const TURN_TIMERS = 20;

/** Batches that were committed when all that was said of one minute has closed. */
async function batchesOf(mode: 'live' | 'replay'): Promise<number> {
  const limits = { turnTimersMax: TURN_TIMERS, commitEveryMs: 0, replayCommitEveryMs: 60 * MINUTE };
  // Long before the events: no clock closes them.
  const clock = new EagerClock(T0 - 1_000 * MINUTE);
  const engine = await Engine.start({ limits, clock, frameEvents: DRIVERS });
  if (mode === 'live') await engine.producer('now', engine.log, 'live').end();
  const producer = engine.producer();
  await producer.send(Array.from({ length: DRIVERS }, (_, i) => ping(`d-${i}`, 0, CELLS[i % CELLS.length]!)));
  const { rows } = await engine.results(await producer.end());
  const { batches } = engine.node.stats;
  await engine.stop();
  expect(rows.length).toBeGreaterThan(0);
  return batches;
}

describe('a turn', () => {
  it('closes what a replay left in large pieces when it has ended, unless the region is fed live', async () => {
    const [replayed, live] = [await batchesOf('replay'), await batchesOf('live')];
    expect(replayed).toBeLessThan(live / 2);
  });
});
