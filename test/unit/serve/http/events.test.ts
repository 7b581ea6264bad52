/**
 * POST /v1/events. Hunts answers that do not match what the stream got: an item told accepted that is not there, results
 * out of order, a part taken of what was refused whole; and bodies that break the server instead of themselves.
 */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/core/clock.js';
import { MemoryLog } from '../../../../src/log/memory/memory-log.js';
import type { AppendOutcome } from '../../../../src/log/log.js';
import { at } from '../../../support/market.js';
import { until } from '../../../support/until.js';
import { problemOf, startNode, type TestNode } from './node.js';
import { exchange, statusOf } from './raw.js';

interface Answer {
  readonly accepted: number;
  readonly refused: number;
  readonly results: { outcome: string; reason?: string; message?: string; region?: string }[];
}

let node: TestNode;
beforeAll(async () => {
  node = await startNode();
});
afterAll(() => node.close());

let drivers = 0;
const ping = (more: object = {}): Record<string, unknown> => ({
  type: 'driver.location',
  driverId: `d-${++drivers}`,
  ...at('9q8yyk'),
  ts: Date.now(),
  status: 'open',
  ...more,
});

const send = (
  body: string | Uint8Array,
  type = 'application/json',
  headers: Record<string, string> = {},
  to = node,
): Promise<Response> =>
  fetch(`${to.url}/v1/events`, { method: 'POST', headers: { 'content-type': type, ...headers }, body });

async function answer(...args: Parameters<typeof send>): Promise<Answer> {
  const response = await send(...args);
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

const NDJSON = 'application/x-ndjson';

describe('the answer', () => {
  it('has one result for each item in order, and comes when the stream has them', async () => {
    const events = [ping(), { ...ping(), lat: 95 }, ping(), 'text', { type: 'driver.lcation' }];
    const { accepted, refused, results } = await answer(JSON.stringify(events));
    expect({ accepted, refused }).toEqual({ accepted: 2, refused: 3 });
    expect(results.map(({ outcome, reason }) => reason ?? outcome)).toEqual([
      'accepted',
      'off_globe',
      'accepted',
      'malformed',
      'unknown_type',
    ]);
    const stored = await node.events();
    expect(stored).toContainEqual({ ...(events[0] as object), cell: '9q8yyk' });
    expect(stored).toContainEqual({ ...(events[2] as object), cell: '9q8yyk' });
    // Refused ones travel the same way, to the dead letters.
    expect(stored).toContainEqual(
      expect.objectContaining({ type: 'refused', claimed: 'driver.location', reason: 'off_globe' }),
    );
    expect(stored).toContainEqual(
      expect.objectContaining({ type: 'refused', claimed: 'unknown', reason: 'malformed', body: '"text"' }),
    );
  });

  it('says which region covers a point that lies outside', async () => {
    const events = [ping({ lat: 40.71, lon: -74.0 }), ping({ lat: 48, lon: 11 })];
    const { results } = await answer(JSON.stringify(events));
    expect(results).toMatchObject([
      { outcome: 'refused', reason: 'outside_region', region: 'nyc' },
      { outcome: 'refused', reason: 'outside_region' },
    ]);
    expect(results[1]).not.toHaveProperty('region');
  });

  it('is the same for an object, an array and lines', async () => {
    const event = ping();
    const one = JSON.stringify(event);
    const accepted = { accepted: 1, refused: 0, results: [{ outcome: 'accepted' }] };
    expect(await answer(one)).toEqual(accepted);
    expect(await answer(`[${one}]`)).toEqual(accepted);
    expect(await answer(one, NDJSON)).toEqual(accepted);
  });

  it('to nothing is nothing', async () => {
    const nothing = { accepted: 0, refused: 0, results: [] };
    expect(await answer('[]')).toEqual(nothing);
    expect(await answer('', NDJSON)).toEqual(nothing);
    expect(await answer('\n\r\n  \n', NDJSON)).toEqual(nothing);
  });
});

describe('lines', () => {
  it('end with LF or CRLF or not at all; blank ones are passed over', async () => {
    const [a, b, c] = [ping(), ping(), ping()].map((event) => JSON.stringify(event));
    expect(await answer(`\n${a}\r\n\r\n${b}\n \n${c}`, NDJSON)).toMatchObject({ accepted: 3, refused: 0 });
  });

  it('that are no JSON or no UTF-8 refuse themselves alone', async () => {
    const good = Buffer.from(`${JSON.stringify(ping())}\n`);
    const bad = [
      Buffer.from('{"type":\n'),
      Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a]),
      Buffer.from('NaN\n'),
    ];
    const { results } = await answer(Buffer.concat([good, ...bad, good]), NDJSON);
    expect(results.map(({ outcome, reason }) => reason ?? outcome)).toEqual([
      'accepted',
      'malformed',
      'malformed',
      'malformed',
      'accepted',
    ]);
    expect(results[2]!.message).toBe('not valid UTF-8');
  });
});

describe('a body', () => {
  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON;charset="UTF-8"; x=1',
    NDJSON,
  ])('of type %s is taken', async (type) => {
    expect(await answer(JSON.stringify(ping()), type)).toMatchObject({ accepted: 1 });
  });

  it.each([
    'text/plain',
    'text/json',
    'application/jsonx',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
    'application/json, text/plain',
    '',
  ])('of type "%s" is refused with 415 and the types that are taken', async (type) => {
    const response = await send(JSON.stringify(ping()), type);
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status: 415, code: 'GS_HTTP_BODY' });
    if (!type.includes('charset')) expect(problem.remedy).toContain('application/x-ndjson');
  });

  it.each(['', ' ', '{', '[1,', 'null', '7', '"text"', '[]]', '{"a":NaN}', "{'a':1}"])(
    'that is not JSON at all is refused whole: %j',
    async (body) => {
      const before = node.producer.queued;
      expect(await problemOf(await send(body))).toMatchObject({ status: 400, code: 'GS_HTTP_BODY' });
      expect(node.producer.queued).toBe(before);
    },
  );

  it('of invalid UTF-8 is refused whole, or by its line', async () => {
    const body = Buffer.concat([Buffer.from('{"type":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]);
    expect(await problemOf(await send(body))).toMatchObject({ status: 400 });
    expect(await answer(body, NDJSON)).toMatchObject({ accepted: 0, refused: 1 });
  });

  it('of more than 8 MiB is 413, told in advance or not', async () => {
    const large = Buffer.alloc(8 * 1024 * 1024 + 1, ' ');
    expect(await problemOf(await send(large))).toMatchObject({ status: 413, code: 'GS_HTTP_BODY' });
    const head = `POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${NDJSON}\r\ntransfer-encoding: chunked\r\n\r\n`;
    const chunk = `100000\r\n${' '.repeat(0x100000)}\r\n`;
    const text = await exchange(node.url, head + chunk.repeat(9), {
      enough: (text) => text.includes('GS_HTTP'),
    });
    expect(statusOf(text)).toBe(413);
  });

  it('of more than 50,000 events is 413, and nothing of it is taken', async () => {
    const before = (await node.events()).length;
    for (const [body, type] of [
      [`[${'0,'.repeat(50_000)}0]`, 'application/json'],
      ['0\n'.repeat(50_001), NDJSON],
    ] as const)
      expect(await problemOf(await send(body, type))).toMatchObject({ status: 413, code: 'GS_HTTP_BODY' });
    expect((await node.events()).length).toBe(before);
  });

  it('of 50,000 events is taken', async () => {
    const own = await startNode();
    const line = `${JSON.stringify(ping())}\n`;
    expect(await answer(line.repeat(50_000), NDJSON, {}, own)).toMatchObject({
      accepted: 50_000,
      refused: 0,
    });
    expect(await own.events()).toHaveLength(50_000);
    await own.close();
  });
});

describe('a gzip body', () => {
  const gzip = { 'content-encoding': 'gzip' };

  it('is unpacked', async () => {
    expect(await answer(gzipSync(JSON.stringify([ping(), ping()])), 'application/json', gzip)).toMatchObject({
      accepted: 2,
    });
    expect(await answer(gzipSync(`${JSON.stringify(ping())}\n`), NDJSON, gzip)).toMatchObject({
      accepted: 1,
    });
  });

  it('that is a bomb is cut off at the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(128 * 1024 * 1024, ' '));
    expect(bomb.byteLength).toBeLessThan(1024 * 1024);
    const before = process.memoryUsage().rss;
    expect(await problemOf(await send(bomb, NDJSON, gzip))).toMatchObject({
      status: 413,
      code: 'GS_HTTP_BODY',
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  it('is unpacked in its turn when there are many', async () => {
    const body = gzipSync(`${JSON.stringify(ping())}\n`.repeat(100));
    const answers = await Promise.all(Array.from({ length: 60 }, () => answer(body, NDJSON, gzip)));
    expect(answers.every(({ accepted }) => accepted === 100)).toBe(true);
  });

  it('that is damaged, cut short or none is 400; another encoding is 415', async () => {
    const whole = gzipSync(JSON.stringify(ping()));
    for (const body of [whole.subarray(0, -9), Buffer.from('{}'), Buffer.alloc(0)])
      expect(await problemOf(await send(body, 'application/json', gzip))).toMatchObject({ status: 400 });
    const response = await send('x', 'application/json', { 'content-encoding': 'deflate' });
    expect(response.headers.get('accept-encoding')).toBe('gzip, identity');
    expect(await problemOf(response)).toMatchObject({ status: 415 });
  });
});

describe('hostile JSON', () => {
  const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  const raw = (fields: string): string => JSON.stringify(ping()).replace(/}$/, `,${fields}}`);

  it.each<[what: string, body: string, outcome: string]>([
    ['a key given twice: the last one counts', raw('"lat":91'), 'off_globe'],
    ['__proto__ as a field', raw('"__proto__":{"polluted":1}'), 'accepted'],
    ['__proto__ deep within', raw('"a":{"b":{"__proto__":{"polluted":1}}}'), 'accepted'],
    ['constructor and prototype', raw('"constructor":{"prototype":{"polluted":1}}'), 'accepted'],
    ['a type out of the prototype', '{"type":"__proto__"}', 'unknown_type'],
    ['a type that every object has', '{"type":"toString"}', 'unknown_type'],
    ['numbers beyond all bounds', raw('"lon":1e999'), 'not_finite'],
    ['a time beyond all bounds', raw('"ts":1e308'), 'far_future'],
    ['a time that is no integer', raw('"ts":1690000000000.5'), 'not_integer'],
    ['minus zero', raw('"lat":-0,"lon":-0'), 'outside_region'],
    ['half a surrogate pair in an id', raw('"driverId":"\\ud800"'), 'id_invalid'],
    ['half a surrogate pair in another field', raw('"note":"\\ud800"'), 'accepted'],
    ['a NUL in an id', raw('"driverId":"a\\u0000"'), 'id_invalid'],
    ['an event nested too deeply', raw(`"a":${deep(40)}`), 'too_large'],
    ['an event nested very deeply', raw(`"a":${deep(100_000)}`), 'too_large'],
    ['an array in the place of an event', deep(100_000), 'malformed'],
    ['an event that is too large', raw(`"a":"${'x'.repeat(70_000)}"`), 'too_large'],
    [
      'an event of many fields',
      raw(Array.from({ length: 3_000 }, (_, i) => `"f${i}":${i}`).join(',')),
      'accepted',
    ],
  ])('%s', async (_what, line, outcome) => {
    for (const [body, type] of [
      [line, NDJSON],
      [`[${line}]`, 'application/json'],
    ] as const) {
      const { results } = await answer(body, type);
      expect(results.map(({ outcome, reason }) => reason ?? outcome)).toEqual([outcome]);
    }
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    for (const event of await node.events()) expect(event['polluted']).toBeUndefined();
  });

  it('an event at the very limit of its size is taken or refused, and holds up nobody', async () => {
    for (let length = 65_380; length < 65_460; length += 3) {
      const { results } = await answer(JSON.stringify([ping({ note: 'x'.repeat(length) }), ping()]));
      expect(['accepted', 'too_large']).toContain(results[0]!.reason ?? results[0]!.outcome);
      expect(results[1]!.outcome).toBe('accepted');
    }
  });

  it('of any kind gets a result for each item and leaves the stream readable', async () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 4 }),
      fc.record(
        {
          type: fc.constantFrom('driver.location', 'ride.requested', 'session.opened', 'ride.cancelled', ''),
          driverId: fc.oneof(fc.string({ unit: 'binary' }), fc.integer()),
          riderId: fc.string({ unit: 'binary' }),
          rideId: fc.string(),
          lat: fc.oneof(fc.constant(37.77), fc.double()),
          lon: fc.oneof(fc.constant(-122.42), fc.double()),
          ts: fc.oneof(fc.constant(1_690_000_000_000), fc.double(), fc.integer()),
          status: fc.constantFrom('open', 'ontrip', 'closed'),
          id: fc.string(),
          more: fc.jsonValue({ maxDepth: 3 }),
        },
        { requiredKeys: ['type'] },
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(value, { maxLength: 8 }), async (values) => {
        const { results, accepted, refused } = await answer(JSON.stringify(values));
        expect(results).toHaveLength(values.length);
        expect(accepted + refused).toBe(values.length);
      }),
      { numRuns: 150 },
    );
    expect((await node.events()).length).toBeGreaterThan(0);
  });
});

describe('back-pressure', () => {
  /** A stream that takes nothing until it is let. */
  class HeldLog extends MemoryLog {
    held = true;
    #waiting: (() => void)[] = [];
    override async append(...args: Parameters<MemoryLog['append']>): Promise<AppendOutcome> {
      if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      return super.append(...args);
    }
    release(): void {
      this.held = false;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }

  it('P8: what does not fit the queue whole is not taken at all: 429, and the same again later is taken', async () => {
    const log = new HeldLog();
    const own = await startNode({ log, producer: { queueEventsMax: 10, watermarkEveryMs: 60_000 } });
    const first = answer(
      JSON.stringify(Array.from({ length: 7 }, () => ping())),
      'application/json',
      {},
      own,
    );
    await until('the first are taken', () => own.producer.queued === 7);
    const four = JSON.stringify(Array.from({ length: 4 }, () => ping()));
    const response = await send(four, 'application/json', {}, own);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await problemOf(response)).toMatchObject({ status: 429, code: 'GS_BUSY' });
    expect(own.producer.queued).toBe(7);
    const three = answer(JSON.stringify([ping(), 'bad', ping()]), 'application/json', {}, own);
    await until('three fit', () => own.producer.queued === 10);
    log.release();
    expect(await first).toMatchObject({ accepted: 7 });
    expect(await three).toMatchObject({ accepted: 2, refused: 1 });
    expect(await answer(four, 'application/json', {}, own)).toMatchObject({ accepted: 4 });
    expect(await own.events()).toHaveLength(14);
    await own.close();
  });

  it('P8: the bytes of the queue count as well as its events', async () => {
    const log = new HeldLog();
    const own = await startNode({ log, producer: { queueBytesMax: 20_000, watermarkEveryMs: 60_000 } });
    const large = (): string => JSON.stringify(ping({ note: 'x'.repeat(12_000) }));
    const first = answer(large(), NDJSON, {}, own);
    await until('the first is taken', () => own.producer.queued === 1);
    expect((await send(large(), NDJSON, {}, own)).status).toBe(429);
    log.release();
    expect(await first).toMatchObject({ accepted: 1 });
    await own.close();
  });

  it('more than the queue could ever hold is 413', async () => {
    const own = await startNode({ producer: { queueEventsMax: 3 } });
    const body = JSON.stringify(Array.from({ length: 4 }, () => ping()));
    expect(await problemOf(await send(body, 'application/json', {}, own))).toMatchObject({ status: 413 });
    await own.close();
  });

  it('P6: an acknowledgement that does not come within 10 s is 503, and says that the outcome is not known', async () => {
    const log = new HeldLog();
    const clock = new VirtualClock(Date.now());
    let waits = 0;
    const counting = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (ms: number, callback: () => void) => {
        if (ms === 10_000) waits++;
        return clock.after(ms, callback);
      },
    };
    const own = await startNode({ log, facts: { clock: counting }, producer: { watermarkEveryMs: 60_000 } });
    const pending = send(JSON.stringify(ping({ id: 'e-1' })), 'application/json', {}, own);
    await until('the request waits for the stream', () => waits === 1);
    clock.advance(10_000);
    const response = await pending;
    expect(response.headers.get('retry-after')).toBe('5');
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status: 503, code: 'GS_BUSY' });
    expect(problem.remedy).toMatch(/not known.*id, or a request with an idempotency-key, may be sent again/);
    log.release();
    await own.close();
  });

  it('a stream that refuses is 503, and the next request is told so at once', async () => {
    const refusing = new (class extends MemoryLog {
      override append(): Promise<AppendOutcome> {
        return Promise.resolve({ outcome: 'refused', cause: 'stream is full', retry: false });
      }
    })();
    const own = await startNode({ log: refusing });
    const problem = await problemOf(await send(JSON.stringify(ping()), 'application/json', {}, own));
    expect(problem).toMatchObject({ status: 503, code: 'GS_BUSY' });
    expect(problem.message).toContain('stream is full');
    const next = await problemOf(await send(JSON.stringify(ping()), 'application/json', {}, own));
    expect(next).toMatchObject({ status: 503, code: 'GS_BUSY' });
    expect(next.message).toContain('nothing was taken');
    await own.close();
  });

  it('a draining node takes nothing: 503', async () => {
    const own = await startNode({ facts: { draining: () => true } });
    const response = await send(JSON.stringify(ping()), 'application/json', {}, own);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await problemOf(response)).toMatchObject({ status: 503, code: 'GS_BUSY' });
    expect(await own.events()).toEqual([]);
    await own.close();
  });

  it('P8: many large bodies at once wait with their senders, and those that break off give their room back', async () => {
    const own = await startNode();
    const head = `POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${NDJSON}\r\ncontent-length: 8000000\r\n\r\n`;
    const texts = await Promise.all(
      Array.from({ length: 40 }, () => exchange(own.url, head, { deadlineMs: 300 })),
    );
    const statuses = texts.map(statusOf).filter((status) => !Number.isNaN(status));
    // 33 bodies of 8 MB are within the budget and are waited for; the others are told to come again.
    expect(statuses).toEqual(new Array(7).fill(429));
    await until(
      'room again',
      async () => (await send(JSON.stringify(ping()), NDJSON, {}, own)).status === 200,
    );
    const again = await Promise.all(
      Array.from({ length: 33 }, () => exchange(own.url, head, { deadlineMs: 300 })),
    );
    expect(again.map(statusOf).filter((status) => !Number.isNaN(status))).toEqual([]);
    await own.close();
  });
});

describe('what the intake counts', () => {
  it('is what it answered', async () => {
    const own = await startNode();
    await answer(JSON.stringify([ping(), 1, ping()]), 'application/json', {}, own);
    expect(own.facts.metrics.intake).toEqual({ accepted: 2, refused: 1 });
    await own.close();
  });
});
