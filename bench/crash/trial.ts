/**
 * One run from beginning to end: a stack of servers and nodes, events, a storm, and the comparison of all that was published
 * with the truth. `replayTrial` has a trace replayed at speed, and everything is struck; `liveTrial` has a steady live load,
 * and nodes are restarted in turn, then killed: there the pauses are measured.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RegionConfig } from '../../src/ingest/region.js';
import { FaultPlan } from './fault-plan.js';
import { Inquest, sideFaults, type TrialReport } from './inquest.js';
import { LiveFeed } from './live-feed.js';
import { ReplayProcess } from './replay-process.js';
import { Stack } from './stack.js';
import { Storm } from './storm.js';
import type { Trace } from './trace.js';
import { differences, judge } from './verdict.js';
import { waitFor } from './waiting.js';

export interface TrialOptions {
  readonly folder: string;
  readonly region: RegionConfig;
  readonly regionFile: string;
  readonly seed: number;
  readonly nodes: number;
  readonly standbys: number | undefined;
  readonly cluster: boolean;
  readonly kills: number;
  onProgress(line: string): void;
}

const THROUGH = { deadlineMs: 600_000, pollMs: 200 };
const MINUTE_MS = 60_000;

export async function replayTrial(
  options: TrialOptions & {
    readonly trace: Trace;
    readonly speed: string;
  },
): Promise<TrialReport> {
  const { trace, speed, region, folder, seed, kills } = options;
  return withTrial(options, async ({ stack, storm, inquest }) => {
    const replayed = join(folder, 'replayed.ndjson');
    const replay = new ReplayProcess({
      trace,
      region: region.name,
      regionFile: stack.regionFile,
      nats: stack.servers.url,
      rowsFile: replayed,
    });
    replay.start(speed);
    try {
      await Promise.race([flowing(inquest), failing(replay.finished)]);
      await Promise.race([
        storm.run(new FaultPlan(seed, { cluster: options.cluster }), kills),
        failing(replay.finished),
      ]);
      options.onProgress('the last node is back; the rest of the trace comes at full speed');
      if (replay.through) {
        storm.notes.push(
          'the trace was through before the last was struck: give a longer one, or less speed',
        );
      } else {
        // The machine that replays dies too, and goes on where it was.
        await replay.kill();
        replay.start('max');
      }
      const summary = await within(THROUGH.deadlineMs, 'the replay is through', replay.finished);
      const expected = Object.values(summary.rows).reduce((a, b) => a + b, 0);
      const report = await inquest.judge({
        events: trace.truthArgs,
        complete: ({ rows }) => rows >= expected,
      });
      const own = await judge({
        rowsFile: replayed,
        events: trace.truthArgs,
        region: region.name,
        cover: region.cover,
      });
      return {
        ...report,
        faults: [
          ...report.faults,
          ...differences('rows of the replay', own),
          ...sideFaults(report.published, summary),
        ],
      };
    } finally {
      await replay.kill();
    }
  });
}

export async function liveTrial(
  options: TrialOptions & { readonly rounds: number; readonly eventsPerSecond: number },
): Promise<TrialReport> {
  const { region, folder, seed, kills, rounds, eventsPerSecond } = options;
  return withTrial(options, async ({ stack, storm, inquest }) => {
    const file = join(folder, 'live-events.ndjson');
    const feed = await LiveFeed.open({ nats: stack.servers.url, region, seed, eventsPerSecond, file });
    const work = async (): Promise<void> => {
      await storm.roll(rounds);
      inquest.rolledAtMs = Date.now();
      await storm.run(
        new FaultPlan(seed, { first: Array.from({ length: kills }, () => 'kill' as const) }),
        kills,
      );
      // At least one minute has all its windows, and nothing happens at its end.
      const minute = Math.ceil(Date.now() / MINUTE_MS) * MINUTE_MS + region.outOfOrderBoundMs;
      await waitFor('the minute is over', () => (feed.lastMs > minute ? true : undefined), {
        deadlineMs: 2 * MINUTE_MS,
        pollMs: 100,
      });
    };
    await Promise.race([flowing(inquest).then(work), failing(feed.finished)]);
    await feed.stop();
    const untilMs = Math.floor(feed.lastMs / MINUTE_MS) * MINUTE_MS;
    const report = await inquest.judge({
      events: ['--events', file],
      untilMs,
      complete: ({ regionMinuteEndMs }) => regionMinuteEndMs >= untilMs,
    });
    return { ...report, faults: [...report.faults, ...sideFaults(report.published, undefined)] };
  });
}

/** What a trial works with. */
interface Trial {
  readonly stack: Stack;
  readonly storm: Storm;
  readonly inquest: Inquest;
}

async function withTrial(
  options: TrialOptions,
  work: (trial: Trial) => Promise<TrialReport>,
): Promise<TrialReport> {
  await mkdir(options.folder, { recursive: true });
  let storm: Storm | undefined;
  const early: string[] = [];
  const stack = await Stack.open({
    ...options,
    onNotStarted: (what) => early.push(what),
    onUnexpectedEnd: (node, what) => {
      if (storm === undefined) early.push(what);
      else storm.mendUnexpected(node, what);
    },
  });
  try {
    storm = new Storm({
      stack,
      onStruck: ({ kind, what, partitions }) => {
        const owned = partitions.length === 0 ? '' : `, which owned ${partitions.length} partitions`;
        options.onProgress(`${kind} ${what}${owned} (${storm?.kills ?? 0} of ${options.kills} kills)`);
      },
    });
    storm.failures.push(...early);
    await stack.settled();
    return await work({ stack, storm, inquest: new Inquest(options.folder, stack, storm) });
  } finally {
    await stack.close();
  }
}

/** Nothing is struck before events flow. */
async function flowing(inquest: Inquest): Promise<void> {
  await waitFor('events flow', () => (inquest.flows ? true : undefined), THROUGH);
}

/** Rejects as the promise does; never resolves. */
function failing(promise: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    promise.catch(reject);
  });
}

async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not within ${ms / 1_000} s: ${what}`));
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
