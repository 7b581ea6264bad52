/**
 * An actor type that adds up tallies in windows of event time: tumbling by one pane, sliding by one pane for the
 * longer ones. `windowed` makes the behaviour: it owns when a window closes, late corrections and their revisions;
 * the author says what a closed window means.
 */
import { defineActor, type ActorContext, type Behaviour, type Send } from '../actor/behaviour.js';
import { REPEATS_MAX, type Repeats } from '../actor/row.js';
import { Panes } from './panes.js';
import { addTally, isZeroTally, type Tally } from './tally.js';

/** A window that closed, or was corrected. */
export interface ClosedWindow {
  readonly sizeMs: number;
  /** Event time, ms UTC, exclusive. */
  readonly endMs: number;
  readonly rev: number;
  readonly tally: Tally;
  /** The last pane of the window; undefined when nothing was added to it. */
  readonly lastPane: Tally | undefined;
}

export interface WindowedSpec {
  readonly type: string;
  readonly sends: readonly Send[];
  readonly paneMs: number;
  /** Lengths of the windows, multiples of the pane, ascending; the first is the pane itself. */
  readonly windowsMs: readonly number[];
  /** Late tallies are taken for so long after a pane has closed; later ones are counted and left. */
  readonly allowedLatenessMs: number;
  /** Names of the tallies' counters, for those who look inside. */
  readonly counters?: readonly string[];
  /** Called when a pane closes with anything in it, and for each late piece of it: the place to pass it upward. */
  onPane?(ctx: ActorContext, paneMs: number, tally: Tally, late: boolean): void;
  /** Called once for each time at which windows close, with those that hold anything. */
  onClose(ctx: ActorContext, closed: readonly ClosedWindow[]): void;
  /**
   * Called in the place of `onClose` for windows that end while nothing is added, one length after the other: they hold the same
   * so many times more, a pane later each. What slides out of an hour costs one call then, not sixty. Without it `onClose` is
   * called for each.
   */
  onQuiet?(ctx: ActorContext, closed: readonly ClosedWindow[], repeats: Repeats): void;
}

interface WindowedState {
  panes: Panes;
  /** Starts of panes that late data changed in this step. */
  late: Set<number>;
}

/** Messages named `add` at a pane's start are added to it; `combine` merges them on the way. */
export function windowed(spec: WindowedSpec): Behaviour {
  const { paneMs, windowsMs, allowedLatenessMs } = spec;
  const longestMs = Math.max(...windowsMs);
  const longerMs = windowsMs.filter((sizeMs) => sizeMs > paneMs);

  /** Closes what ends from a time on while nothing is added, as far as it may: one window after the other. Gives the last end. */
  function closeQuiet(panes: Panes, ctx: ActorContext, endMs: number): number {
    const untilMs = Math.min(panes.quietUntil(endMs, longestMs), ctx.watermark);
    const times = Math.max(0, Math.floor((untilMs - endMs) / paneMs));
    const lastMs = endMs + Math.min(times, REPEATS_MAX) * paneMs;
    for (const sizeMs of longerMs)
      panes.runsUntil(lastMs, sizeMs, (tally, firstMs, more) => {
        if (isZeroTally(tally)) return;
        const closed = { sizeMs, endMs: firstMs, rev: 0, tally, lastPane: undefined };
        spec.onQuiet!(ctx, [closed], { times: more, everyMs: paneMs });
      });
    panes.slideTo(lastMs, longerMs);
    return lastMs;
  }

  /** Closes what ends at a time, which is the last that it closes. */
  function closeOne(panes: Panes, ctx: ActorContext, endMs: number, pane: Tally | undefined): number {
    if (pane !== undefined && !isZeroTally(pane)) spec.onPane?.(ctx, endMs - paneMs, pane, false);
    const closed: ClosedWindow[] = [];
    for (const sizeMs of windowsMs) {
      const tally = sizeMs === paneMs ? pane : panes.windowEnding(endMs, sizeMs);
      if (tally !== undefined && !isZeroTally(tally))
        closed.push({ sizeMs, endMs, rev: 0, tally, lastPane: pane });
    }
    spec.onClose(ctx, closed);
    return endMs;
  }

  function closeAt(state: WindowedState, ctx: ActorContext, endMs: number): void {
    const { panes } = state;
    const pane = panes.get(endMs - paneMs);
    panes.slideTo(endMs, longerMs);
    const isQuiet = pane === undefined && spec.onQuiet !== undefined;
    const lastMs = isQuiet ? closeQuiet(panes, ctx, endMs) : closeOne(panes, ctx, endMs, pane);
    const nextMs = panes.anyIn(lastMs + paneMs - longestMs, lastMs) ? lastMs : panes.earliestFrom(lastMs);
    if (nextMs !== undefined) ctx.schedule('close', nextMs + paneMs);
    panes.prune(lastMs - longestMs - Math.ceil(allowedLatenessMs / paneMs) * paneMs);
  }

  function correct(state: WindowedState, ctx: ActorContext): void {
    const { panes, late } = state;
    // Windows from the next close on are not final yet: they get the late piece with their first row.
    const closedMs = Math.min(ctx.watermark, (ctx.due('close') ?? Number.POSITIVE_INFINITY) - paneMs);
    const ends = new Map<number, number[]>();
    for (const startMs of [...late].sort((a, b) => a - b)) {
      for (const sizeMs of windowsMs) {
        for (let endMs = startMs + paneMs; endMs <= startMs + sizeMs && endMs <= closedMs; endMs += paneMs) {
          const sizes = ends.get(endMs) ?? [];
          if (!sizes.includes(sizeMs)) ends.set(endMs, [...sizes, sizeMs]);
        }
      }
    }
    late.clear();
    for (const [endMs, sizes] of [...ends].sort(([a], [b]) => a - b)) {
      const closed = sizes.map((sizeMs) => ({
        sizeMs,
        endMs,
        rev: panes.revise(sizeMs, endMs),
        tally: panes.sumOf(endMs, sizeMs),
        lastPane: panes.get(endMs - paneMs),
      }));
      spec.onClose(ctx, closed);
    }
  }

  const behaviour = defineActor<WindowedState>({
    type: spec.type,
    sends: spec.sends,
    state: () => ({ panes: new Panes(paneMs), late: new Set() }),
    store: {
      encode({ panes, late }, writer) {
        panes.writeTo(writer);
        return late.size === 0 ? writer : [writer.take(), [...late]];
      },
      decode(stored) {
        const [panes, late] =
          stored instanceof Uint8Array ? [stored, []] : (stored as [Uint8Array, number[]]);
        return { panes: Panes.from(panes, paneMs), late: new Set(late) };
      },
    },
    look: ({ panes, late }) => ({
      panes: panes.list().map(([startMs, { n, q }]) => ({
        start: startMs,
        counters: spec.counters === undefined ? n : named(spec.counters, n),
        ...(q === undefined || q.length === 0 ? {} : { sketch: q }),
      })),
      revisions: panes.revisions().flat(),
      late: [...late],
    }),
    messages: {
      add: {
        combine: (into: Tally, from: Tally) => addTally(into, from),
        handle(state, tally: Tally, ctx, startMs) {
          const endMs = startMs + paneMs;
          if (endMs > ctx.watermark) {
            state.panes.add(startMs, tally);
            const dueMs = ctx.due('close');
            if (dueMs === undefined || endMs < dueMs) ctx.schedule('close', endMs);
          } else if (endMs + allowedLatenessMs > ctx.watermark) {
            state.panes.add(startMs, tally);
            spec.onPane?.(ctx, startMs, tally, true);
            state.late.add(startMs);
            // Due in the past: corrects once, at the end of this step, however many late pieces came in it.
            ctx.schedule('correct', endMs);
            // Longer windows that are still open hold this pane too.
            const nextMs = nextEndMs(ctx.watermark, paneMs);
            if (nextMs < (ctx.due('close') ?? Number.POSITIVE_INFINITY)) ctx.schedule('close', nextMs);
          } else {
            ctx.count('late_beyond_lateness');
          }
        },
      },
    },
    timers: {
      close: closeAt,
      correct,
    },
    // What cannot close now is lost; what comes after it closes.
    failedTimerAgainMs: paneMs,
  });
  return behaviour as Behaviour;
}

/** Counters that are not 0, by name. */
function named(names: readonly string[], n: readonly number[]): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [i, name] of names.entries()) if ((n[i] ?? 0) !== 0) values[name] = n[i]!;
  return values;
}

/** The first pane end after a watermark. */
function nextEndMs(watermarkMs: number, paneMs: number): number {
  return (Math.floor(watermarkMs / paneMs) + 1) * paneMs;
}
