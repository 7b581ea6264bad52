// Hunts: a message that is skipped, repeated or out of order after a gap, a restart, a lost connection; a reader that
// falls asleep beside a full stream; one that gives up on a server that comes back, or waits for a stream that does not.
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/core/clock.js';
import { NatsReader } from '../../../../src/log/nats/nats-reader.js';
import { FakeJetStream, streamNotFound } from '../../../support/fake-jetstream.js';
import { turns } from '../../../support/until.js';

const MB = 1024 * 1024;
let clock: VirtualClock;
beforeEach(() => {
  clock = new VirtualClock();
});

const open = (server: FakeJetStream, fromSeq = 1, wake = (): void => undefined): Promise<NatsReader> =>
  NatsReader.open(
    {
      connection: server.connection,
      jsm: server.jsm,
      clock,
      stream: 'S',
      subject: 'gs.sf.p.000.in.*',
      fromSeq,
    },
    wake,
  );
const small = (lastSeq: number): FakeJetStream => new FakeJetStream(lastSeq, () => new Uint8Array(1_000));
const seqs = (reader: NatsReader): number[] => reader.take(Number.POSITIVE_INFINITY).map(({ seq }) => seq);
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Lets time pass in small steps, and what it sets off happen. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 250) {
    clock.advance(Math.min(250, left));
    await turns(3);
  }
}

describe('a reader’s requests', () => {
  it('P8 one waits for what comes, two are under way while there is more, each with an inbox of its own', async () => {
    const server = small(0);
    const reader = await open(server);
    await turns();
    expect([server.underWay, server.underWayMax, server.inboxes.length]).toEqual([1, 1, 1]);
    await reader.close();
    expect(server.inboxes).toEqual([]);
    const full = small(100_000);
    const other = await open(full);
    for (let i = 0; i < 100; i++) {
      await turns(2);
      seqs(other);
      expect(new Set(full.inboxes).size).toBeLessThanOrEqual(2);
    }
    expect(full.underWayMax).toBe(2);
    await other.close();
  });

  it('P8 none is sent while the buffer is full, and they go on when it is taken from', async () => {
    const server = new FakeJetStream(64, () => new Uint8Array(MB));
    const reader = await open(server);
    await turns();
    const requested = server.requested;
    expect(reader.bufferedBytes).toBeGreaterThanOrEqual(8 * MB);
    expect(reader.bufferedBytes).toBeLessThanOrEqual(11 * MB);
    await pass(20_000);
    expect(server.requested).toBe(requested);
    const got: number[] = [];
    while (got.length < 64) {
      got.push(...reader.take(1).map(({ seq }) => seq));
      await turns(3);
      expect(reader.bufferedBytes).toBeLessThanOrEqual(11 * MB);
    }
    expect(got).toEqual(range(1, 64));
    await reader.close();
  });

  it('P8 many small messages fill the buffer, too', async () => {
    const server = new FakeJetStream(200_000, () => new Uint8Array(1));
    const reader = await open(server);
    await turns();
    expect(seqs(reader).length).toBeLessThan(60_000);
    await reader.close();
  });

  it('P8 readers of one connection share what may be under way', async () => {
    const server = small(0);
    const readers = [await open(server)];
    await turns();
    const alone = server.bytesUnderWay;
    while (readers.length < 300) readers.push(await open(server));
    await pass(1_000);
    server.say(408, 'Request Timeout');
    await turns();
    expect(server.underWay).toBe(300);
    expect(server.bytesUnderWay).toBeGreaterThan(alone);
    expect(server.bytesUnderWay).toBeLessThanOrEqual(48 * MB);
    for (const reader of readers) await reader.close();
  });

  it('one that has ended is replaced at once', async () => {
    const server = small(0);
    const reader = await open(server);
    await turns();
    for (let i = 0; i < 15; i++) {
      server.say(100, 'Idle Heartbeat');
      clock.advance(2_000);
    }
    server.say(408, 'Request Timeout');
    await turns();
    expect(server.underWay).toBe(1);
    expect(server.requested).toBe(2);
    expect(server.madeAt).toEqual([1]);
    await reader.close();
  });

  it('a message larger than a request comes all the same, and those after it', async () => {
    const server = new FakeJetStream(6, (seq) => new Uint8Array(seq % 2 === 0 ? 7 * MB : 10));
    const reader = await open(server);
    const got: number[] = [];
    for (let i = 0; i < 20; i++) {
      await turns();
      got.push(...seqs(reader));
    }
    expect(got).toEqual(range(1, 6));
    expect(server.madeAt).toEqual([1]);
    await reader.close();
  });

  it('that end at once, again and again, do not make the reader spin', async () => {
    const server = small(0);
    const reader = await open(server);
    await turns();
    for (let i = 0; i < 50; i++) {
      server.say(408, 'Request Timeout');
      await turns(3);
    }
    expect(server.requested).toBeLessThan(20);
    await pass(10_000);
    expect(server.underWay).toBe(1);
    expect(reader.failure).toBeUndefined();
    await reader.close();
  });
});

describe('a reader goes on after the last message that came', () => {
  const whole = async (server: FakeJetStream, reader: NatsReader, to: number): Promise<number[]> => {
    const got = seqs(reader);
    while (got.at(-1) !== to) {
      await pass(1_000);
      got.push(...seqs(reader));
      if (clock.monotonic() > 120_000) throw new Error(`stands at ${got.at(-1)}`);
    }
    expect(server.consumers.size).toBeLessThanOrEqual(1);
    return got;
  };

  it('when messages between are missing', async () => {
    const server = small(10);
    const reader = await open(server);
    await turns();
    server.losing = true;
    server.append();
    server.append();
    server.losing = false;
    server.append();
    expect(await whole(server, reader, 13)).toEqual(range(1, 13));
    expect(server.madeAt).toEqual([1, 11]);
    await reader.close();
  });

  it('when the server says nothing for two heartbeats, and not before', async () => {
    const server = small(3);
    const reader = await open(server);
    await turns();
    for (const consumer of server.consumers.values()) consumer.requests = [];
    server.append();
    await pass(4_000);
    expect(server.madeAt).toEqual([1]);
    expect(await whole(server, reader, 4)).toEqual([1, 2, 3, 4]);
    expect(clock.monotonic()).toBeLessThanOrEqual(8_000);
    await reader.close();
  });

  it('and needs no new consumer while heartbeats come', async () => {
    const server = small(3);
    const reader = await open(server);
    for (let i = 0; i < 20; i++) {
      server.say(100, 'Idle Heartbeat');
      await pass(2_000);
    }
    expect(server.madeAt).toEqual([1]);
    await reader.close();
  });

  it('when the connection was lost and stands again', async () => {
    const server = small(3);
    const reader = await open(server);
    await turns();
    server.lose();
    server.append();
    await pass(60_000);
    expect(server.madeAt).toEqual([1]);
    expect(reader.failure).toBeUndefined();
    server.restore();
    await turns();
    expect(seqs(reader)).toEqual([1, 2, 3, 4]);
    expect(server.madeAt).toEqual([1, 4]);
    await reader.close();
  });

  it('when the restarted server has forgotten the consumer', async () => {
    const server = small(3);
    const reader = await open(server);
    await turns();
    server.lose();
    server.forget();
    server.append();
    server.restore();
    expect(await whole(server, reader, 4)).toEqual([1, 2, 3, 4]);
    await reader.close();
  });

  it.each([
    [409, 'Consumer Deleted'],
    [409, 'Leadership Change'],
    [409, 'Server Shutdown'],
    [503, ''],
  ])('when a request ends with %i %s', async (code, description) => {
    const server = small(3);
    const reader = await open(server);
    await turns();
    server.say(code, description);
    server.forget();
    server.append();
    expect(await whole(server, reader, 4)).toEqual([1, 2, 3, 4]);
    await reader.close();
  });

  it('when no consumer can be made for minutes: further and further apart it is tried, and never given up', async () => {
    const server = small(3);
    const reader = await open(server);
    await turns();
    server.refusal = new Error('timeout');
    server.forget();
    server.say(503, '');
    const tries: number[] = [];
    let asked = 0;
    const { jsm } = server;
    const info = jsm.streams.info.bind(jsm.streams);
    jsm.streams.info = (...args) => {
      asked++;
      return info(...args);
    };
    // The consumer is gone, and the requests to it with it: the reader hears that by silence.
    for (let i = 0; i < 10; i++) {
      const before = asked;
      await pass(60_000);
      tries.push(asked - before);
    }
    expect(Math.max(...tries)).toBeLessThan(25);
    expect(tries.at(-1)).toBeGreaterThanOrEqual(11);
    expect(reader.failure).toBeUndefined();
    server.refusal = undefined;
    server.append();
    await pass(6_000);
    expect(seqs(reader)).toEqual([1, 2, 3, 4]);
    await reader.close();
  });

  it('whatever goes wrong, in any order: each message once, in order', async () => {
    const fault = fc.constantFrom(
      'append',
      'gap',
      'forget',
      'lose',
      'restore',
      'end',
      'gone',
      'take',
      'time',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 40 }), async (faults) => {
        clock = new VirtualClock();
        const server = small(5);
        const reader = await open(server, 3);
        const got: number[] = [];
        for (const kind of faults) {
          if (kind === 'append') server.append();
          else if (kind === 'forget') server.forget();
          else if (kind === 'lose') server.lose();
          else if (kind === 'restore') server.restore();
          else if (kind === 'end') server.say(408, 'Request Timeout');
          else if (kind === 'gone') server.say(409, 'Consumer Deleted');
          else if (kind === 'take') got.push(...seqs(reader));
          else if (kind === 'time') await pass(3_000);
          else {
            server.losing = true;
            server.append();
            server.losing = false;
          }
          await turns(2);
        }
        server.restore();
        server.append();
        await pass(30_000);
        server.append();
        await pass(30_000);
        got.push(...seqs(reader));
        expect(got).toEqual(range(3, server.lastSeq));
        expect(reader.failure).toBeUndefined();
        await reader.close();
      }),
      { numRuns: 60 },
    );
  });
});

describe('a reader fails for good', () => {
  it('with GS_STREAM_LOST when the stream stays away, within a few seconds, and wakes', async () => {
    const server = small(0);
    let wakes = 0;
    const reader = await open(server, 1, () => wakes++);
    await turns();
    server.refusal = streamNotFound();
    server.say(409, 'Consumer Deleted');
    await pass(5_000);
    expect(reader.failure).toMatchObject({ code: 'GS_STREAM_LOST' });
    expect(wakes).toBe(1);
    await reader.close();
  });

  it('and not when a server that comes up knows it a second later', async () => {
    const server = small(3);
    const reader = await open(server);
    await turns();
    server.lose();
    server.refusal = streamNotFound();
    server.restore();
    await pass(1_000);
    server.refusal = undefined;
    server.append();
    await pass(2_000);
    expect(reader.failure).toBeUndefined();
    expect(seqs(reader)).toEqual([1, 2, 3, 4]);
    await reader.close();
  });

  it('with GS_STREAM_LOST when the stream ends before what was read: it is another one', async () => {
    const server = small(5);
    const reader = await open(server);
    await turns();
    server.forget();
    server.lastSeq = 2;
    server.lose();
    server.restore();
    await pass(1_000);
    expect(reader.failure).toMatchObject({
      code: 'GS_STREAM_LOST',
      message: expect.stringContaining('ends at 2') as string,
    });
    await reader.close();
  });

  it('with GS_LOG when the connection is closed', async () => {
    const server = small(0);
    const reader = await open(server);
    server.close();
    await turns();
    expect(reader.failure).toMatchObject({ code: 'GS_LOG' });
    await reader.close();
  });

  it('at once when it is opened on a stream that is not there; after a while when there is no server', async () => {
    const server = small(0);
    server.refusal = streamNotFound();
    await expect(open(server)).rejects.toMatchObject({ code: 'GS_STREAM_LOST' });
    server.refusal = undefined;
    const opened = await open(server);
    server.lose();
    await turns();
    const opening = open(server);
    const refused = expect(opening).rejects.toMatchObject({ code: 'GS_LOG' });
    await pass(21_000);
    await refused;
    await opened.close();
  });
});

describe('pending', () => {
  it('is what the stream holds and has not sent, from the first moment on', async () => {
    const server = new FakeJetStream(40, () => new Uint8Array(MB));
    const reader = await open(server);
    await turns();
    const came = Math.round(reader.bufferedBytes / MB);
    expect(reader.pending).toBe(40 - came);
    await reader.close();
    const nothing = await open(small(0));
    expect(nothing.pending).toBe(0);
    await nothing.close();
  });
});
