/**
 * What a cell looks like now, until its minute is final: drivers by status, and what happened since the minute began.
 * Provisional, and apart from the cell: it is told by `async` mail, so no window waits for it, and its state is a few
 * numbers, so a commit per move of a driver stays small.
 */
import {
  addTally,
  ByteReader,
  defineActor,
  TallyShape,
  type ActorContext,
  type Behaviour,
  type Tally,
} from '../src/index.js';
import { MINUTE_MS } from './market.js';

export const liveShape = new TallyShape([
  'open',
  'enroute',
  'busy',
  'requests',
  'pickups',
  'dropoffs',
  'cancels',
  'completes',
  'sessions',
] as const);

/** The first so many are drivers who are there; the rest counts from the minute's beginning. */
const PRESENT = 3;

interface LiveState {
  /** Start of the minute that the counters belong to. */
  minuteMs: number;
  readonly n: number[];
}

export function live(): Behaviour<LiveState> {
  function show({ minuteMs, n }: LiveState, ctx: ActorContext): void {
    const values: Record<string, number> = { minute: minuteMs };
    for (const [i, name] of liveShape.names.entries()) values[name] = n[i]!;
    ctx.show(values);
  }

  /** Moves on to a minute: its counters begin at 0, who is there stays. */
  function turn(state: LiveState, minuteMs: number): void {
    state.minuteMs = minuteMs;
    state.n.fill(0, PRESENT);
  }

  return defineActor<LiveState>({
    type: 'live',
    sends: [],
    state: () => ({ minuteMs: 0, n: liveShape.zero().n }),
    store: {
      encode: ({ minuteMs, n }, writer) => writer.uint(minuteMs).ints(n),
      decode(stored) {
        const reader = new ByteReader(stored as Uint8Array);
        const minuteMs = reader.uint();
        return { minuteMs, n: liveShape.names.map(() => reader.int()) };
      },
    },
    look: ({ minuteMs, n }) => ({
      minute: minuteMs,
      ...Object.fromEntries(liveShape.names.map((name, i) => [name, n[i]])),
    }),
    messages: {
      add: {
        combine: (into: Tally, from: Tally) => addTally(into, from),
        handle(state, { n }: Tally, ctx, minuteMs) {
          if (minuteMs > state.minuteMs) turn(state, minuteMs);
          // What happened in a minute that is over is its row's, not what is seen now.
          const length = minuteMs < state.minuteMs ? PRESENT : n.length;
          for (let i = 0; i < length; i++) state.n[i]! += n[i] ?? 0;
          const endMs = state.minuteMs + MINUTE_MS;
          if (ctx.due('turn') !== endMs) ctx.schedule('turn', endMs);
          show(state, ctx);
        },
      },
    },
    timers: {
      /** Shows itself once a minute as long as anything is there: whoever begins to look now sees it soon. */
      turn(state, ctx, atMs) {
        turn(state, Math.max(atMs, Math.floor(ctx.watermark / MINUTE_MS) * MINUTE_MS));
        show(state, ctx);
        if (state.n.some((value) => value !== 0)) ctx.schedule('turn', state.minuteMs + MINUTE_MS);
        else ctx.forget();
      },
    },
    failedTimerAgainMs: MINUTE_MS,
  });
}

/** Tells a cell's live view. */
export function tellLive(
  ctx: ActorContext,
  cell: string,
  ts: number,
  changes: Parameters<typeof liveShape.of>[0],
): void {
  ctx.send('live', cell, 'add', Math.floor(ts / MINUTE_MS) * MINUTE_MS, liveShape.of(changes));
}
