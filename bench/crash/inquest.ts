/**
 * What came of a trial: times from the journals, rows against the truth, and everything that must not be, in words. Owns the
 * report; how it came about is the trial's.
 */
import { join } from 'node:path';
import { Samples, type Quantiles } from '../live/samples.js';
import { isKill, type FaultKind } from './fault-plan.js';
import { journalFaults, Journals, type Commit } from './journals.js';
import { readPublished, type Published } from './published.js';
import type { ReplaySummary } from './replay-process.js';
import type { Stack } from './stack.js';
import type { Storm, Struck } from './storm.js';
import { handOvers, takeOverMs } from './take-over.js';
import { differences, judge, type Verdict } from './verdict.js';

export interface TrialReport {
  readonly seconds: number;
  readonly struck: Readonly<Partial<Record<FaultKind, number>>>;
  /** Per partition of each node killed while all else was calm; and of those killed in haste. */
  readonly takeOverMs: Quantiles | undefined;
  readonly takeOverInHasteMs: Quantiles | undefined;
  readonly frozenTakeOverMs: Quantiles | undefined;
  readonly serverBackMs: Quantiles | undefined;
  /** Per hand-over of a partition; and of it, until the new owner's first commit, and from there until it commits input. */
  readonly handOverPauseMs: Quantiles | undefined;
  readonly handOverTakenMs: Quantiles | undefined;
  readonly handOverWorkingMs: Quantiles | undefined;
  /** Between two commits of a partition. */
  readonly betweenCommitsMs: Quantiles | undefined;
  readonly drainSeconds: Quantiles | undefined;
  readonly commits: number;
  readonly published: Published;
  readonly verdict: Verdict;
  readonly lost: number;
  readonly twice: number;
  readonly wrong: number;
  /** What must not be, in words: none when all is well. */
  readonly faults: readonly string[];
  readonly notes: readonly string[];
  readonly complaints: Readonly<Record<string, number>>;
}

/** Follows a trial from its beginning, and judges it at its end. */
export class Inquest {
  readonly #stack: Stack;
  readonly #storm: Storm;
  readonly #folder: string;
  readonly #journals: Journals;
  readonly #startedMs = Date.now();
  /** The rolling restarts were over; undefined where there were none. */
  rolledAtMs: number | undefined;

  constructor(folder: string, stack: Stack, storm: Storm) {
    this.#folder = folder;
    this.#stack = stack;
    this.#storm = storm;
    this.#journals = new Journals(stack.connection, stack.region.name, stack.region.partitions);
  }

  /** Some input was committed. */
  get flows(): boolean {
    return this.#journals.all.some((commits) => (commits.at(-1)?.inputSeq ?? 0) > 0);
  }

  async judge(how: {
    events: readonly string[];
    untilMs?: number;
    complete: Parameters<typeof readPublished>[0]['complete'];
  }): Promise<TrialReport> {
    const { connection, region } = this.#stack;
    const rowsFile = join(this.#folder, 'published.ndjson');
    const { untilMs = Number.POSITIVE_INFINITY, events, complete } = how;
    const published = await readPublished({ connection, region: region.name, rowsFile, untilMs, complete });
    await this.#journals.stop();
    const verdict = await judge({
      rowsFile,
      events,
      region: region.name,
      cover: region.cover,
      ...(how.untilMs === undefined ? {} : { untilMs: how.untilMs }),
    });
    const storm = this.#storm;
    const commits = this.#journals.all;
    return {
      seconds: (Date.now() - this.#startedMs) / 1_000,
      struck: countKinds(storm.struck),
      ...this.#times(),
      drainSeconds: quantilesOf(storm.drains.map(({ seconds }) => seconds)),
      commits: commits.reduce((sum, each) => sum + each.length, 0),
      published,
      verdict,
      lost: verdict.counts.missing,
      twice: verdict.counts.duplicates + published.surgesTwice,
      wrong: verdict.counts.wrong + verdict.counts.extra,
      faults: [
        ...storm.failures,
        ...commits.flatMap((each, partition) => journalFaults(partition, each)),
        ...differences('published rows', verdict),
        ...(published.surgesTwice === 0 ? [] : [`${published.surgesTwice} multipliers were given twice`]),
        ...(published.corrected === 0
          ? []
          : [`${published.corrected} rows are corrections, and nothing was late`]),
        ...this.#neverBack(),
      ],
      notes: storm.notes,
      complaints: this.#complaints(),
    };
  }

  #times(): Pick<
    TrialReport,
    | 'takeOverMs'
    | 'takeOverInHasteMs'
    | 'frozenTakeOverMs'
    | 'serverBackMs'
    | 'handOverPauseMs'
    | 'handOverTakenMs'
    | 'handOverWorkingMs'
    | 'betweenCommitsMs'
  > {
    const { struck } = this.#storm;
    const all = this.#journals.all;
    const took = (which: (one: Struck) => boolean): Quantiles | undefined =>
      quantilesOf(
        struck
          .filter(which)
          .flatMap(({ atMs, partitions }) =>
            partitions.flatMap((partition) => takeOverMs(all[partition]!, atMs) ?? []),
          ),
      );
    const window = { fromMs: this.#startedMs, toMs: this.rolledAtMs ?? Date.now() };
    const moved = all.flatMap((commits, partition) => handOvers(partition, commits, window));
    const gaps = all.flatMap((commits) => commits.slice(1).map(({ atMs }, i) => atMs - commits[i]!.atMs));
    return {
      takeOverMs: took(({ kind, calm }) => isKill(kind) && calm),
      takeOverInHasteMs: took(({ kind, calm }) => isKill(kind) && !calm),
      frozenTakeOverMs: took(({ kind, calm }) => kind === 'freeze' && calm),
      serverBackMs: quantilesOf(
        struck
          .filter(({ kind, calm }) => kind === 'server' && calm)
          .flatMap(({ atMs }) => all.flatMap((commits) => backMs(commits, atMs) ?? [])),
      ),
      handOverPauseMs: quantilesOf(moved.map(({ pauseMs }) => pauseMs)),
      handOverTakenMs: quantilesOf(moved.map(({ untilTakenMs }) => untilTakenMs)),
      handOverWorkingMs: quantilesOf(moved.map(({ untilWorkingMs }) => untilWorkingMs)),
      betweenCommitsMs: quantilesOf(gaps),
    };
  }

  /** Partitions of a killed node that never committed again. */
  #neverBack(): string[] {
    return this.#storm.struck.flatMap(({ kind, what, atMs, partitions }) =>
      isKill(kind)
        ? partitions
            .filter((partition) => takeOverMs(this.#journals.of(partition), atMs) === undefined)
            .map(
              (partition) =>
                `partition ${partition} never committed again after ${what} was killed at ${new Date(atMs).toISOString()}`,
            )
        : [],
    );
  }

  #complaints(): Record<string, number> {
    const all: Record<string, number> = {};
    for (const { complaints } of this.#stack.nodes)
      for (const [what, n] of complaints) all[what] = (all[what] ?? 0) + n;
    return all;
  }
}

/** What lies on the side subjects and should not, or the other way round. */
export function sideFaults({ late, dead }: Published, summary: ReplaySummary | undefined): string[] {
  const refused =
    Object.values(summary?.rejected ?? {}).reduce((a, b) => a + b, 0) + (summary?.impossible ?? 0);
  const letters = Object.values(dead).reduce((a, b) => a + b, 0);
  const expectedLate = summary?.late ?? 0;
  return [
    ...(late === expectedLate && late === 0
      ? []
      : [`${late} late events (the replay counts ${expectedLate})`]),
    ...(letters === refused
      ? []
      : [`${letters} dead letters, ${refused} events were refused: ${JSON.stringify(dead)}`]),
    ...(summary === undefined || summary.duplicates === 0
      ? []
      : [`${summary.duplicates} events were taken for duplicates`]),
  ];
}

/** From a server's death until a partition's next commit that was made after it. */
function backMs(commits: readonly Commit[], atMs: number): number | undefined {
  const next = commits.find((commit) => commit.atMs > atMs);
  return next === undefined ? undefined : next.atMs - atMs;
}

function quantilesOf(values: readonly number[]): Quantiles | undefined {
  const samples = new Samples();
  for (const value of values) samples.add(value);
  return samples.quantiles();
}

function countKinds(struck: readonly Struck[]): Partial<Record<FaultKind, number>> {
  const counts: Partial<Record<FaultKind, number>> = {};
  for (const { kind } of struck) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
