/**
 * A rider: keeps each ride's life cycle (requested → accepted → picked up → completed, or cancelled before the
 * pick-up), refuses what cannot be, and tells the cells what happened where (stage 0).
 *
 * Its events of the last minutes are kept in (ts, arrival) order. What they amount to is a function of that list; so
 * a minute's close and a late event are the same thing: compute again, send the difference.
 */
import {
  addTally,
  defineActor,
  isZeroTally,
  sketchOf,
  type ActorContext,
  type ActorEvent,
  type Behaviour,
  type Tally,
} from '../src/index.js';
import { carryDistinct, minuteEnd } from './driver.js';
import { tellLive } from './live.js';
import { market, MINUTE_MS, RIDERS_AT } from './market.js';

type Phase = 'requested' | 'accepted' | 'picked_up' | 'ended';

interface Ride {
  phase: Phase;
  requestedMs: number;
  /** Where it was last seen. */
  cell: string;
  touchedMs: number;
}

interface LoggedEvent {
  readonly ts: number;
  /** `session.opened`, or the ride's next phase without its prefix. */
  readonly kind: string;
  readonly rideId: string;
  readonly cell: string;
  /** Its effect has been sent. */
  counted: boolean;
}

interface RiderState {
  /** Rides of the last day, ended ones too (their ids are not taken twice), as of the events that have left the log. */
  rides: Map<string, Ride>;
  log: LoggedEvent[];
}

export interface RiderOptions {
  /** How late an event of a ride may come and still correct the rows, ms. */
  readonly allowedLatenessMs: number;
  /** Tell live views what riders do now. */
  readonly live: boolean;
}

/** What an event is to those who look now. */
const SHOWN_AS: Readonly<Record<string, 'requests' | 'cancels' | 'completes' | 'sessions'>> = {
  session: 'sessions',
  requested: 'requests',
  cancelled: 'cancels',
  completed: 'completes',
};

/** A ride nobody has heard of for so long is forgotten: its id may come again. */
const ABANDONED_MS = 24 * 3_600_000;
/** From which phases a ride may go on by an event; `none` is a ride not known. */
const FROM: Readonly<Record<string, readonly (Phase | 'none')[]>> = {
  requested: ['none'],
  accepted: ['requested'],
  picked_up: ['accepted'],
  completed: ['picked_up'],
  cancelled: ['requested', 'accepted'],
};

/** What a list of events amounts to: tallies by minute and cell, and the events that were refused. */
class Effect {
  readonly #tallies = new Map<
    string,
    { readonly startMs: number; readonly cell: string; readonly tally: Tally }
  >();
  readonly #requestCells = new Map<number, string[]>();
  readonly refused = new Set<LoggedEvent>();

  tally(ts: number, cell: string): Tally {
    const startMs = Math.floor(ts / MINUTE_MS) * MINUTE_MS;
    const key = `${startMs}/${cell}`;
    let entry = this.#tallies.get(key);
    if (entry === undefined) this.#tallies.set(key, (entry = { startMs, cell, tally: market.zero() }));
    return entry.tally;
  }

  requested(ts: number, cell: string): void {
    this.tally(ts, cell).n[market.index.requests]! += 1;
    const startMs = Math.floor(ts / MINUTE_MS) * MINUTE_MS;
    const cells = this.#requestCells.get(startMs) ?? [];
    if (!cells.includes(cell)) this.#requestCells.set(startMs, [...cells, cell]);
  }

  /** The tallies, distinct riders included, less those of another effect. */
  less(other: Effect): { startMs: number; cell: string; tally: Tally }[] {
    for (const effect of [this, other]) effect.#countRiders();
    for (const { startMs, cell, tally } of other.#tallies.values())
      addTally(this.tally(startMs, cell), tally, -1);
    return [...this.#tallies.values()].filter(({ tally }) => !isZeroTally(tally));
  }

  #countRiders(): void {
    for (const [startMs, cells] of this.#requestCells) {
      carryDistinct(cells, RIDERS_AT, (at, counter) => {
        this.tally(startMs, cells[at]!).n[counter]! += 1;
      });
    }
  }
}

/** Plays events over the rides; changes `rides`. */
function play(rides: Map<string, Ride>, events: readonly LoggedEvent[]): Effect {
  const effect = new Effect();
  const { index } = market;
  for (const event of events) {
    const { ts, kind, rideId } = event;
    if (kind === 'session') {
      effect.tally(ts, event.cell).n[index.sessions]! += 1;
      continue;
    }
    const known = rides.get(rideId);
    const ride = known !== undefined && ts - known.touchedMs <= ABANDONED_MS ? known : undefined;
    if (!FROM[kind]!.includes(ride?.phase ?? 'none')) {
      effect.refused.add(event);
      continue;
    }
    const cell = event.cell === '' ? (ride?.cell ?? '') : event.cell;
    switch (kind) {
      case 'requested':
        effect.requested(ts, cell);
        rides.set(rideId, { phase: 'requested', requestedMs: ts, cell, touchedMs: ts });
        continue;
      case 'completed':
        effect.tally(ts, cell).n[index.completes]! += 1;
        rides.set(rideId, { ...ride!, phase: 'ended', cell, touchedMs: ts });
        continue;
      case 'cancelled':
        effect.tally(ts, cell).n[index.cancels]! += 1;
        rides.set(rideId, { ...ride!, phase: 'ended', cell, touchedMs: ts });
        continue;
      case 'picked_up': {
        const waitMs = ts - ride!.requestedMs;
        addTally(effect.tally(ts, cell), {
          ...market.of({ waits: 1, wait_ms: waitMs }),
          q: sketchOf(waitMs),
        });
        break;
      }
    }
    rides.set(rideId, { ...ride!, phase: kind as Phase, cell, touchedMs: ts });
  }
  return effect;
}

/** Events of one time are taken in the order that a ride can have, so that their order of arrival does not matter (P7). */
const KINDS = ['session', 'requested', 'accepted', 'picked_up', 'completed', 'cancelled'];

function insertInOrder(log: LoggedEvent[], event: LoggedEvent): void {
  const rank = KINDS.indexOf(event.kind);
  let i = log.length;
  while (
    i > 0 &&
    (log[i - 1]!.ts > event.ts || (log[i - 1]!.ts === event.ts && KINDS.indexOf(log[i - 1]!.kind) > rank))
  )
    i--;
  log.splice(i, 0, event);
}

export function rider({ allowedLatenessMs, live }: RiderOptions): Behaviour<RiderState> {
  /** Sends what the events older than a time amount to, less what was sent before. */
  function settle(state: RiderState, ctx: ActorContext, untilMs: number): void {
    const due = state.log.filter((event) => event.ts < untilMs);
    const counted = due.filter((event) => event.counted);
    const before = play(new Map(state.rides), counted);
    const after = play(new Map(state.rides), due);
    for (const event of after.refused) {
      if (before.refused.has(event)) continue;
      const { ts, kind, rideId } = event;
      ctx.dead(`ride.${kind}`, 'impossible_transition', {
        type: `ride.${kind}`,
        riderId: ctx.key,
        rideId,
        ts,
      });
    }
    const taken = [...before.refused].filter((event) => !after.refused.has(event)).length;
    if (taken > 0) ctx.count('dead.impossible_transition', -taken);
    for (const { startMs, cell, tally } of after.less(before)) ctx.send('cell', cell, 'add', startMs, tally);
    for (const event of due) event.counted = true;
    forgetOld(state, ctx.watermark);
    const next = state.log.find((event) => !event.counted);
    if (next !== undefined) ctx.schedule('settle', minuteEnd(next.ts));
  }

  /** Events that no late one can come before any more leave the log; their effect on the rides stays. */
  function forgetOld(state: RiderState, watermarkMs: number): void {
    const horizonMs = Math.floor((watermarkMs - allowedLatenessMs) / MINUTE_MS) * MINUTE_MS;
    let old = 0;
    while (old < state.log.length && state.log[old]!.counted && state.log[old]!.ts < horizonMs) old++;
    if (old > 0) play(state.rides, state.log.splice(0, old));
    // No event of these can come any more that would still find them.
    const abandonedMs = watermarkMs - allowedLatenessMs - MINUTE_MS - ABANDONED_MS;
    for (const [rideId, ride] of state.rides) if (ride.touchedMs < abandonedMs) state.rides.delete(rideId);
  }

  function take(state: RiderState, event: ActorEvent, ctx: ActorContext): void {
    const endMs = minuteEnd(event.ts);
    if (endMs + allowedLatenessMs <= ctx.watermark) {
      ctx.late(event);
      return;
    }
    const kind = event.type === 'session.opened' ? 'session' : event.type.slice('ride.'.length);
    const rideId = (event['rideId'] as string | undefined) ?? '';
    insertInOrder(state.log, { ts: event.ts, kind, rideId, cell: event.cell ?? '', counted: false });
    const shownAs = SHOWN_AS[kind];
    if (live && shownAs !== undefined) {
      // Whether the ride can have this event is known when its minute closes: what is seen now is what was said.
      const cell = event.cell ?? cellOf(state, rideId);
      if (cell !== undefined) tellLive(ctx, cell, event.ts, { [shownAs]: 1 });
    }
    if (endMs <= ctx.watermark) ctx.count('late_accepted');
    const dueMs = ctx.due('settle');
    // A late event's minute is over: the timer is due at once, at the end of this step.
    if (dueMs === undefined || endMs < dueMs) ctx.schedule('settle', endMs);
  }

  /** Where a ride was last seen, as far as is known now. */
  function cellOf({ rides, log }: RiderState, rideId: string): string | undefined {
    const seen = log.findLast((event) => event.rideId === rideId && event.cell !== '');
    return seen?.cell ?? rides.get(rideId)?.cell;
  }

  const ride = { key: 'riderId', handle: take };
  return defineActor<RiderState>({
    type: 'rider',
    sends: ['cell', { to: 'live', async: true }],
    state: () => ({ rides: new Map(), log: [] }),
    store: {
      encode: ({ rides, log }) => [
        [...rides].map(([id, r]) => [id, r.phase, r.requestedMs, r.cell, r.touchedMs]),
        log.map((event) => [event.ts, event.kind, event.rideId, event.cell, event.counted]),
      ],
      decode(stored) {
        const [rides, log] = stored as [
          [string, Phase, number, string, number][],
          [number, string, string, string, boolean][],
        ];
        return {
          rides: new Map(
            rides.map(([id, phase, requestedMs, cell, touchedMs]) => [
              id,
              { phase, requestedMs, cell, touchedMs },
            ]),
          ),
          log: log.map(([ts, kind, rideId, cell, counted]) => ({ ts, kind, rideId, cell, counted })),
        };
      },
    },
    look: ({ rides, log }) => ({ rides: Object.fromEntries(rides), log }),
    events: {
      'ride.requested': ride,
      'ride.accepted': ride,
      'ride.picked_up': ride,
      'ride.completed': ride,
      'ride.cancelled': ride,
      'session.opened': ride,
    },
    timers: {
      settle(state, ctx, atMs) {
        settle(state, ctx, Math.max(atMs, Math.floor(ctx.watermark / MINUTE_MS) * MINUTE_MS));
      },
    },
    failedTimerAgainMs: MINUTE_MS,
  });
}
