/**
 * A driver: its pings, in (ts, arrival) order, are a step function of where it is and what it does. Each minute, once
 * nothing older can come, it tells every cell it touched how many seconds of what it spent there (stage 0): so what it
 * says does not depend on when its pings arrived (P7).
 */
import { ByteReader, defineActor, type ActorContext, type Behaviour, type Tally } from '../src/index.js';
import { cellText, inSameArea, type Cell } from './cell-code.js';
import { tellLive } from './live.js';
import { DRIVERS_AT, market, MINUTE_MS } from './market.js';
import { PingLog, type Ping, type PingLogFormat, type StayVisitor, type Status } from './ping-log.js';

const { open_ms: OPEN_MS, enroute_ms: ENROUTE_MS, busy_ms: BUSY_MS } = market.index;

type Present = Exclude<Status, 'offline'>;

function isPresent(status: Status | undefined): status is Present {
  return status !== undefined && status !== 'offline';
}

/** The counter of what a driver does. */
function msAt(status: Present): number {
  return status === 'open' ? OPEN_MS : status === 'enroute' ? ENROUTE_MS : BUSY_MS;
}

/** What it is to live views when a driver of a status comes, and when it goes. */
const COMES = { open: { open: 1 }, enroute: { enroute: 1 }, ontrip: { busy: 1 }, offline: {} } as const;
const GOES = { open: { open: -1 }, enroute: { enroute: -1 }, ontrip: { busy: -1 }, offline: {} } as const;

interface DriverState {
  /** Pings of minutes that are not sealed yet, and the last one before them, which may still hold. */
  readonly pings: PingLog;
  /** The live view of the newest ping's cell counts this driver. */
  shown: boolean;
}

const IS_SHOWN = 1;
const HAS_TAKEN = 2;
/** Its pings may have been drawn together: their codes have a place more. */
const MAY_BE_DRAWN = 4;
/** Cells stand there as numbers. */
const HAS_NUMBERS = 8;

export interface DriverOptions {
  /** How long a ping holds when no other comes, ms. */
  readonly presenceMs: number;
  /** Tell live views where drivers are now. */
  readonly live: boolean;
}

export function driver({ presenceMs, live }: DriverOptions): Behaviour<DriverState> {
  const minute = new DriverMinute(presenceMs);

  /** Moves this driver in the live views, from one ping to a newer one. */
  function show(state: DriverState, ctx: ActorContext, before: Ping | undefined, now: Ping): void {
    if (!live) {
      hide(state, ctx, before, now.ts);
      return;
    }
    const was = state.shown ? before : undefined;
    const stays = was?.cell === now.cell && was.status === now.status;
    if (stays) return;
    if (was !== undefined) tellLive(ctx, was.cell, now.ts, GOES[was.status]);
    if (now.status !== 'offline') tellLive(ctx, now.cell, now.ts, COMES[now.status]);
    if (before !== undefined && before.status !== 'ontrip' && now.status === 'ontrip')
      tellLive(ctx, now.cell, now.ts, { pickups: 1 });
    if (before?.status === 'ontrip' && now.status === 'open')
      tellLive(ctx, now.cell, now.ts, { dropoffs: 1 });
    state.shown = now.status !== 'offline';
  }

  /** Takes this driver out of the live views. */
  function hide(state: DriverState, ctx: ActorContext, newest: Ping | undefined, ts: number): void {
    if (state.shown && newest !== undefined) tellLive(ctx, newest.cell, ts, GOES[newest.status]);
    state.shown = false;
  }

  /** Tells the cells about the minute that ends at `endMs`. */
  function seal(state: DriverState, ctx: ActorContext, endMs: number): void {
    const { pings } = state;
    minute.begin(endMs);
    pings.seeTaken(minute);
    pings.takeBefore(endMs, presenceMs, minute);
    minute.tell(ctx);

    const nextMs = minute.holdsOn ? endMs : pings.oldestMs;
    if (nextMs !== undefined) ctx.schedule('seal', minuteEnd(nextMs));
    else hide(state, ctx, pings.taken, endMs - MINUTE_MS);
  }

  return defineActor<DriverState>({
    type: 'driver',
    sends: ['cell', { to: 'live', async: true }],
    state: () => ({ pings: new PingLog(), shown: false }),
    store: {
      encode({ pings, shown }, writer) {
        pings.writeTo(
          writer.uint((shown ? IS_SHOWN : 0) | (pings.hasTaken ? HAS_TAKEN : 0) | MAY_BE_DRAWN | HAS_NUMBERS),
        );
        return writer;
      },
      decode(stored) {
        const reader = new ByteReader(stored as Uint8Array);
        const flags = reader.uint();
        const pings = PingLog.from(reader, (flags & HAS_TAKEN) !== 0, formatOf(flags));
        return { pings, shown: (flags & IS_SHOWN) !== 0 };
      },
    },
    look: ({ pings, shown }) => ({ last: pings.taken, pings: pings.list(), shown }),
    events: {
      'driver.location': {
        key: 'driverId',
        handle(state, event, ctx) {
          const { ts, cell } = event;
          const { watermark } = ctx;
          const sealMs = minuteEnd(ts);
          if (sealMs <= watermark) {
            ctx.late(event);
            return;
          }
          const status = event['status'] as Status;
          // Most say what the one before said, and that is shown.
          const tells = live ? !state.shown || !state.pings.newestIs(status, cell!) : state.shown;
          const before = tells ? state.pings.newest : undefined;
          if (!state.pings.add(ts, status, cell!)) {
            ctx.late(event);
            return;
          }
          state.pings.drawTogether(watermark, presenceMs);
          if (tells && (before === undefined || ts >= before.ts))
            show(state, ctx, before, { ts, status, cell: cell! });
          const dueMs = ctx.due('seal');
          if (dueMs === undefined || sealMs < dueMs) ctx.schedule('seal', sealMs);
        },
      },
    },
    timers: { seal },
    failedTimerAgainMs: MINUTE_MS,
  });
}

function formatOf(flags: number): PingLogFormat {
  if ((flags & HAS_NUMBERS) !== 0) return 'numbers';
  return (flags & MAY_BE_DRAWN) === 0 ? 'single' : 'texts';
}

/**
 * What a driver did in one minute, by cell. It sees the stays of that minute, after the ping that held before it. One serves all
 * drivers, one after the other.
 */
class DriverMinute implements StayVisitor {
  readonly #presenceMs: number;
  #endMs = 0;
  /** The first so many are in use. */
  #cellCount = 0;
  readonly #cells: Cell[] = [];
  readonly #tallies: Tally[] = [];
  /** Of these, where it was for any time. */
  readonly #touched: number[] = [];
  /** The ping that holds: the first of those that say the same, one soon after the other, and the last. */
  #sinceMs = Number.NEGATIVE_INFINITY;
  #ts = Number.NEGATIVE_INFINITY;
  #status: Status | undefined;
  #cell: Cell = 0;

  constructor(presenceMs: number) {
    this.#presenceMs = presenceMs;
  }

  begin(endMs: number): void {
    this.#endMs = endMs;
    this.#cellCount = 0;
    this.#touched.length = 0;
    this.#ts = Number.NEGATIVE_INFINITY;
    this.#sinceMs = Number.NEGATIVE_INFINITY;
    this.#status = undefined;
  }

  stay(fromMs: number, toMs: number, status: Status, cell: Cell): void {
    const before = this.#status;
    if (status === before && cell === this.#cell && fromMs <= this.#ts + this.#presenceMs) {
      this.#ts = toMs;
      return;
    }
    if (before !== undefined) {
      this.#hold(fromMs);
      // From one ping to the next a ride began, or ended.
      if (status === 'ontrip' && before !== 'ontrip') this.#add(cell, market.index.pickups, 1);
      if (status === 'open' && before === 'ontrip') this.#add(cell, market.index.dropoffs, 1);
    }
    this.#ts = toMs;
    this.#sinceMs = fromMs;
    this.#status = status;
    this.#cell = cell;
  }

  /** The last ping holds beyond this minute. */
  get holdsOn(): boolean {
    return isPresent(this.#status) && this.#ts + this.#presenceMs > this.#endMs;
  }

  /** The minute is over. */
  tell(ctx: ActorContext): void {
    this.#hold(this.#endMs);
    const touched = this.#touched;
    const cells = touched.map((at) => this.#cells[at]!);
    carryDistinct(cells, DRIVERS_AT, (i, counter) => {
      this.#tallies[touched[i]!]!.n[counter]! += 1;
    });
    const startMs = this.#endMs - MINUTE_MS;
    for (let i = 0; i < this.#cellCount; i++)
      ctx.send('cell', cellText(this.#cells[i]!), 'add', startMs, this.#tallies[i]);
  }

  /** It did what the last ping says until a time, as long as that holds. */
  #hold(untilMs: number): void {
    const status = this.#status;
    if (!isPresent(status)) return;
    const fromMs = Math.max(this.#sinceMs, this.#endMs - MINUTE_MS);
    const toMs = Math.min(untilMs, this.#ts + this.#presenceMs, this.#endMs);
    if (toMs <= fromMs) return;
    const at = this.#placeOf(this.#cell);
    const { n } = this.#tallies[at]!;
    n[msAt(status)]! += toMs - fromMs;
    if (toMs === this.#endMs && status === 'open') n[market.index.open_end]! += 1;
    if (!this.#touched.includes(at)) this.#touched.push(at);
  }

  #add(cell: Cell, counter: number, by: number): void {
    this.#tallies[this.#placeOf(cell)]!.n[counter]! += by;
  }

  #placeOf(cell: Cell): number {
    let i = 0;
    while (i < this.#cellCount && this.#cells[i] !== cell) i++;
    if (i === this.#cellCount) {
      this.#cells[i] = cell;
      this.#tallies[i] = market.zero('dropoffs');
      this.#cellCount++;
    }
    return i;
  }
}

/** End of the minute that holds a time. */
export function minuteEnd(ts: number): number {
  return (Math.floor(ts / MINUTE_MS) + 1) * MINUTE_MS;
}

/**
 * Distinct counts that sum up over cells: for each area of each level, the first touched cell in it carries the one.
 * @param counters index of the counter of each level, from the cell upward
 * @param add gets the place of a cell among those that were touched
 */
export function carryDistinct(
  cells: readonly Cell[],
  counters: readonly number[],
  add: (at: number, counter: number) => void,
): void {
  const [own, gh5, gh4, region] = counters as [number, number, number, number];
  for (let i = 0; i < cells.length; i++) {
    add(i, own);
    if (isFirstInArea(cells, i, 5)) add(i, gh5);
    if (isFirstInArea(cells, i, 4)) add(i, gh4);
    if (i === 0) add(i, region);
  }
}

function isFirstInArea(cells: readonly Cell[], i: number, length: number): boolean {
  for (let j = 0; j < i; j++) if (inSameArea(cells[i]!, cells[j]!, length)) return false;
  return true;
}
