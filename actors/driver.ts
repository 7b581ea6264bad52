/**
 * A driver: its pings, in (ts, arrival) order, are a step function of where it is and what it does. Each minute, once
 * nothing older can come, it tells every cell it touched how many seconds of what it spent there (stage 0): so what it
 * says does not depend on when its pings arrived (P7).
 */
import { defineActor, type ActorContext, type Behaviour, type Tally } from '../src/index.js';
import { tellLive } from './live.js';
import { DRIVERS_AT, market, MINUTE_MS } from './market.js';

type Status = 'open' | 'enroute' | 'ontrip' | 'offline';
const STATUSES: readonly Status[] = ['open', 'enroute', 'ontrip', 'offline'];
const MS_AT: Readonly<Record<Status, number>> = {
  open: market.index.open_ms,
  enroute: market.index.enroute_ms,
  ontrip: market.index.busy_ms,
  offline: -1,
};

/** What a driver of a status is to those who look now. */
const SHOWN_AS = { open: 'open', enroute: 'enroute', ontrip: 'busy' } as const;

interface Ping {
  readonly ts: number;
  readonly status: Status;
  readonly cell: string;
}

interface DriverState {
  /** The last ping of a sealed minute: it may still hold. */
  last: Ping | undefined;
  /** Pings of minutes that are not sealed yet, in (ts, arrival) order. */
  pings: Ping[];
  /** The live view of the newest ping's cell counts this driver. */
  shown: boolean;
}

/**
 * Pings as they are stored: whether the first is the one that still holds and whether the newest is shown, then for each
 * ping its time since the one before and its status in one number, and its cell where that changed. A driver is stored
 * with every commit, so its size is the size of the journal.
 */
type StoredPings = (number | string)[];

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
    let taken = 0;
    for (const ping of state.pings) {
      if (ping.ts >= endMs) break;
      taken++;
      if (state.last !== undefined) {
        hold(state.last, ping.ts);
        if (ping.status === 'ontrip' && state.last.status !== 'ontrip')
          tallyOf(ping.cell).n[market.index.pickups]! += 1;
        if (ping.status === 'open' && state.last.status === 'ontrip')
          tallyOf(ping.cell).n[market.index.dropoffs]! += 1;
      }
      state.last = ping;
    }
    state.pings.splice(0, taken);
    const { last } = state;
    if (last !== undefined) hold(last, endMs);
    carryDistinct(touched, DRIVERS_AT, (cell, counter) => {
      tallyOf(cell).n[counter]! += 1;
    });
    for (const [cell, tally] of cells) ctx.send('cell', cell, 'add', startMs, tally);

    const holds = last !== undefined && last.status !== 'offline' && last.ts + presenceMs > endMs;
    const nextMs = holds ? endMs : state.pings[0]?.ts;
    if (nextMs !== undefined) ctx.schedule('seal', minuteEnd(nextMs));
    else hide(state, ctx, last, startMs);
  }

  return defineActor<DriverState>({
    type: 'driver',
    sends: ['cell', { to: 'live', async: true }],
    state: () => ({ last: undefined, pings: [], shown: false }),
    store: {
      encode: storePings,
      decode: (stored) => loadPings(stored as StoredPings),
    },
    look: ({ last, pings, shown }) => ({ last, pings, shown }),
    events: {
      'driver.location': {
        key: 'driverId',
        handle(state, event, ctx) {
          const sealMs = minuteEnd(event.ts);
          if (sealMs <= ctx.watermark) {
            ctx.late(event);
            return;
          }
          const before = state.pings.at(-1) ?? state.last;
          const ping: Ping = { ts: event.ts, status: event['status'] as Status, cell: event.cell! };
          insertByTime(state.pings, ping);
          if (before === undefined || ping.ts >= before.ts) show(state, ctx, before, ping);
          const dueMs = ctx.due('seal');
          if (dueMs === undefined || sealMs < dueMs) ctx.schedule('seal', sealMs);
        },
      },
    },
    timers: { seal },
  });
}

function change(status: Status, by: 1 | -1): { open?: number; enroute?: number; busy?: number } {
  return status === 'offline' ? {} : { [SHOWN_AS[status]]: by };
}

/** End of the minute that holds a time. */
export function minuteEnd(ts: number): number {
  return (Math.floor(ts / MINUTE_MS) + 1) * MINUTE_MS;
}

/** Inserts behind all that are not later: equal times keep their order of arrival. */
function insertByTime<T extends { readonly ts: number }>(list: T[], item: T): void {
  let i = list.length;
  while (i > 0 && list[i - 1]!.ts > item.ts) i--;
  if (i === list.length) list.push(item);
  else list.splice(i, 0, item);
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

const HAS_LAST = 1;
const IS_SHOWN = 2;
const MOVED = 4;
const CODES = 8;

function storePings({ last, pings, shown }: DriverState): StoredPings {
  const stored: StoredPings = [(last === undefined ? 0 : HAS_LAST) + (shown ? IS_SHOWN : 0)];
  let ts = 0;
  let cell = '';
  for (const ping of last === undefined ? pings : [last, ...pings]) {
    const moved = ping.cell !== cell;
    stored.push((ping.ts - ts) * CODES + (moved ? MOVED : 0) + STATUSES.indexOf(ping.status));
    if (moved) stored.push(ping.cell);
    ({ ts, cell } = ping);
  }
  return stored;
}

function loadPings(stored: StoredPings): DriverState {
  const pings: Ping[] = [];
  let ts = 0;
  let cell = '';
  for (let i = 1; i < stored.length; i++) {
    const code = stored[i] as number;
    ts += Math.floor(code / CODES);
    if ((code & MOVED) !== 0) cell = stored[++i] as string;
    pings.push({ ts, status: STATUSES[code & 3]!, cell });
  }
  const flags = stored[0] as number;
  return {
    last: (flags & HAS_LAST) !== 0 ? pings.shift() : undefined,
    pings,
    shown: (flags & IS_SHOWN) !== 0,
  };
}
