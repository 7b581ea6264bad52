/**
 * Hunts: events of a program that crashed, or of two programs at once, that take effect twice or not at all; a producer that
 * does not come back with the server; a refusal that comes as an exception, or not at all; an example that does not run.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openProducer, type EventProducer } from '../../src/index.js';
import { decodeEventFrame } from '../../src/partition/frame.js';
import { differenceFromTruth } from '../support/against-truth.js';
import { ROOT } from '../support/cli.js';
import { at, CELLS, MINUTE, ping, session, smallCity, T0, type RawEvent } from '../support/market.js';
import { RealRegion } from '../support/real-region.js';
import { repeated } from '../support/rows.js';
import { until } from '../support/until.js';

const TEST_MS = 120_000;
let region: RealRegion;
const children: ChildProcess[] = [];

beforeAll(async () => {
  region = await RealRegion.open(4);
}, 300_000);
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await region.close();
}, 60_000);

/** A sender in a process of its own; `sent` is what it says that the stream has acknowledged. */
function startSender(
  id: string,
  file: string,
): { child: ChildProcess; sent: () => number; gone: Promise<unknown> } {
  const config = JSON.stringify({ ...region.target, id, mode: 'replay' });
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(ROOT, 'test/support/event-sender.ts'), config, file],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(child);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const gone = new Promise((resolve) => child.on('exit', resolve));
  return { child, gone, sent: () => Number(text.trim().split('\n').at(-1)) || 0 };
}

/** Producers that each partition has heard of, by what is in its input. */
async function heard(partition: number): Promise<Set<string>> {
  const reader = await region.log.read(region.subjects.events(partition), 1, () => undefined);
  try {
    const { log, subjects } = region;
    const last = (await log.last(subjects.events(partition)))?.seq ?? 0;
    const ids = new Set<string>();
    let seq = 0;
    await until('the input is read', () => {
      for (const message of reader.take(1_000_000)) {
        ids.add(decodeEventFrame(message.payload).producer);
        seq = message.seq;
      }
      return seq >= last;
    });
    return ids;
  } finally {
    await reader.close();
  }
}

const isHeardEverywhere = async (id: string): Promise<boolean> => {
  for (let partition = 0; partition < region.config.partitions; partition++)
    if (!(await heard(partition)).has(id)) return false;
  return true;
};

async function sendAll(producer: EventProducer, events: readonly RawEvent[]): Promise<void> {
  for (const event of events) while (producer.offer(event) === 'full') await producer.room();
  await producer.flush();
}

describe('two producers of one region at the same time', () => {
  it(
    'P3: one of them killed with -9, and opened again under its id: the rows are those of all events, none twice',
    async () => {
      const city = smallCity({
        drivers: 120,
        requestsPerMinute: 150,
        durationMs: 12 * MINUTE,
        pingEveryMs: 5_000,
      });
      const ofRiders = city.filter((event) => event['riderId'] !== undefined);
      const ofDrivers = city.filter((event) => event['riderId'] === undefined);
      expect([ofRiders.length > 1_000, ofDrivers.length > 10_000]).toEqual([true, true]);
      const file = join(region.dataDir, 'drivers.ndjson');
      writeFileSync(file, ofDrivers.map((event) => `${JSON.stringify(event)}\n`).join(''));

      // Time waits for a producer once it is known: let both be known before either is far.
      const riders = await openProducer({ ...region.target, id: 'riders', mode: 'replay' });
      await riders.send(ofRiders[0]!);
      await until('the first is known everywhere', () => isHeardEverywhere('riders'), { pollMs: 20 });
      let kills = 0;
      let before = 0;
      for (; kills < 3; kills++) {
        const { child, sent, gone } = startSender('drivers', file);
        const enough = before;
        await until('it has sent more than the last one', () => sent() > enough + 500, { pollMs: 5 });
        before = sent();
        child.kill('SIGKILL');
        await gone;
        if (kills === 0)
          await until('the other is known too', () => isHeardEverywhere('drivers'), { pollMs: 20 });
        // The other one goes on meanwhile, and a node comes and goes.
        await sendAll(riders, ofRiders.slice(1 + kills * 150, 1 + (kills + 1) * 150));
        if (kills === 1) {
          await region.stopNode();
          await region.startNode();
        }
      }
      expect(before).toBeLessThan(ofDrivers.length);
      const drivers = await openProducer({ ...region.target, id: 'drivers', mode: 'replay' });
      await Promise.all([sendAll(drivers, ofDrivers), sendAll(riders, ofRiders.slice(1 + kills * 150))]);
      const upToMs = T0 + 3 * 60 * MINUTE;
      await Promise.all([drivers.close({ upToMs }), riders.close({ upToMs })]);

      const { rows, sides, count } = await region.said(upToMs);
      expect([count('repeated'), count('missing'), count('late'), sides]).toEqual([0, 0, 0, []]);
      expect(repeated(rows)).toEqual([]);
      expect(await differenceFromTruth(city, rows)).toBe('same');
    },
    TEST_MS,
  );
});

describe('a live producer', () => {
  it('is told of each event what became of it', async () => {
    const producer = await openProducer({ ...region.target, id: 'told' });
    const now = { ts: Date.now() };
    const reports = await Promise.all(
      [
        { ...ping('d-1', 0, CELLS[0]), ...now },
        { ...ping('d-1', 0, CELLS[0]), ...now, lat: 48.2, lon: 16.4 },
        { ...ping('d-1', 0, CELLS[0]), ...now, status: 'parked' },
        { type: 'ride.reqested', ...now },
        { ...ping('d-1', 0, CELLS[0]), ...now, note: 'x'.repeat(70_000) },
        { ...ping('d-1', 0, CELLS[0]), ...now, big: 10n },
        { ...session('r-1', 0, CELLS[0]), ts: new Date() },
      ].map((event) => producer.send(event)),
    );
    expect(reports).toMatchObject([
      { outcome: 'delivered' },
      { outcome: 'refused', reason: 'outside_region' },
      { outcome: 'refused', reason: 'unknown_value', field: 'status' },
      { outcome: 'refused', reason: 'unknown_type', field: 'type' },
      { outcome: 'refused', reason: 'too_large' },
      { outcome: 'refused', reason: 'malformed' },
      { outcome: 'refused', reason: 'wrong_type', field: 'ts' },
    ]);
    expect(producer.stats).toMatchObject({
      taken: 1,
      refused: {
        outside_region: 1,
        unknown_value: 1,
        unknown_type: 1,
        too_large: 1,
        malformed: 1,
        wrong_type: 1,
      },
      failure: undefined,
    });
    await producer.flush();
    expect(producer.stats).toMatchObject({ delivered: 1, queued: 0 });
    await producer.close();
    expect(() => producer.offer({})).toThrow(/closed/);
    await expect(producer.send({})).rejects.toMatchObject({ code: 'GS_LOG' });
  });

  it('pushes back when it is faster than the stream, and everything arrives once and in order', async () => {
    const producer = await openProducer({ ...region.target, id: 'fast', queueEventsMax: 500 });
    let pushedBack = 0;
    const before = region.node.stats.events;
    for (let n = 0; n < 20_000; n++) {
      const event = { type: 'session.opened', riderId: `r-${n % 50}`, ...at(CELLS[0]), ts: Date.now(), n };
      while (producer.offer(event) === 'full') {
        pushedBack++;
        await producer.room();
      }
      expect(producer.stats.queued).toBeLessThanOrEqual(500);
    }
    await producer.flush();
    expect(producer.stats).toMatchObject({ taken: 20_000, delivered: 20_000, queued: 0 });
    expect(pushedBack).toBeGreaterThan(10);
    await producer.close();
    await until('the node has them', () => region.node.stats.events >= before + 20_000, { pollMs: 10 });
    expect(await orderIn('fast')).toEqual({ events: 20_000, outOfOrder: 0 });
  });

  it(
    'goes on behind what it sent when it is opened again, and when the server was away: nothing is lost or twice',
    async () => {
      const event = (n: number): RawEvent => ({
        type: 'session.opened',
        riderId: `r-${n % 5}`,
        ...at(CELLS[0]),
        ts: Date.now(),
        n,
      });
      const first = await openProducer({ ...region.target, id: 'again' });
      for (let n = 0; n < 100; n++) await first.send(event(n));
      await first.close();
      const second = await openProducer({ ...region.target, id: 'again' });
      const crash = await region.crashServer();
      const reports: Promise<unknown>[] = [];
      for (let n = 100; n < 150; n++) reports.push(second.send(event(n)));
      const settled = Promise.allSettled(reports);
      await crash.restart();
      // Delivered, or not known to be; and then delivered after all.
      for (const report of await settled) {
        if (report.status === 'fulfilled') expect(report.value).toEqual({ outcome: 'delivered' });
        else expect(report.reason).toMatchObject({ code: 'GS_LOG' });
      }
      await until(
        'the stream has them',
        () =>
          second.flush().then(
            () => true,
            () => false,
          ),
        { pollMs: 50 },
      );
      expect(second.stats).toMatchObject({ taken: 50, delivered: 50, queued: 0, failure: undefined });
      await second.close();
      expect(await orderIn('again')).toEqual({ events: 150, outOfOrder: 0 });
    },
    TEST_MS,
  );

  it('P1: opened twice at the same time, the older one is told that it is fenced off; nothing that was delivered is lost', async () => {
    const event = (n: number): RawEvent => ({
      type: 'session.opened',
      riderId: `r-${n % 5}`,
      ...at(CELLS[0]),
      ts: Date.now(),
      n,
    });
    const older = await openProducer({ ...region.target, id: 'twice' });
    for (let n = 0; n < 20; n++) await older.send(event(n));
    const younger = await openProducer({ ...region.target, id: 'twice' });
    await expect(older.send(event(100))).rejects.toMatchObject({ code: 'GS_FENCED' });
    expect(() => older.offer(event(101))).toThrow(/opened again/);
    for (let n = 20; n < 40; n++) await younger.send(event(n));
    expect(await orderIn('twice')).toEqual({ events: 40, outOfOrder: 0 });
    await expect(older.close()).rejects.toMatchObject({ code: 'GS_FENCED' });
    await younger.close();
  });

  it('refuses events of a time that has not come, by the clock of the region and not of its machine', async () => {
    const machine = vi.spyOn(Date, 'now');
    const real = (): number => performance.timeOrigin + performance.now();
    try {
      machine.mockImplementation(() => Math.floor(real() + 60 * MINUTE));
      const producer = await openProducer({ ...region.target, id: 'ahead' });
      const of = (ts: number): RawEvent => ({ type: 'session.opened', riderId: 'r-a', ...at(CELLS[0]), ts });
      expect(await producer.send(of(Date.now()))).toMatchObject({
        outcome: 'refused',
        reason: 'clock_ahead',
        field: 'ts',
      });
      expect(await producer.send(of(Date.now() - 60 * MINUTE))).toEqual({ outcome: 'delivered' });
      await until('it has told what time it is', async () => {
        const last = await region.log.last(region.subjects.events(0));
        return last !== undefined && decodeEventFrame(last.payload).producer === 'ahead';
      });
      const { payload } = (await region.log.last(region.subjects.events(0)))!;
      expect(decodeEventFrame(payload).watermarkMs).toBeLessThan(real() + 1_000);
      await producer.close();
    } finally {
      machine.mockRestore();
    }
  });

  it('moves the region’s time in all partitions while nothing comes any more', async () => {
    const producer = await openProducer({ ...region.target, id: 'quiet' });
    const openedAtMs = Date.now();
    producer.offer(ping('d-quiet', openedAtMs - T0, CELLS[0]));
    await until(
      'every partition has heard of it',
      async () => {
        for (let partition = 0; partition < region.config.partitions; partition++) {
          const last = await region.log.last(region.subjects.events(partition));
          if (last === undefined) return false;
          const frame = decodeEventFrame(last.payload);
          if (frame.producer !== 'quiet' || frame.watermarkMs < openedAtMs - 5_000) return false;
          expect(frame.watermarkMs).toBeLessThanOrEqual(Date.now() - 5_000);
        }
        return true;
      },
      { pollMs: 20 },
    );
    await producer.close();
  });
});

/** The numbers of a producer's events as partitions take them: each sequence once. */
async function orderIn(id: string): Promise<{ events: number; outOfOrder: number }> {
  let events = 0;
  let outOfOrder = 0;
  for (let partition = 0; partition < region.config.partitions; partition++) {
    const { log, subjects } = region;
    const lastSeq = (await log.last(subjects.events(partition)))?.seq ?? 0;
    const reader = await log.read(subjects.events(partition), 1, () => undefined);
    let known = 0;
    let before = -1;
    let seq = 0;
    await until('the input is read', () => {
      for (const message of reader.take(1_000_000)) {
        seq = message.seq;
        const frame = decodeEventFrame(message.payload);
        if (frame.producer !== id) continue;
        for (const [i, { n }] of frame.events.entries()) {
          if (frame.seq + i < known) continue;
          known = frame.seq + i + 1;
          events++;
          if ((n as number) <= before) outOfOrder++;
          before = n as number;
        }
      }
      return seq >= lastSeq;
    });
    await reader.close();
  }
  return { events, outOfOrder };
}

describe('opening a producer', () => {
  it.each([
    ['an id that cannot be one', () => ({ id: 'no spaces' }), 'GS_USAGE', /no spaces/],
    ['the id of the raw pump', () => ({ id: 'ingest' }), 'GS_USAGE', /ingest/],
    ['a name that no region can have', () => ({ region: 'a.b' }), 'GS_USAGE', /a\.b/],
    ['a wrong password', () => ({ password: 'x' }), 'GS_NATS_AUTH', /127\.0\.0\.1/],
    ['no user', () => ({ user: undefined, password: undefined }), 'GS_NATS_AUTH', /JetStream/],
    ['a region that is not there', () => ({ region: 'atlantis' }), 'GS_REGION_UNKNOWN', /atlantis/],
    ['nobody there', () => ({ url: 'nats://127.0.0.1:1' }), 'GS_NATS_CONNECT', /127\.0\.0\.1:1/],
    ['a replay’s id for a live one', () => ({ id: 'riders' }), 'GS_USAGE', /replay/],
  ])('fails for %s, and says why', async (_what, more, code, words) => {
    const config = { ...region.target, id: 'p', ...more() } as Parameters<typeof openProducer>[0];
    await expect(openProducer(config)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(words) as string,
    });
  });
});

describe('the example in the documentation of openProducer', () => {
  it('runs', async () => {
    const text = readFileSync(join(ROOT, 'src/producer.ts'), 'utf8');
    const example = /@example\n([\s\S]*?)\*\/\nexport async function openProducer/.exec(text)![1]!;
    const { url, user, password } = region.target;
    const code = example
      .replaceAll(/^ \* ?/gm, '')
      .replace("'groundswell'", `'${join(ROOT, 'src/index.ts')}'`)
      .replace("url: 'nats://127.0.0.1:4222'", `url: '${url}', user: '${user}', password: '${password}'`)
      .concat('\nexport const { stats } = producer;\n');
    expect(code).toContain(url);
    const file = join(ROOT, 'test/integration', `.example-${process.pid}.mjs`);
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    writeFileSync(file, outputText);
    try {
      const { stats } = (await import(file)) as { stats: EventProducer['stats'] };
      expect(stats).toMatchObject({ taken: 1_001, delivered: 1_001, queued: 0, refused: {} });
    } finally {
      rmSync(file);
    }
  });
});
