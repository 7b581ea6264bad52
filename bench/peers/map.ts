/**
 * A program by hand over the same frames: one loop, a Map of drivers and a Map of counts, nothing kept but in memory. It
 * writes a minute's rows when every partition has heard that nothing older comes. What no engine on this machine, in this
 * language and over this stream can be faster than by much.
 */
import { systemClock } from '../../src/core/clock.js';
import { Wakeup } from '../../src/core/wakeup.js';
import { readToEnd, type LogReader } from '../../src/log/log.js';
import { decodeEventFrame } from '../../src/partition/frame.js';
import { canonicalMarket } from '../market.js';
import { RemoteProducer } from '../remote-producer.js';
import { openStack, type Stack } from '../stack.js';
import {
  MINUTE_MS,
  minuteOf,
  newDriver,
  takePing,
  type DriverState,
  type JobPing,
  type JobRow,
  type Peer,
} from './job.js';

const TAKE_BYTES = 256 * 1024;
const ROWS_PER_MESSAGE = 512;
const WAIT_MS = 200;

interface Count {
  pings: number;
  drivers: number;
}

export const map: Peer = {
  name: 'map',
  what: 'a loop and two Maps by hand, on the same frames',
  guarantees:
    'none for state: a crash loses all of it, and starting again counts from nothing; rows that are written stay',
  eventsMax: Number.POSITIVE_INFINITY,
  async run(size) {
    const stack = await openStack(canonicalMarket({}));
    try {
      const producer = await RemoteProducer.open(stack.target, stack.market, size);
      const startedMs = systemClock.monotonic();
      await Promise.race([Promise.all([produceToEnd(producer), countAll(stack)]), stack.failed]);
      const seconds = (systemClock.monotonic() - startedMs) / 1000;
      return { events: size.events, seconds, rows: await rowsOf(stack) };
    } finally {
      await stack.close();
    }
  },
};

async function produceToEnd(producer: RemoteProducer): Promise<void> {
  await producer.produce();
  await producer.end(minuteOf(producer.latestMs) + MINUTE_MS);
}

/** Counts until every partition has heard the producer's last word. */
async function countAll(stack: Stack): Promise<void> {
  const { log, subjects, market } = stack;
  const wakeup = new Wakeup(systemClock);
  const wake = (): void => {
    wakeup.wake();
  };
  const readers: LogReader[] = [];
  for (let p = 0; p < market.config.partitions; p++)
    readers.push(await log.read(subjects.events(p), 1, wake));
  const watermarks = readers.map(() => Number.NEGATIVE_INFINITY);
  const ended = readers.map(() => false);
  const drivers = new Map<string, DriverState>();
  const minutes = new Map<number, Map<string, Count>>();
  try {
    while (ended.includes(false)) {
      wakeup.arm();
      let worked = false;
      for (const [p, reader] of readers.entries()) {
        if (reader.failure !== undefined) throw reader.failure;
        for (const { payload } of reader.take(TAKE_BYTES)) {
          const { events, watermarkMs, end } = decodeEventFrame(payload);
          for (const event of events) count(drivers, minutes, event as unknown as JobPing);
          watermarks[p] = watermarkMs;
          ended[p] = end;
          worked = true;
        }
      }
      await writeClosed(stack, minutes, Math.min(...watermarks));
      if (worked) await new Promise((resolve) => setImmediate(resolve));
      else await wakeup.wait(WAIT_MS);
    }
  } finally {
    for (const reader of readers) await reader.close();
  }
}

function count(
  drivers: Map<string, DriverState>,
  minutes: Map<number, Map<string, Count>>,
  ping: JobPing,
): void {
  let driver = drivers.get(ping.driverId);
  if (driver === undefined) drivers.set(ping.driverId, (driver = newDriver()));
  const first = takePing(driver, ping);
  if (first === undefined) return;
  const minute = minuteOf(ping.ts);
  let cells = minutes.get(minute);
  if (cells === undefined) minutes.set(minute, (cells = new Map<string, Count>()));
  const counted = cells.get(ping.cell);
  if (counted === undefined) {
    cells.set(ping.cell, { pings: 1, drivers: first });
  } else {
    counted.pings += 1;
    counted.drivers += first;
  }
}

async function writeClosed(
  stack: Stack,
  minutes: Map<number, Map<string, Count>>,
  watermarkMs: number,
): Promise<void> {
  for (const [start, cells] of minutes) {
    if (start + MINUTE_MS > watermarkMs) continue;
    minutes.delete(start);
    const rows: JobRow[] = [...cells].map(([cell, counted]) => ({ cell, start, ...counted }));
    const entries = [];
    for (let i = 0; i < rows.length; i += ROWS_PER_MESSAGE)
      entries.push({
        subject: stack.subjects.out(0),
        payload: Buffer.from(JSON.stringify(rows.slice(i, i + ROWS_PER_MESSAGE))),
      });
    const appended = await stack.log.append(entries);
    if (appended.outcome !== 'committed') throw new Error(`rows were not written: ${appended.cause}`);
  }
}

async function rowsOf({ log, subjects }: Stack): Promise<JobRow[]> {
  const rows: JobRow[] = [];
  for await (const { payload } of readToEnd(log, subjects.out(0), 1))
    rows.push(...(JSON.parse(Buffer.from(payload).toString()) as JobRow[]));
  return rows;
}
