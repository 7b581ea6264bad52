/** Hunts: a minute that is not scored, or a window that is; a corrected row with the price of the first one. */
import { describe, expect, it } from 'vitest';
import { area } from '../../../actors/area.js';
import { cell } from '../../../actors/cell.js';
import { featureNames, market, MINUTE_MS } from '../../../actors/market.js';
import { region } from '../../../actors/region.js';
import { defineActor, LinearScorer, type ActorEvent } from '../../../src/index.js';
import { Driven } from '../partition/driven.js';

const options = { windowsMs: [MINUTE_MS, 5 * MINUTE_MS], allowedLatenessMs: 10 * MINUTE_MS };
const known = new Map([
  ['1m', featureNames(MINUTE_MS)],
  ['5m', featureNames(5 * MINUTE_MS)],
]);
/** One for each request of the minute, and ten for each of the five. */
const scorer = new LinearScorer(
  {
    name: 'requests',
    version: 1,
    features: [
      { feature: 'requests', window: '1m', weight: 1, transform: { kind: 'identity' } },
      { feature: 'requests', window: '5m', weight: 10, transform: { kind: 'identity' } },
    ],
    bias: 0,
    link: 'identity',
    bounds: { min: 1, max: 3 },
    quantum: 0.5,
  },
  known,
);

/** Tells its cell of requests. */
const teller = defineActor<unknown>({
  type: 'teller',
  sends: ['cell'],
  state: () => ({}),
  events: {
    requests: {
      key: 'cell',
      handle(_, { ts, cell: key, count }, ctx) {
        const startMs = Math.floor(ts / MINUTE_MS) * MINUTE_MS;
        ctx.send('cell', key!, 'add', startMs, market.of({ requests: count as number }));
      },
    },
  },
});
const requests = (minute: number, count: number): ActorEvent => ({
  type: 'requests',
  ts: minute * MINUTE_MS,
  cell: '9q8yyk',
  count,
});

const driven = (): Driven =>
  new Driven([
    teller,
    cell({ ...options, scorer }),
    area('gh5', options),
    area('gh4', options),
    region(options),
  ]);
/** Rows of the cell by their end and window: their order among blocks says nothing. */
const told = ({ rows }: Driven): unknown[] =>
  rows
    .filter(({ level }) => level === 'cell')
    .sort((a, b) => a.end - b.end || a.window.localeCompare(b.window) || a.rev - b.rev)
    .map(({ window, end, rev, features, surge }) => [
      window,
      end / MINUTE_MS,
      rev,
      features['requests'],
      surge?.raw,
    ]);

describe('cell', () => {
  it('scores each minute by its own windows, and no longer one', async () => {
    const market = driven();
    await market.step([requests(10, 2)], 11 * MINUTE_MS);
    await market.step([requests(12, 3)], 13 * MINUTE_MS);
    expect(told(market)).toEqual([
      ['1m', 11, 0, 2, 22],
      ['5m', 11, 0, 2, undefined],
      ['5m', 12, 0, 2, undefined],
      ['1m', 13, 0, 3, 53],
      ['5m', 13, 0, 5, undefined],
    ]);
  });

  it('scores a corrected minute again, whatever else is corrected with it', async () => {
    const market = driven();
    await market.step([requests(10, 2), requests(11, 3)], 12 * MINUTE_MS);
    await market.step([requests(11, 1), requests(10, 1)], 12 * MINUTE_MS);
    expect(told(market)).toEqual([
      ['1m', 11, 0, 2, 22],
      ['1m', 11, 1, 3, 33],
      ['5m', 11, 0, 2, undefined],
      ['5m', 11, 1, 3, undefined],
      ['1m', 12, 0, 3, 53],
      ['1m', 12, 1, 4, 74],
      ['5m', 12, 0, 5, undefined],
      ['5m', 12, 1, 7, undefined],
    ]);
  });

  it('scores a minute on 0 of a longer window whose corrections cancel each other, not on what it held before', async () => {
    const market = driven();
    await market.step([requests(10, -2)], 11 * MINUTE_MS);
    await market.step([requests(11, 2)], 12 * MINUTE_MS);
    expect(told(market)).toEqual([
      ['1m', 11, 0, -2, -22],
      ['5m', 11, 0, -2, undefined],
      ['1m', 12, 0, 2, 2],
    ]);
  });

  it('rows above the cell say how many children went into their last minute', async () => {
    const market = driven();
    await market.step([requests(10, 2)], 11 * MINUTE_MS);
    await market.step([], 13 * MINUTE_MS);
    const children = market.rows
      .filter(({ level }) => level === 'gh4')
      .map(({ window, end, completeness }) => [window, end / MINUTE_MS, completeness.children]);
    expect(children).toEqual([
      ['1m', 11, 1],
      ['5m', 11, 1],
      ['5m', 12, 0],
      ['5m', 13, 0],
    ]);
  });
});
