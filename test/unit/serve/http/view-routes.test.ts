/**
 * Rows, streams of rows and the map over HTTP. Hunts wrong questions that get an answer, an answer that is not what the view
 * says, subscribers told of what they did not ask for, and a map whose pieces do not make the whole.
 */
import { createParser } from 'eventsource-parser';
import { afterEach, describe, expect, it } from 'vitest';
import type { Row } from '../../../../src/actor/row.js';
import { GEOHASH_ALPHABET } from '../../../../src/core/geohash.js';
import type { CellSummary } from '../../../../src/serve/cell-summary.js';
import { cityLive, cityRows } from '../../../support/city-picture.js';
import { MINUTE } from '../../../support/market.js';
import { RegionOutputs, shownBlock } from '../../../support/region-outputs.js';
import { until } from '../../../support/until.js';
import {
  nodeStatus,
  partitionStatus,
  problemOf,
  startNode,
  subjects,
  type Given,
  type TestNode,
} from './node.js';

/** The end of the last full minute when the tests began. */
const END = Math.floor(Date.now() / MINUTE) * MINUTE;

let node: TestNode;
let outputs: RegionOutputs;
const readers: AbortController[] = [];

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.abort();
  await node.close();
});

async function serve(given: Given = {}): Promise<void> {
  node = await startNode({ facts: { surgeBounds: { min: 1, max: 3 } }, ...given });
  outputs = new RegionOutputs(node.log, subjects);
}

/** Says something in a partition, and closes the region up to a time. */
async function say(rows: readonly Row[], watermarkMs = END): Promise<void> {
  outputs.say(0, { rows, watermarkMs });
  outputs.say(1, { watermarkMs });
  await taken();
}

async function taken(): Promise<void> {
  const seq = await node.log.lastSeq();
  await until('the view has read it', () => node.view.readSeq >= seq);
}

async function show(values: Record<string, Record<string, number>>): Promise<void> {
  outputs.say(0, { shown: [shownBlock(values)], watermarkMs: END });
  await taken();
}

async function get<T>(path: string): Promise<T> {
  const response = await fetch(node.url + path);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

const refused = async (path: string): Promise<string> => {
  const { status, code, message, remedy } = await problemOf(await fetch(node.url + path));
  return `${status} ${code} ${message} ${remedy}`;
};

interface Heard {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

async function listen(path: string): Promise<Heard[]> {
  const abort = new AbortController();
  readers.push(abort);
  const response = await fetch(node.url + path, { signal: abort.signal });
  expect(response.status).toBe(200);
  const heard: Heard[] = [];
  const parser = createParser({
    onEvent: ({ event = '', data }) =>
      heard.push({ event, data: JSON.parse(data) as Record<string, unknown> }),
  });
  const read = async (): Promise<void> => {
    for await (const chunk of response.body!) parser.feed(new TextDecoder().decode(chunk as Uint8Array));
  };
  read().catch(() => undefined);
  return heard;
}

const template = cityRows(END).find(({ level }) => level === 'cell')!;
const row = (key: string, more: Partial<Row> = {}): Row => ({ ...template, key, ...more });

describe('/v1/features of one key', () => {
  it('gives the latest row of each window, what it shows now, and its history when asked', async () => {
    await serve();
    const five = row('9q8yyk', { window: '5m', start: END - 5 * MINUTE });
    const before = row('9q8yyk', { start: END - 2 * MINUTE, end: END - MINUTE });
    await say([before, row('9q8yyk'), five]);
    await show({ '9q8yyk': { minute: END, open: 2, requests: 1 } });
    const expected = {
      region: 'sf',
      level: 'cell',
      key: '9q8yyk',
      watermark: END,
      rows: { '1m': row('9q8yyk'), '5m': five },
      live: { minute: END, open: 2, requests: 1 },
      stale: false,
    };
    expect(await get('/v1/features/cell/9q8yyk')).toEqual(expected);
    expect(await get('/v1/features/cell/9q8yyk?window=5m')).toEqual({ ...expected, rows: { '5m': five } });
    expect(await get('/v1/features/cell/9q8yyk?window=1h&history=60')).toEqual({
      ...expected,
      rows: {},
      history: [before, row('9q8yyk')],
    });
    expect(await get('/v1/features/gh5/9q8yy')).toMatchObject({ rows: {}, live: { open: 2, requests: 1 } });
  });

  it('answers for the region with and without its name, even before it has rows', async () => {
    await serve();
    expect(await get('/v1/features/region')).toEqual({
      region: 'sf',
      level: 'region',
      key: 'sf',
      watermark: null,
      rows: {},
      live: null,
      stale: true,
    });
    await say(cityRows(END));
    const named = await get<{ rows: Record<string, Row> }>('/v1/features/region/sf');
    expect(named.rows['1m']).toEqual(node.view.total());
    expect(named).toMatchObject({ stale: false, watermark: END });
  });

  it('says stale when the region has closed no minute for two', async () => {
    await serve();
    await say([row('9q8yyk', { start: END - 4 * MINUTE, end: END - 3 * MINUTE })], END - 3 * MINUTE);
    expect(await get('/v1/features/cell/9q8yyk')).toMatchObject({ stale: true, watermark: END - 3 * MINUTE });
  });

  it('refuses what cannot be, and tells what is not known from what is elsewhere', async () => {
    await serve();
    expect(await refused('/v1/features/cel/9q8yyk')).toMatch(/^400 GS_USAGE .*did you mean "cell"/);
    expect(await refused('/v1/features/cell')).toMatch(/^400 .*none is given.*\/v1\/features\/cell\/<key>/);
    expect(await refused('/v1/features/cell/9q8yya')).toMatch(/^400 .*geohashes of 6 characters/);
    expect(await refused('/v1/features/gh5/9q8yyk')).toMatch(/^400 .*geohashes of 5 characters.*9q8yy\./);
    expect(await refused('/v1/features/region/nyc')).toMatch(/^400 .*serves the region "sf"/);
    expect(await refused('/v1/features/cell/9q8yyk?window=2m')).toMatch(/^400 .*1m, 5m, 15m, 1h/);
    expect(await refused('/v1/features/cell/9q8yyk?history=61')).toMatch(/^400 .*from 1 to 60/);
    expect(await refused('/v1/features/cell/9q8yyk?windw=1m')).toMatch(/^400 .*did you mean "window"/);
    expect(await refused('/v1/features/cell/9q8yyk')).toMatch(/^404 GS_NOT_FOUND Nothing is known/);
    expect(await refused('/v1/features/cell/dr5reg')).toMatch(/^404 GS_NOT_FOUND .*outside the region sf/);
  });
});

describe('/v1/features', () => {
  it('lists rows in the order of their keys, a page at a time', async () => {
    await serve();
    const keys = ['9q8yyk', '9q8yym', '9q8yyq', '9q9p01'];
    await say(keys.toReversed().map((key) => row(key)));
    const list = async (query: string): Promise<{ keys: string[]; more: boolean }> => {
      const { rows, more } = await get<{ rows: Row[]; more: boolean }>(`/v1/features${query}`);
      return { keys: rows.map(({ key }) => key), more };
    };
    expect(await list('')).toEqual({ keys, more: false });
    expect(await list('?level=cell&prefix=9q8y&window=1m&limit=2')).toEqual({
      keys: keys.slice(0, 2),
      more: true,
    });
    expect(await list('?prefix=9q8y&limit=2&after=9q8yym')).toEqual({ keys: ['9q8yyq'], more: false });
    expect(await list('?window=5m')).toEqual({ keys: [], more: false });
    expect(await list('?level=gh4')).toEqual({ keys: [], more: false });
    expect(await refused('/v1/features?level=town')).toMatch(/^400 .*cell, gh5, gh4, region/);
    expect(await refused('/v1/features?prefix=9q8yyk5')).toMatch(/^400 .*up to 6 characters/);
    expect(await refused('/v1/features?prefix=9Q')).toMatch(/^400 .*begins with "9Q"/);
    expect(await refused('/v1/features?limit=0')).toMatch(/^400 .*from 1 to 1000/);
  });
});

describe('/v1/watch', () => {
  it('brings the rows that the pattern means, and live values only when asked', async () => {
    await serve();
    const cells = await listen('/v1/watch?pattern=cell/9q8y*');
    const both = await listen('/v1/watch?pattern=1m/cell/9q8yyk&live=1');
    await say([row('9q8yyk'), row('9q9p01'), row('9q8yym', { window: '5m' })]);
    await show({ '9q8yyk': { open: 3 }, '9q8yym': { open: 4 } });
    await until('both have heard', () => cells.length >= 2 && both.length >= 2);
    expect(cells).toEqual([
      { event: 'row', data: row('9q8yyk') },
      { event: 'row', data: row('9q8yym', { window: '5m' }) },
    ]);
    expect(both).toEqual([
      { event: 'row', data: row('9q8yyk') },
      {
        event: 'live',
        data: { level: 'cell', key: '9q8yyk', values: { open: 3 }, at: expect.any(Number) as number },
      },
    ]);
  });

  it('refuses a wrong pattern, and one of another region, before anything streams', async () => {
    await serve();
    expect(await refused('/v1/watch')).toMatch(/^400 GS_USAGE .*"pattern" is missing/);
    expect(await refused('/v1/watch?pattern=cel/9*')).toMatch(/^400 GS_USAGE .*did you mean "cell".*Forms:/);
    expect(await refused('/v1/watch?pattern=gs.nyc.agg.>')).toMatch(
      /^400 .*serves the region "sf".*node of nyc/,
    );
    expect(await refused('/v1/watch?pattern=*&live=perhaps')).toMatch(/^400 .*takes 1 or 0/);
  });

  it('lets go of the view when its reader is gone', async () => {
    await serve();
    await listen('/v1/watch?pattern=*');
    await until('it is there', () => node.view.listeners === 1);
    readers.pop()!.abort();
    await until('it is gone', () => node.view.listeners === 0);
  });
});

interface Map {
  readonly cells: CellSummary[];
  readonly [field: string]: unknown;
}

describe('/v1/map', () => {
  it('gives all cells at a glance, the region around them and what it adds up to', async () => {
    await serve();
    await say(cityRows(END));
    await show(cityLive(END));
    const map = await get<Map>('/v1/map');
    expect(map).toMatchObject({
      region: 'sf',
      timezone: 'America/Los_Angeles',
      watermark: END,
      stale: false,
      cover: ['9q8y', '9q8z', '9q8v', '9q9p', '9q9j', '9q9n', '9q9h'],
      bounds: { min: 1, max: 3 },
      total: node.view.total(),
      liveTotal: node.view.liveTotal(),
    });
    expect(map.cells.length).toBeGreaterThan(500);
    expect(map.cells).toEqual(node.view.map());
    const [first] = map.cells;
    expect(Object.keys(first!)).toEqual(['key', 'multiplier', 'raw', 'start', 'features', 'live', 'spark']);
  });

  it('and the top of it, in order', async () => {
    await serve();
    await say(cityRows(END));
    const { cells, watermark } = await get<Map>('/v1/top?n=5');
    expect(watermark).toBe(END);
    expect(cells).toEqual(node.view.top(5));
    expect(cells.map(({ multiplier }) => multiplier)).toEqual(
      cells.map(({ multiplier }) => multiplier).sort((a, b) => b! - a!),
    );
    expect(await refused('/v1/top?n=0')).toMatch(/^400 .*from 1 to 100/);
  });
});

describe('/v1/map/stream', () => {
  const told = (heard: readonly Heard[]): Map => {
    const cells = new Map<string, CellSummary>();
    for (const { data } of heard) for (const cell of (data as Map).cells) cells.set(cell.key, cell);
    return { ...heard.at(-1)?.data, cells: [...cells.values()] };
  };
  const byKey = (cells: readonly CellSummary[]): CellSummary[] =>
    cells.toSorted((a, b) => (a.key < b.key ? -1 : 1));

  it('begins with the map and goes on with the cells that changed, and with rates', async () => {
    let events = 0;
    const status = (): ReturnType<typeof nodeStatus> => {
      const partitions = [0, 1].map((id) => partitionStatus(id, { watermarkMs: Date.now() - 5_000 - 400 }));
      return nodeStatus({ partitions, stats: { ...nodeStatus().stats, events: (events += 1_000) } });
    };
    await serve({ status });
    await say(cityRows(END - MINUTE), END - MINUTE);
    const heard = await listen('/v1/map/stream');
    await until('the map', () => heard.length > 0);
    expect(heard[0]!.event).toBe('map');
    expect((heard[0]!.data as Map).cells).toEqual(node.view.map());
    await show({ '9q8yyk': { minute: END, open: 7, requests: 0 } });
    await until('the change', () =>
      heard.some(({ data }) => (data as Map).cells.some(({ live }) => live?.['open'] === 7)),
    );
    const change = heard.find(({ data, event }) => event === 'change' && (data as Map).cells.length > 0)!;
    expect((change.data as Map).cells).toEqual([node.view.cell('9q8yyk')]);
    expect(change.data).toMatchObject({
      watermark: END - MINUTE,
      liveTotal: { open: 7 },
      total: node.view.total(),
    });
    await until(
      'a rate',
      () => (heard.at(-1)!.data['rates'] as { eventsPerSecond: number | null }).eventsPerSecond !== null,
    );
    const { eventsPerSecond, lagMs } = heard.at(-1)!.data['rates'] as Record<string, number>;
    expect(eventsPerSecond).toBeGreaterThan(500);
    expect(lagMs).toBeGreaterThanOrEqual(400);
    expect(lagMs).toBeLessThan(2_000);
    // A new minute: every cell is told of, whether it has a row in it or lost the one it had.
    await say(cityRows(END).slice(0, 100));
    const asViewed = (cell: CellSummary): boolean =>
      JSON.stringify(node.view.cell(cell.key)) === JSON.stringify(cell);
    await until('all cells are told', () => told(heard).cells.every(asViewed), { pollMs: 20 });
    expect(told(heard).cells.filter(({ multiplier }) => multiplier !== null)).toHaveLength(100);
  });

  it('tells a large region in pieces of a thousand cells, at most four a second', async () => {
    await serve();
    const chars = [...GEOHASH_ALPHABET];
    const keys = chars
      .flatMap((a) => chars.map((b) => `9q8y${a}${b}`))
      .concat(chars.flatMap((a) => chars.map((b) => `9q8z${a}${b}`)));
    await say(keys.map((key) => row(key)));
    const startedMs = performance.now();
    const heard = await listen('/v1/map/stream');
    await until('all cells', () => told(heard).cells.length === keys.length, { pollMs: 20 });
    const tookMs = performance.now() - startedMs;
    expect(heard.every(({ data }) => (data as Map).cells.length <= 1_000)).toBe(true);
    expect(heard.length - 1).toBeLessThanOrEqual(Math.ceil(tookMs / 250));
    expect(byKey(told(heard).cells)).toEqual(byKey(node.view.map()));
  });

  it('lets go of the view when nobody looks any more', async () => {
    await serve();
    await listen('/v1/map/stream');
    await listen('/v1/map/stream');
    await until('one feed for both', () => node.view.listeners === 1);
    for (const reader of readers.splice(0)) reader.abort();
    await until('it is gone', () => node.view.listeners === 0);
  });
});

describe('the page', () => {
  it.each([
    ['/', 'text/html; charset=utf-8', '<!doctype html>'],
    ['/page.js', 'text/javascript; charset=utf-8', '/v1/map/stream'],
    ['/style.css', 'text/css; charset=utf-8', '--ramp-5'],
    ['/icon.svg', 'image/svg+xml', '<svg'],
  ])('%s is %s', async (path, type, piece) => {
    await serve();
    const response = await fetch(node.url + path);
    expect(response.headers.get('content-type')).toBe(type);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(await response.text()).toContain(piece);
  });
});
