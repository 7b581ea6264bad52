/**
 * Hunts: a queue that grows while its reader is held up, a limit that changes what comes out, an event that vanishes
 * without being counted.
 */
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/core/clock.js';
import { Changes } from '../../src/partition/changes.js';
import { NatsReader } from '../../src/log/nats/nats-reader.js';
import { encodeMail } from '../../src/node/batch-assembly.js';
import { encodeJournalEntry } from '../../src/partition/journal.js';
import type { ActorId } from '../../src/core/ids.js';
import { differenceFromTruth } from '../support/against-truth.js';
import { Engine, newLog, run, type Settings } from '../support/engine.js';
import { FakeJetStream } from '../support/fake-jetstream.js';
import { FaultyLog } from '../support/faulty-log.js';
import { FaultyStore } from '../support/faulty-store.js';
import { CELLS, handMade, MINUTE, ping, ride, session, smallCity, type RawEvent } from '../support/market.js';
import { sorted } from '../support/rows.js';
import { turns, until } from '../support/until.js';

const SETTINGS: Settings = { partitions: 3, windowsMs: [60_000, 300_000], frameEvents: 4 };
const reference = await run(handMade(), SETTINGS);

function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('P8: bounded', () => {
  it('P8: a node whose commit hangs stops taking input at the limit of uncommitted events', async () => {
    const city = smallCity({ drivers: 40, pingEveryMs: 5_000 });
    const log = newLog();
    const { opened, open } = gate();
    const slow = new FaultyLog(log, { before: () => opened });
    const limits = { uncommittedEventsMax: 50, turnBytes: 1 };
    const engine = await Engine.start({ ...SETTINGS, log: slow, limits });
    const producer = engine.producer('test', log);
    await producer.send(city);
    const untilMs = await producer.end();
    await until('the limit is reached', () => engine.node.stats.events >= 3 * 50);
    await turns(500);
    // Per partition: what the batch under way holds, and the limit, overrun by one frame at most.
    expect(engine.node.stats.events).toBeLessThanOrEqual(3 * 2 * (50 + SETTINGS.frameEvents!));
    expect(city.length).toBeGreaterThan(2 * engine.node.stats.events);
    open();
    const { rows } = await engine.results(untilMs, log);
    await engine.stop();
    expect(sorted(rows)).toEqual(sorted((await run(city, SETTINGS)).rows));
  });

  it('P8: a node whose snapshots hang stops taking input at the limit of actors that wait to be written', async () => {
    const city = smallCity({ drivers: 40, pingEveryMs: 5_000 });
    const { opened, open } = gate();
    const store = new FaultyStore({ before: () => opened });
    const engine = await Engine.start({
      ...SETTINGS,
      store,
      limits: { pendingSnapshotActorsMax: 30, turnBytes: 1 },
    });
    const producer = engine.producer();
    await producer.send(city);
    const untilMs = await producer.end();
    await turns(2_000);
    const { events } = engine.node.stats;
    expect(events).toBeGreaterThan(0);
    expect(events).toBeLessThan(city.length / 2);
    await turns(500);
    expect(engine.node.stats.events, 'and stays there').toBe(events);
    open();
    const { rows } = await engine.results(untilMs);
    await engine.stop();
    expect(sorted(rows)).toEqual(sorted((await run(city, SETTINGS)).rows));
  });

  it('P8: with more actors than may be resident the rest lies in the snapshots, and the rows are the same', async () => {
    const city = smallCity({ drivers: 60 });
    const roomy = await run(city, SETTINGS);
    const residentMax = 12;
    const engine = await Engine.start({
      ...SETTINGS,
      limits: { residentActorsMax: residentMax, turnBytes: 1 },
    });
    const producer = engine.producer();
    await producer.send(city);
    const { rows } = await engine.results(await producer.end());
    await turns(50);
    const passivations = [0, 1, 2].map((p) => engine.node.partition(p)!.passivations);
    const activations = [0, 1, 2].map((p) => engine.node.partition(p)!.activations);
    expect(Math.min(...passivations)).toBeGreaterThan(0);
    expect(Math.max(...activations)).toBeGreaterThan(60);
    expect(engine.node.residentActors).toBeLessThanOrEqual(residentMax);
    await engine.stop();
    expect(sorted(rows)).toEqual(sorted(roomy.rows));
  });

  it('P8: idle actors are passivated and come back as they were', async () => {
    const { rows } = await run(handMade(), { ...SETTINGS, limits: { idleMs: 0, turnBytes: 1 } });
    expect(sorted(rows)).toEqual(sorted(reference.rows));
  });

  it.each([
    ['frames of one event', { frameEvents: 1 }],
    ['a step of one timer', { limits: { turnTimersMax: 1 } }],
    ['a turn of one frame', { limits: { turnBytes: 1 } }],
    ['a batch of one commit', { limits: { batchBytesMax: 1 } }],
    ['messages of 8 KB', { payloadBytesMax: 8_192 }],
  ] satisfies [string, Settings][])('P8: %s gives the same rows', async (_limit, more) => {
    const { rows } = await run(handMade(), { ...SETTINGS, ...more });
    expect(sorted(rows)).toEqual(sorted(reference.rows));
  });

  it('P8: no message of any batch is larger than the log takes', async () => {
    const payloadBytesMax = 6_000;
    const log = newLog({ payloadBytesMax });
    let largest = 0;
    const watched = new FaultyLog(log, {
      fault(_n, entries) {
        for (const { payload } of entries) largest = Math.max(largest, payload.byteLength);
        return 'none';
      },
    });
    const { rows } = await run(handMade(), { ...SETTINGS, partitions: 1, frameEvents: 500, log: watched });
    expect(largest).toBeGreaterThan(payloadBytesMax / 2);
    expect(largest).toBeLessThanOrEqual(payloadBytesMax);
    expect(sorted(rows)).toEqual(sorted(reference.rows));
  });

  it('P8: what cannot be made smaller than a message is refused by name', () => {
    const control = {
      writer: 'w',
      commit: 1,
      inputSeq: 0,
      watermarkMs: 0,
      producers: new Map(),
      marks: [],
      closed: [],
      counters: new Map(),
      wallMs: 0,
      epoch: 1,
      handedTo: undefined,
      base: undefined,
    };
    const change = { id: 'cell/9q8yyk' as ActorId, bytes: new Uint8Array(2_000), timed: false };
    expect(() => encodeJournalEntry({ control, changes: Changes.of([change]) }, 1_000)).toThrow(
      /cell\/9q8yyk takes \d+ bytes/,
    );
    const message = ['cell', '9q8yyk', 'add', 0, 'x'.repeat(2_000)] as const;
    expect(() => encodeMail([{ from: 0, marks: [], messages: [message] }], 1_000)).toThrow(
      /cell\/9q8yyk takes \d+ bytes/,
    );
  });

  it('P8: a reader of the stream asks for no more when its buffer is full, and goes on when it is taken from', async () => {
    const MB = 1024 * 1024;
    const server = new FakeJetStream(64, () => new Uint8Array(MB));
    const { connection, jsm } = server;
    const clock = new VirtualClock();
    const reader = await NatsReader.open(
      { connection, jsm, clock, stream: 'GS_sf', subject: 'gs.sf.p.000.in.*', fromSeq: 1 },
      () => undefined,
    );
    await turns();
    const requested = server.requested;
    expect(reader.bufferedBytes).toBeLessThanOrEqual(11 * MB);
    await turns();
    expect(server.requested).toBe(requested);
    let last = 0;
    while (last < 64) {
      for (const { seq } of reader.take(1)) expect(seq).toBe(++last);
      await turns(2);
      expect(reader.bufferedBytes).toBeLessThanOrEqual(11 * MB);
    }
    await reader.close();
  });

  it('P8: nothing is dropped uncounted: what is not late, repeated or impossible is in the rows', async () => {
    const kinds = ['requested', 'accepted', 'picked_up', 'completed', 'cancelled'] as const;
    const soup: RawEvent[] = [];
    let dice = 12_345;
    const roll = (sides: number): number => (dice = (dice * 48_271) % 2_147_483_647) % sides;
    const said = new Set<string>();
    for (let i = 0; i < 600; i++) {
      // Mostly in order, with some up to 30 minutes late.
      const ms = Math.max(0, i * 4_000 + roll(1_000) - (roll(10) === 0 ? roll(30 * MINUTE) : 0));
      const cell = CELLS[roll(CELLS.length)]!;
      const [n, kind] = [Math.floor(i / 20) + roll(5), kinds[roll(5)]!];
      if (roll(10) < 4) soup.push(ping(`d-${roll(6)}`, ms, cell, ['open', 'ontrip', 'offline'][roll(3)]));
      else if (said.has(`${kind} ${n}`)) soup.push(session(`r-${roll(4)}`, ms, cell, { id: `id-${i}` }));
      else {
        // A ride says each word once, in any order, and is always its one rider's.
        said.add(`${kind} ${n}`);
        soup.push(ride(kind, `x-${n}`, ms, cell, { riderId: `r-${n % 4}` }));
      }
    }
    const sent = soup.flatMap((event) => ('id' in event ? [event, event] : [event]));
    const { rows, sides, count } = await run(sent, { ...SETTINGS, frameEvents: 2 });

    const late = sides.filter(({ kind }) => kind === 'late');
    const repeats = sent.length - soup.length;
    expect(count('late')).toBe(late.length);
    expect(count('duplicates')).toBe(repeats);
    expect(count('late_beyond_lateness'), 'a level above never refuses what the first one took').toBe(0);
    expect(count('unrouted')).toBe(0);
    for (const name of ['late', 'late_accepted', 'dead.impossible_transition'])
      expect(count(name), name).toBeGreaterThan(0);
    const lateOnes = new Set(late.map(({ body }) => JSON.stringify(raw(body))));
    const counted = soup.filter((event) => !lateOnes.has(JSON.stringify(raw(event))));
    expect(counted.length + late.length + repeats).toBe(sent.length);
    expect(await differenceFromTruth(counted, rows, ['1m', '5m'])).toBe('same');
  });
});

/** An event's own fields, in one order. */
function raw(event: unknown): object {
  const fields = Object.entries(event as object).filter(([name]) => name !== 'cell');
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}
