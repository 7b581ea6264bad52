/**
 * Hunts: single raw events, as any NATS client publishes them, that take effect twice or never because the pump was stopped, was
 * cut off, or was not alone; a user for producers that may do too little, or too much.
 */
import { randomUUID } from 'node:crypto';
import { connect, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { Cover } from '../../src/core/geohash.js';
import { EventChecker } from '../../src/ingest/check.js';
import { RawPump, type RawPumpOptions } from '../../src/ingest/raw-pump.js';
import { connectNats } from '../../src/log/nats/connect.js';
import { NatsLog } from '../../src/log/nats/nats-log.js';
import { differenceFromTruth } from '../support/against-truth.js';
import { MINUTE, smallCity, type RawEvent } from '../support/market.js';
import { RealRegion } from '../support/real-region.js';
import { repeated } from '../support/rows.js';
import { until } from '../support/until.js';

const TEST_MS = 120_000;
let region: RealRegion;
let client: NatsConnection;
/** What a test has left to be ended. */
const undo: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  region = await RealRegion.open(4);
  const { url, producer } = region.server;
  client = await connect({
    servers: url,
    user: producer.user,
    pass: producer.password,
    inboxPrefix: producer.inboxPrefix,
  });
}, 300_000);
afterAll(async () => {
  for (const end of undo.reverse()) await end();
  await client.close();
  await region.close();
}, 60_000);

/** A pump with a connection of its own, so that it can be cut off. */
async function newPump(
  more: Partial<RawPumpOptions> = {},
): Promise<{ pump: RawPump; cutOff: () => Promise<void> }> {
  const { config, registry, subjects } = region;
  const { connection, jsm } = await connectNats(region.server, 'a pump of the tests');
  const writer = randomUUID();
  const pump = new RawPump({
    log: new NatsLog(connection, jsm, { stream: subjects.engineStream, writer }),
    raw: new NatsLog(connection, jsm, { stream: subjects.ingestStream, writer }),
    subjects,
    routes: registry.routes,
    checker: new EventChecker({ cover: new Cover(config.cover), nowMs: () => systemClock.now() }),
    clock: systemClock,
    partitions: config.partitions,
    outOfOrderBoundMs: config.outOfOrderBoundMs,
    frameEvents: config.limits.frameEvents,
    writer,
    ...more,
  });
  undo.push(
    () => connection.close(),
    () => pump.stop(),
  );
  return { pump, cutOff: () => connection.close() };
}

async function publish(events: readonly (RawEvent | string)[], subject?: string): Promise<void> {
  for (const [i, event] of events.entries()) {
    if (typeof event === 'string') {
      client.publish(subject!, event);
      continue;
    }
    // The subject says the type; the body may.
    const body = i % 2 === 0 ? event : { ...event, type: undefined };
    client.publish(subject ?? region.subjects.ingest(event.type), JSON.stringify(body));
  }
  await client.flush();
}

describe('raw events', () => {
  it(
    'P3: 5,000 of them, with pumps that are stopped, cut off and not alone: the rows are those of all events, none twice',
    async () => {
      // Long enough ago that every window that holds one of them is over by now.
      const startMs = Math.floor(Date.now() / MINUTE) * MINUTE - 110 * MINUTE;
      const city = smallCity({
        startMs,
        // A city sleeps at night: enough of them for 5,000 events at every hour of the day.
        drivers: 100,
        requestsPerMinute: 60,
        durationMs: 10 * MINUTE,
        pingEveryMs: 8_000,
      }).slice(0, 5_000);
      expect(city.length).toBe(5_000);
      // What a city's first event is depends on the hour of the day.
      const opened = city.find(({ type }) => type === 'session.opened');
      const bad = ['{', '{"riderId":"r"}', JSON.stringify({ ...opened, lat: 48.2, lon: 16.4 })];
      await publish(city.slice(0, 2_000));
      await publish(bad, region.subjects.ingest('session.opened'));

      const small = { roundMessagesMax: 40, standByMs: 500 };
      const cut = await newPump(small);
      cut.pump.start();
      await until('the first has taken some', () => cut.pump.counters.taken >= 500, { pollMs: 1 });
      await cut.cutOff();
      const stopped = await newPump(small);
      stopped.pump.start();
      await publish(city.slice(2_000, 4_000));
      await until('the second has taken some', () => stopped.pump.counters.taken >= 1_000, { pollMs: 1 });
      await stopped.pump.stop();
      await region.stopNode();
      await publish(city.slice(4_000));
      const [one, other] = [await newPump(small), await newPump(small)];
      one.pump.start();
      other.pump.start();
      await region.startNode();

      const { rows, sides, count } = await region.said(Date.now() - MINUTE);
      expect([count('repeated'), count('missing'), count('late')]).toEqual([0, 0, 0]);
      expect(repeated(rows)).toEqual([]);
      expect(await differenceFromTruth(city, rows)).toBe('same');
      const reasons = sides.map(({ type, body }) => `${type} ${(body as { reason: string }).reason}`);
      expect(reasons.sort()).toEqual([
        'session.opened malformed',
        'session.opened missing_field',
        'session.opened outside_region',
      ]);
      await until('one works, the other stands by', () =>
        [one, other].some(({ pump }) => pump.state === 'standby'),
      );
      expect([one.pump.state, other.pump.state].sort()).toEqual(['standby', 'working']);
      expect([one.pump.lag, other.pump.lag]).toEqual([0, 0]);
    },
    TEST_MS,
  );

  it('the user for producers may publish them and read back how far its frames are, and nothing else', async () => {
    const { subjects } = region;
    const refusedFor = async (subject: string): Promise<boolean> => {
      const { url, producer } = region.server;
      const { user, password: pass, inboxPrefix } = producer;
      const connection = await connect({ servers: url, user, pass, inboxPrefix });
      try {
        const refused = (async () => {
          for await (const status of connection.status()) if (status.type === 'error') return true;
          return false;
        })();
        connection.publish(subject, '{}');
        await connection.flush();
        await connection.close();
        return await refused;
      } finally {
        await connection.close();
      }
    };
    const may = [subjects.ingest('session.opened'), subjects.events(0)];
    const mayNot = [
      subjects.mail(0),
      subjects.journal(0),
      subjects.out(0),
      subjects.ingestCursor,
      'gs.sf.agg.1m.region',
      `$JS.API.CONSUMER.CREATE.${subjects.engineStream}`,
      `$JS.API.STREAM.PURGE.${subjects.engineStream}`,
    ];
    expect(await Promise.all(mayNot.map(refusedFor))).toEqual(mayNot.map(() => true));
    expect(await Promise.all(may.slice(0, 1).map(refusedFor))).toEqual([false]);
  });
});
