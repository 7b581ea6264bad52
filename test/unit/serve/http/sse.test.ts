/**
 * Event streams. Hunts readers that hold memory by not reading, streams that outlive their reader or the server, heartbeats
 * that stop, and events that break in the middle.
 */
import { connect } from 'node:net';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock, VirtualClock } from '../../../../src/core/clock.js';
import type { RoutePlugin } from '../../../../src/serve/http/facts.js';
import { openStream, type EventStream, type EventStreamOptions } from '../../../../src/serve/http/sse.js';
import { until } from '../../../support/until.js';
import { problemOf, startNode, type TestNode } from './node.js';
import { exchange, statusOf } from './raw.js';

const MIB = 1024 * 1024;
let node: TestNode | undefined;
let streams: EventStream[] = [];
afterEach(async () => {
  await node?.close();
  node = undefined;
  streams = [];
});

async function serve(options: Partial<EventStreamOptions> = {}): Promise<TestNode> {
  const plugin: RoutePlugin = (app) => {
    app.get('/stream', (_request, reply) => {
      streams.push(
        openStream(reply, { heartbeatMs: 15_000, maxQueuedBytes: MIB, clock: systemClock, ...options }),
      );
    });
    app.get('/counts', () => ({ open: app.streams.size, cutOff: app.streams.cutOff }));
  };
  node = await startNode({ routes: [plugin] });
  return node;
}

const counts = async (): Promise<{ open: number; cutOff: number }> =>
  (await (await fetch(`${node!.url}/counts`)).json()) as { open: number; cutOff: number };

/** Reads a stream as a browser does. */
function reading(response: Response): {
  events: EventSourceMessage[];
  comments: string[];
  ended: Promise<void>;
} {
  const events: EventSourceMessage[] = [];
  const comments: string[] = [];
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onComment: (comment) => comments.push(comment),
  });
  const decoder = new TextDecoder();
  const read = async (): Promise<void> => {
    for await (const chunk of response.body!)
      parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
  };
  return { events, comments, ended: read() };
}

async function open(): Promise<{ stream: EventStream } & ReturnType<typeof reading>> {
  const response = await fetch(`${node!.url}/stream`);
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  return { stream: streams.at(-1)!, ...reading(response) };
}

describe('a stream', () => {
  it('gives its events in order, objects and ready text, also with line ends within', async () => {
    await serve();
    const { stream, events, ended } = await open();
    stream.send('row', { key: '9q8yyk', n: 1 });
    stream.send('row', '{"key":"9q8yym"}');
    stream.send('text', 'one\ntwo');
    stream.close();
    await ended;
    expect(events.map(({ event, data }) => [event, data])).toEqual([
      ['row', '{"key":"9q8yyk","n":1}'],
      ['row', '{"key":"9q8yym"}'],
      ['text', 'one\ntwo'],
      ['end', '{"reason":"done"}'],
    ]);
    await stream.closed;
    stream.send('row', { after: 'the end' });
    expect(await counts()).toEqual({ open: 0, cutOff: 0 });
  });

  it('has a heartbeat for as long as it is open, and no timer after', async () => {
    const clock = new VirtualClock();
    const after = clock.after.bind(clock);
    let timers = 0;
    clock.after = (ms, callback) => {
      timers++;
      const cancel = after(ms, () => {
        timers--;
        callback();
      });
      return () => {
        timers--;
        cancel();
      };
    };
    await serve({ clock });
    const { stream, comments, ended } = await open();
    for (let i = 1; i <= 3; i++) {
      clock.advance(15_000);
      await until(`heartbeat ${i}`, () => comments.length === i);
    }
    stream.close();
    await ended;
    await stream.closed;
    expect(timers).toBeLessThanOrEqual(0);
  });

  it('whose reader goes away is closed and forgotten', async () => {
    await serve();
    const abort = new AbortController();
    await fetch(`${node!.url}/stream`, { signal: abort.signal });
    expect(await counts()).toEqual({ open: 1, cutOff: 0 });
    abort.abort();
    await streams[0]!.closed;
    streams[0]!.send('row', {});
    expect(await counts()).toEqual({ open: 0, cutOff: 0 });
  });

  it('asked for with HEAD is its headers alone', async () => {
    await serve();
    const response = await fetch(`${node!.url}/stream`, { method: 'HEAD' });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    await streams[0]!.closed;
    expect(await counts()).toEqual({ open: 0, cutOff: 0 });
  });

  it('is not given behind an answer that is still being written on the same connection', async () => {
    await serve();
    const get = 'GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n';
    const text = exchange(node!.url, get + get + get, { deadlineMs: 5_000 });
    await until('the first is open', () => streams.length > 0);
    streams[0]!.close();
    expect(statusOf(await text)).toBe(200);
    expect(streams).toHaveLength(1);
    expect(await counts()).toEqual({ open: 0, cutOff: 0 });
  });
});

describe('P8: a reader that does not read', () => {
  it('is cut off once too much waits for it, is counted, and others go on', async () => {
    await serve({ maxQueuedBytes: MIB });
    const { hostname, port } = new URL(node!.url);
    const sleeper = connect({ host: hostname, port: Number(port) });
    sleeper.on('error', () => undefined);
    sleeper.pause();
    sleeper.write('GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await until('the sleeper is there', () => streams.length === 1);
    const slow = streams[0]!;
    const { stream: quick, events } = await open();
    const row = { text: 'x'.repeat(64 * 1024) };
    let sent = 0;
    let most = 0;
    while ((await counts()).cutOff === 0) {
      slow.send('row', row);
      quick.send('row', { n: ++sent });
      most = Math.max(most, process.memoryUsage().external);
      expect(sent).toBeLessThan(1_000);
    }
    await slow.closed;
    expect(await counts()).toEqual({ open: 1, cutOff: 1 });
    await until('the quick one has all', () => events.length === sent);
    sleeper.destroy();
  });

  it('that wakes up in time reads why it was cut off', async () => {
    await serve({ maxQueuedBytes: 1_000 });
    const { stream, events, ended } = await open();
    stream.send('row', { text: 'x'.repeat(2_000) });
    await ended;
    expect(events.map(({ event, data }) => [event, data])).toEqual([['end', '{"reason":"slow"}']]);
    expect(await counts()).toEqual({ open: 0, cutOff: 1 });
  });
});

describe('P8: the number of streams', () => {
  it('is bounded: one more is told to come later', async () => {
    await serve();
    const aborts = Array.from({ length: 256 }, () => new AbortController());
    await Promise.all(aborts.map(({ signal }) => fetch(`${node!.url}/stream`, { signal })));
    const response = await fetch(`${node!.url}/stream`);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await problemOf(response)).toMatchObject({ status: 503, code: 'GS_BUSY' });
    aborts[0]!.abort();
    await until('one has gone', async () => (await counts()).open === 255);
    const { stream } = await open();
    expect(stream).toBeDefined();
    for (const abort of aborts) abort.abort();
  });
});
