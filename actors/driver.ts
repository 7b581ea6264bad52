/**
 * A driver: its pings, in (ts, arrival) order, are a step function of where it is and what it does. Each minute, once
 * nothing older can come, it tells every cell it touched how many seconds of what it spent there (stage 0): so what it
 * says does not depend on when its pings arrived (P7).
 */
import {
  ByteReader,
  ByteWriter,
  defineActor,
  type ActorContext,
  type Behaviour,
  type Tally,
} from '../src/index.js';
import { tellLive } from './live.js';
import { DRIVERS_AT, market, MINUTE_MS } from './market.js';
import { PingLog, type Ping, type Status } from './ping-log.js';

const MS_AT: Readonly<Record<Status, number>> = {
  open: market.index.open_ms,
  enroute: market.index.enroute_ms,
  ontrip: market.index.busy_ms,
  offline: -1,
};

/** What a driver of a status is to those who look now. */
const SHOWN_AS = { open: 'open', enroute: 'enroute', ontrip: 'busy' } as const;

interface DriverState {
  /** The last ping of a sealed minute, if there is one: it may still hold. */
  last: PingLog;
  /** Pings of minutes that are not sealed yet. */
  readonly pings: PingLog;
  /** The live view of the newest ping's cell counts this driver. */
  shown: boolean;
}

const writer = new ByteWriter();

export interface DriverOptions {
  /** How long a ping holds when no other comes, ms. */
  readonly presenceMs: number;
  /** Tell live views where drivers are now. */
  readonly live: boolean;
}

export function driver({ presenceMs, live }: DriverOptions): Behaviour<DriverState> {
  /** Moves this driver in the live views, from one ping to a newer one. */
  function show(state: DriverState, ctx: ActorContext, before: Ping | undefined, now: Ping): void {
    if (!live) {
      hide(state, ctx, before, now.ts);
      return;
    }
    const was = state.shown ? before : undefined;
    const stays = was?.cell === now.cell && was.status === now.status;
    if (stays) return;
    if (was !== undefined) tellLive(ctx, was.cell, now.ts, change(was.status, -1));
    if (now.status !== 'offline') tellLive(ctx, now.cell, now.ts, change(now.status, 1));
    if (before !== undefined && before.status !== 'ontrip' && now.status === 'ontrip')
      tellLive(ctx, now.cell, now.ts, { pickups: 1 });
    if (before?.status === 'ontrip' && now.status === 'open')
      tellLive(ctx, now.cell, now.ts, { dropoffs: 1 });
    state.shown = now.status !== 'offline';
  }

  /** Takes this driver out of the live views. */
  function hide(state: DriverState, ctx: ActorContext, newest: Ping | undefined, ts: number): void {
    if (state.shown && newest !== undefined) tellLive(ctx, newest.cell, ts, change(newest.status, -1));
    state.shown = false;
  }

  /** Tells the cells about the minute that ends at `endMs`. */
  function seal(state: DriverState, ctx: ActorContext, endMs: number): void {
    const startMs = endMs - MINUTE_MS;
    const cells = new Map<string, Tally>();
    const tallyOf = (cell: string): Tally => {
      let tally = cells.get(cell);
      if (tally === undefined) cells.set(cell, (tally = market.zero()));
      return tally;
    };
    const touched: string[] = [];
    const hold = (ping: Ping, untilMs: number): void => {
      if (ping.status === 'offline') return;
      const fromMs = Math.max(ping.ts, startMs);
      const toMs = Math.min(untilMs, ping.ts + presenceMs, endMs);
      if (toMs <= fromMs) return;
      const { n } = tallyOf(ping.cell);
      n[MS_AT[ping.status]]! += toMs - fromMs;
      if (toMs === endMs && ping.status === 'open') n[market.index.open_end]! += 1;
      if (!touched.includes(ping.cell)) touched.push(ping.cell);
    };
    let last = state.last.newest;
    for (const ping of state.pings.takeBefore(endMs)) {
      if (last !== undefined) {
        hold(last, ping.ts);
        if (ping.status === 'ontrip' && last.status !== 'ontrip')
          tallyOf(ping.cell).n[market.index.pickups]! += 1;
        if (ping.status === 'open' && last.status === 'ontrip')
          tallyOf(ping.cell).n[market.index.dropoffs]! += 1;
      }
      last = ping;
    }
    if (last !== undefined) hold(last, endMs);
    if (last !== state.last.newest) state.last = new PingLog([last!]);
    carryDistinct(touched, DRIVERS_AT, (cell, counter) => {
      tallyOf(cell).n[counter]! += 1;
    });
    for (const [cell, tally] of cells) ctx.send('cell', cell, 'add', startMs, tally);

    const holds = last !== undefined && last.status !== 'offline' && last.ts + presenceMs > endMs;
    const nextMs = holds ? endMs : state.pings.list()[0]?.ts;
    if (nextMs !== undefined) ctx.schedule('seal', minuteEnd(nextMs));
    else hide(state, ctx, last, startMs);
  }

  return defineActor<DriverState>({
    type: 'driver',
    sends: ['cell', { to: 'live', async: true }],
    state: () => ({ last: new PingLog(), pings: new PingLog(), shown: false }),
    store: {
      encode: ({ last, pings, shown }) => {
        writer
          .uint(shown ? 1 : 0)
          .bytes(last.bytes)
          .raw(pings.bytes);
        return writer.take();
      },
      decode(stored) {
        const reader = new ByteReader(stored as Uint8Array);
        const shown = reader.uint() === 1;
        return { last: PingLog.from(reader.bytes()), pings: PingLog.from(reader.raw()), shown };
      },
    },
    look: ({ last, pings, shown }) => ({ last: last.newest, pings: pings.list(), shown }),
    events: {
      'driver.location': {
        key: 'driverId',
        handle(state, event, ctx) {
          const sealMs = minuteEnd(event.ts);
          if (sealMs <= ctx.watermark) {
            ctx.late(event);
            return;
          }
          const before = state.pings.newest ?? state.last.newest;
          const ping: Ping = { ts: event.ts, status: event['status'] as Status, cell: event.cell! };
          state.pings.add(ping);
          if (before === undefined || ping.ts >= before.ts) show(state, ctx, before, ping);
          const dueMs = ctx.due('seal');
          if (dueMs === undefined || sealMs < dueMs) ctx.schedule('seal', sealMs);
        },
      },
    },
    timers: { seal },
    failedTimerAgainMs: MINUTE_MS,
  });
}

function change(status: Status, by: 1 | -1): { open?: number; enroute?: number; busy?: number } {
  return status === 'offline' ? {} : { [SHOWN_AS[status]]: by };
}

/** End of the minute that holds a time. */
export function minuteEnd(ts: number): number {
  return (Math.floor(ts / MINUTE_MS) + 1) * MINUTE_MS;
}

/**
 * Distinct counts that sum up over cells: for each area of each level, the first touched cell in it carries the one.
 * @param counters index of the counter of each level, from the cell upward
 */
export function carryDistinct(
  cells: readonly string[],
  counters: readonly number[],
  add: (cell: string, counter: number) => void,
): void {
  const [own, gh5, gh4, region] = counters as [number, number, number, number];
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!;
    add(cell, own);
    if (isFirstWithPrefix(cells, i, 5)) add(cell, gh5);
    if (isFirstWithPrefix(cells, i, 4)) add(cell, gh4);
    if (i === 0) add(cell, region);
  }
}

function isFirstWithPrefix(cells: readonly string[], i: number, length: number): boolean {
  for (let j = 0; j < i; j++) if (cells[j]!.startsWith(cells[i]!.slice(0, length))) return false;
  return true;
}
