/** Actors whose calls fail as their events say, in every way there is, and what a partition with them has told. */
import {
  defineActor,
  type ActorContext,
  type ActorEvent,
  type Behaviour,
} from '../../../src/actor/behaviour.js';
import type { Commit } from '../../../src/partition/partition.js';
import { rowsOf } from '../../../src/partition/row-block.js';
import { decodeActor } from '../../../src/partition/actor-record.js';
import type { Driven } from './driven.js';

export const FAILURES = ['throw', 'promise', 'size', 'late throw', 'swallowed', 'bad emit'] as const;
/** Forgets itself now and then; its state never becomes too large, since it could be gone when that is looked at. */
export const FORGETFUL = 'd';
export type How = (typeof FAILURES)[number];

interface Sum {
  sum: number;
  texts: string[];
}

/** Everything a handler can do, so that whatever is left of a failed one shows. */
function doAll(state: Sum, ctx: ActorContext, by: number): void {
  state.sum += by;
  state.texts.push(`t${by}`);
  ctx.send('total', `t${by % 3}`, 'add', 0, by);
  ctx.send('echo', `e${by % 2}`, 'hear', 0, by);
  ctx.schedule('ring', 1_000 * (by + 1));
  if (by % 4 === 0) ctx.cancel('ring');
  ctx.emit({ level: 'x', key: ctx.key, window: '1m', start: 0, end: 60_000, rev: 0, features: { by } });
  ctx.show({ by });
  ctx.count('done', by);
  if (by % 5 === 0) ctx.late({ type: 'do', ts: by });
  if (by % 7 === 0) ctx.dead('do', 'disliked', { by });
  if (by % 11 === 0 && ctx.key === FORGETFUL) ctx.forget();
}

function fail(state: Sum, ctx: ActorContext, how: How | undefined): unknown {
  switch (how) {
    case 'throw':
    case 'late throw':
      throw new TypeError(`poison: ${how}`);
    case 'promise':
      return Promise.reject(new Error('nobody waits for this'));
    case 'size':
      state.texts.push('x'.repeat(3_000));
      return undefined;
    case 'swallowed':
      // Merges with what an earlier call said, and fails at it.
      try {
        ctx.send('total', 'clash', 'clash', 0, { n: 1 });
        ctx.send('total', 'clash', 'clash', 0, { n: 2 });
      } catch {
        // As if nothing were wrong.
      }
      throw new Error('poison: swallowed');
    case 'bad emit':
      ctx.emit({ level: 'x', key: 'k', window: '1m', start: 0, end: 1, rev: 0, features: null as never });
      return undefined;
    case undefined:
      return undefined;
  }
}

const worker = defineActor<Sum>({
  type: 'worker',
  sends: ['total', { to: 'echo', async: true }],
  state: () => ({ sum: 0, texts: [] }),
  events: {
    do: {
      key: 'key',
      handle(state, event, ctx): void {
        const how = event['fail'] as How | undefined;
        if (how === 'throw') fail(state, ctx, how);
        doAll(state, ctx, event['by'] as number);
        return fail(state, ctx, how) as undefined;
      },
    },
    poison: {
      key: 'key',
      handle(state, event, ctx): void {
        // Its message and its timer fail, not the event itself.
        ctx.send('total', 't0', 'fail', 0, event['fail']);
        ctx.schedule(`fail ${event['fail'] as string}`, event['at'] as number);
      },
    },
    caught: {
      key: 'key',
      handle(_, event, ctx) {
        try {
          ctx.send('total', 'clash', 'clash', 0, { n: 1 });
          ctx.send('total', 'clash', 'clash', 0, { n: event['by'] as number });
        } catch {
          // As if nothing were wrong.
        }
      },
    },
    calm: { key: 'key', handle: () => undefined },
    clash: {
      key: 'key',
      handle: (_, event, ctx) => ctx.send('total', 'clash', 'clash', 0, { n: event['by'] as number }),
    },
  },
  timers: {
    ring: (state, ctx, atMs) => {
      state.sum += 1_000;
      ctx.send('total', 'rung', 'add', 0, 1);
      if (atMs < 20_000) ctx.schedule('ring', atMs + 3_000);
    },
    ...Object.fromEntries(
      FAILURES.map((how) => [
        `fail ${how}`,
        (state: Sum, ctx: ActorContext) => {
          doAll(state, ctx, 3);
          return fail(state, ctx, how) as undefined;
        },
      ]),
    ),
  },
});

const total = defineActor<Sum>({
  type: 'total',
  sends: [],
  state: () => ({ sum: 0, texts: [] }),
  messages: {
    add: {
      combine: (into: number, from: number) => into + from,
      handle: (state, by: number, ctx) => {
        state.sum += by;
        ctx.count('added', by);
      },
    },
    clash: {
      combine(into: { n: number }, from: { n: number }) {
        const n = into.n + from.n;
        // It has changed what it was given when it fails.
        into.n = n % 3 === 0 ? Number.NaN : n;
        if (n % 3 === 0) throw new RangeError('cannot merge');
        return into;
      },
      handle: (state, { n }: { n: number }) => {
        state.sum += n;
      },
    },
    fail: {
      handle(state, how: How, ctx): void {
        state.sum += 1;
        ctx.count('failing');
        ctx.emit({ level: 'y', key: 'k', window: '1m', start: 0, end: 60_000, rev: 0, features: { a: 1 } });
        return fail(state, ctx, how) as undefined;
      },
    },
  },
});

const echo = defineActor<{ heard: number }>({
  type: 'echo',
  sends: [],
  state: () => ({ heard: 0 }),
  messages: { hear: { handle: (state, n: number) => void (state.heard += n) } },
});

export const POISONED = [worker, total, echo] as Behaviour[];
/** Small enough for `size` to be over it. */
export const RULES = { actorStateBytesMax: 2_500, quarantineAfter: Number.MAX_SAFE_INTEGER };

export interface Plan {
  readonly key: string;
  readonly by: number;
  readonly id: string | undefined;
  readonly what: 'do' | 'poison' | 'clash';
  readonly fail: How | undefined;
}

/** An event as a partition with poison gets it. */
export function poisonedEvent({ what, key, by, id, fail }: Plan, at: number): ActorEvent {
  const event = { type: what, ts: 0, key, by, at, ...(fail === undefined ? {} : { fail }) };
  return id === undefined ? event : { ...event, id };
}

/** The same for one without: what fails was never there. */
export function cleanEvent(plan: Plan, at: number): ActorEvent {
  if (plan.what === 'do' && plan.fail !== undefined) return { type: 'nothing', ts: 0 };
  return { ...poisonedEvent(plan, at), type: plan.what === 'poison' ? 'calm' : plan.what };
}

const OWN_COUNTERS = /^(dead\.(threw|promise|state_size|time)|unrouted|unmerged|duplicates)$/;

/** What a commit told, dead letters of poison aside, in an order of its own; messages that may or may not have been merged, summed up. */
export function told(commit: Commit | undefined): Readonly<Record<string, unknown>> {
  if (commit === undefined) return told(NOTHING);
  const mail = new Map<string, number>();
  for (const [to, name, atMs, body] of [...commit.mail.values()].flat()) {
    const key = `${to} ${name} ${atMs}`;
    const n = typeof body === 'number' ? body : (body as { n: number }).n;
    mail.set(key, (mail.get(key) ?? 0) + n);
  }
  return {
    rows: rowsOf(commit.blocks)
      .map((row) => JSON.stringify(row))
      .sort(),
    mail: [...mail].sort(),
    marks: commit.marks,
    sides: commit.sides
      .filter(({ body }) => !['threw', 'promise', 'state_size'].includes((body as { reason: string }).reason))
      .map((side) => JSON.stringify(side))
      .sort(),
    progress: commit.progress && [commit.progress.watermarkMs, commit.progress.closed],
    shown: commit.shown
      .flatMap(([, , keys, numbers]) => keys.map((key, i) => `${key} ${numbers[i]!}`))
      .sort(),
  };
}

const NOTHING = { mail: new Map(), blocks: [], sides: [], shown: [], marks: undefined } as unknown as Commit;

/** All that is known of all actors; those of which nothing but failures is known, are not. */
export function states(driven: Driven): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const type of ['worker', 'total', 'echo']) {
    for (const key of ['a', 'b', 'c', 'd', 't0', 't1', 't2', 'e0', 'e1', 'clash', 'rung']) {
      const record = driven.record(type, key);
      if (record === undefined) continue;
      const { state, timers = [], seen = [] } = decodeActor(record);
      const set = [...timers].filter(([name]) => !name.startsWith('fail ')).sort();
      const pristine = JSON.stringify(state) === JSON.stringify({ sum: 0, texts: [] });
      if (!pristine || set.length > 0 || [...seen].length > 0)
        all[`${type}/${key}`] = { state, timers: set, seen: [...seen].sort() };
    }
  }
  return all;
}

export function counters(driven: Driven): Record<string, number> {
  return Object.fromEntries(
    [...driven.partition.counters].filter(([name]) => !OWN_COUNTERS.test(name)).sort(),
  );
}
