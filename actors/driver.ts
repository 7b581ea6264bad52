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
import { PingLog, STATUSES, type Ping, type Status } from './ping-log.js';

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
  last: Ping | undefined;
  /** Pings of minutes that are not sealed yet. */
  readonly pings: PingLog;
  /** The live view of the newest ping's cell counts this driver. */
  shown: boolean;
}

const writer = new ByteWriter();
const IS_SHOWN = 1;
const HAS_LAST = 2;

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
    const minute = new DriverMinute(endMs, presenceMs);
    let { last } = state;
    for (const ping of state.pings.takeBefore(endMs)) {
      if (last !== undefined) {
        minute.hold(last, ping.ts);
        minute.change(last, ping);
      }
      last = ping;
    }
    if (last !== undefined) minute.hold(last, endMs);
    state.last = last;
    minute.tell(ctx);

    const holds = last !== undefined && last.status !== 'offline' && last.ts + presenceMs > endMs;
    const nextMs = holds ? endMs : state.pings.oldestMs;
    if (nextMs !== undefined) ctx.schedule('seal', minuteEnd(nextMs));
    else hide(state, ctx, last, endMs - MINUTE_MS);
  }

  return defineActor<DriverState>({
    type: 'driver',
    sends: ['cell', { to: 'live', async: true }],
    state: () => ({ last: undefined, pings: new PingLog(), shown: false }),
    store: {
      encode: ({ last, pings, shown }) => {
        writer.clear().uint((shown ? IS_SHOWN : 0) | (last === undefined ? 0 : HAS_LAST));
        if (last !== undefined) writer.float(last.ts).uint(STATUSES.indexOf(last.status)).text(last.cell);
        return writer.raw(pings.bytes).take();
      },
      decode(stored) {
        const reader = new ByteReader(stored as Uint8Array);
        const flags = reader.uint();
        const last =
          (flags & HAS_LAST) === 0
            ? undefined
            : { ts: reader.float(), status: STATUSES[reader.uint()]!, cell: reader.text() };
        return { last, pings: PingLog.from(reader.raw()), shown: (flags & IS_SHOWN) !== 0 };
      },
    },
    look: ({ last, pings, shown }) => ({ last, pings: pings.list(), shown }),
    events: {
      'driver.location': {
        key: 'driverId',
        handle(state, event, ctx) {
          const sealMs = minuteEnd(event.ts);
          if (sealMs <= ctx.watermark) {
            ctx.late(event);
            return;
          }
          const ping: Ping = { ts: event.ts, status: event['status'] as Status, cell: event.cell! };
          const tells = live || state.shown;
          const before = tells ? (state.pings.newest ?? state.last) : undefined;
          state.pings.add(ping);
          if (tells && (before === undefined || ping.ts >= before.ts)) show(state, ctx, before, ping);
          const dueMs = ctx.due('seal');
          if (dueMs === undefined || sealMs < dueMs) ctx.schedule('seal', sealMs);
        },
      },
    },
    timers: { seal },
    failedTimerAgainMs: MINUTE_MS,
  });
}

/** What a driver did in one minute, by cell. */
class DriverMinute {
  readonly #endMs: number;
  readonly #presenceMs: number;
  readonly #cells: string[] = [];
  readonly #tallies: Tally[] = [];
  /** Where it was for any time. */
  readonly #touched: string[] = [];

  constructor(endMs: number, presenceMs: number) {
    this.#endMs = endMs;
    this.#presenceMs = presenceMs;
  }

  /** It did what a ping says until a time, as long as that holds. */
  hold({ ts, status, cell }: Ping, untilMs: number): void {
    if (status === 'offline') return;
    const fromMs = Math.max(ts, this.#endMs - MINUTE_MS);
    const toMs = Math.min(untilMs, ts + this.#presenceMs, this.#endMs);
    if (toMs <= fromMs) return;
    this.#add(cell, MS_AT[status], toMs - fromMs);
    if (toMs === this.#endMs && status === 'open') this.#add(cell, market.index.open_end, 1);
    if (!this.#touched.includes(cell)) this.#touched.push(cell);
  }

  /** From one ping to the next a ride began, or ended. */
  change(from: Ping, { status, cell }: Ping): void {
    if (status === 'ontrip' && from.status !== 'ontrip') this.#add(cell, market.index.pickups, 1);
    if (status === 'open' && from.status === 'ontrip') this.#add(cell, market.index.dropoffs, 1);
  }

  tell(ctx: ActorContext): void {
    carryDistinct(this.#touched, DRIVERS_AT, (cell, counter) => {
      this.#add(cell, counter, 1);
    });
    for (let i = 0; i < this.#cells.length; i++)
      ctx.send('cell', this.#cells[i]!, 'add', this.#endMs - MINUTE_MS, this.#tallies[i]);
  }

  #add(cell: string, counter: number, by: number): void {
    let i = this.#cells.indexOf(cell);
    if (i === -1) {
      i = this.#cells.push(cell) - 1;
      this.#tallies.push(market.zero('dropoffs'));
    }
    this.#tallies[i]!.n[counter]! += by;
  }
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
