/**
 * A turn of the node: input and time for every partition that it owns, one watch over all of them, then a commit when one is
 * due. Owns in which order they come and how long the turn may close minutes; the limits are the node's.
 */
import type { Partition } from '../partition/partition.js';
import { DEFAULT_POISON_RULES } from '../partition/poison.js';
import { Alignment } from './alignment.js';
import type { CommitPipeline } from './commit-pipeline.js';
import type { Commits } from './commits.js';
import type { NodeLimits } from './limits.js';
import type { LocalMail } from './local-mail.js';
import type { NodeOptions } from './node-options.js';
import type { OwnedPartition } from './owned-partition.js';
import { isDamage, type OwnedPartitions } from './owned-partitions.js';
import type { Snapshotter } from './snapshotter.js';
import type { NodeStats } from './status.js';
import { underOneWatch, type TurnWatch } from './turn-watch.js';

export interface TurnOptions extends Pick<NodeOptions, 'clock' | 'partition'> {
  readonly limits: NodeLimits;
  readonly owned: OwnedPartitions;
  readonly commits: Commits;
  readonly pipeline: CommitPipeline;
  readonly snapshotter: Snapshotter;
  readonly stats: NodeStats;
  readonly localMail: LocalMail;
  readonly onFailure: (thrown: unknown) => void;
}

/** What one partition has to do in a turn. */
interface Job {
  readonly partition: Partition;
  readonly what: () => void;
}

/** With so many times more messages than make a node behind, it gathers as long as it may. */
const BEHIND_FULLY = 16;
/** Of the time, making commits takes so much at most, as long as commits may be gathered. */
const COMMIT_SHARE = 0.5;
/** Of a replay, a commit that is due waits so many times as long for the next exchange. */
const PATIENCE = 2;
/** So long after a commit was sent, mail of it that is for partitions here is waited for, ms. */
const READ_MAIL_MS = 100;
/** What is said goes back and forth so often in one turn at most: there are fewer stages. */
const ROUNDS_MAX = 16;
/** Timers that fire between two looks at the clock. */
const TIMERS_BITE = 200;

export class Turn {
  readonly #options: TurnOptions;
  readonly #watch: TurnWatch;
  /** For turns in which nothing waits: a partition watches by itself what it has to call all the same. */
  readonly #noWatch: TurnWatch;
  /** At the last look, what comes was of now, and somebody waits for it: not so of a replay, nor of what one that has ended left. */
  #awaited = true;
  /** Whose turn it is to close first; until it has closed. */
  #first = 0;
  readonly #alignment: Alignment;

  constructor(options: TurnOptions) {
    this.#options = options;
    const { clock } = options;
    const { guard, poison } = options.partition;
    const { operationTimeMaxMs: limitMs } = { ...DEFAULT_POISON_RULES, ...poison };
    this.#watch = { guard, clock, limitMs };
    this.#noWatch = { guard: undefined, clock, limitMs };
    this.#alignment = new Alignment(options.partition.paneMs);
  }

  /** True when anything was done. */
  run(): boolean {
    const { clock, limits, owned: partitions, commits, snapshotter, localMail, stats } = this.#options;
    const wallMs = clock.now();
    let worked = false;
    let live = true;
    let closing = false;
    // What is being handed over stands still: its last commit says all.
    const owned = this.#inOrder();
    let replayed = owned.length > 0;
    let waiting = false;
    for (const one of owned) {
      const fetched = !snapshotter.full && one.fetch(limits);
      waiting ||= fetched || one.partition.moreDue;
    }
    const { replayCommitEveryMs } = limits;
    const mayGather = !this.#awaited && waiting && !this.#isCommitDue(PATIENCE * replayCommitEveryMs);
    const { damaged, gathered } = this.#work(owned, wallMs, { watched: waiting, mayGather });
    for (const one of owned) {
      if (one.settleInput() > 0) worked = true;
      stats.steps++;
      if (one.partition.moreDue) closing = true;
      live &&= one.partition.live;
      replayed &&= one.partition.replayed;
    }
    for (const partition of damaged) partitions.rebuild(partition.partition).catch(this.#options.onFailure);
    this.#awaited = live && !replayed;
    const due = this.#isCommitDue(this.#commitEveryMs(owned, closing));
    if (closing || gathered) worked = true;
    // Nobody waits for states that a replay has changed: more of it may come, and change them again.
    const idle = !worked && (live || owned.some((one) => this.#isWaitedFor(one)));
    // Mail of the last commit is about to be read here: then the next is said without the stream.
    const reading = !this.#isCommitDue(READ_MAIL_MS) && localMail.isReading(owned);
    // Before a commit all that was said here is heard here.
    if ((idle || due) && !reading && !gathered && commits.start()) worked = true;
    return worked;
  }

  /** The last commit was sent so long ago, or somebody waits for the last of all. */
  #isCommitDue(everyMs: number): boolean {
    const { clock, owned, pipeline } = this.#options;
    return owned.releasing || clock.monotonic() - pipeline.startedAtMs >= everyMs;
  }

  /** Others wait for the partition's next commit, or it takes nothing before that. */
  #isWaitedFor({ partition, uncommittedEvents }: OwnedPartition): boolean {
    return partition.hasNews || uncommittedEvents >= this.#options.limits.uncommittedEventsMax;
  }

  /**
   * How far commits are apart: while there is more to take, gather, for an actor that changes again is then committed once.
   * The less so, the less there is to take and the less a commit costs: somebody waits for a live value.
   */
  #commitEveryMs(owned: readonly OwnedPartition[], closing: boolean): number {
    const { limits, pipeline } = this.#options;
    const { commitEveryMs, replayCommitEveryMs, closingCommitEveryMs, behindMessages } = limits;
    if (!this.#awaited) return replayCommitEveryMs;
    const behind = (lagOf(owned) / behindMessages - 1) / BEHIND_FULLY;
    const gatherMs = Math.max(commitEveryMs * behind, pipeline.makingMs / COMMIT_SHARE);
    return Math.min(commitEveryMs, closing ? Math.max(gatherMs, closingCommitEveryMs) : gatherMs);
  }

  /**
   * The partitions that take part. One closes after the other: then what it tells others about a minute goes out in a
   * commit or two, and is merged.
   */
  #inOrder(): OwnedPartition[] {
    const partitions = this.#options.owned;
    const owned = [...partitions.all.values()].filter(
      ({ partition }) => partitions.release(partition.partition) === undefined,
    );
    if (owned[this.#first]?.partition.moreDue !== true)
      this.#first = (this.#first + 1) % Math.max(1, owned.length);
    return [...owned.slice(this.#first), ...owned.slice(0, this.#first)];
  }

  /**
   * Input that was fetched, and time, for each, and what they tell each other. Gives those whose snapshots are damaged.
   * @param how.mayGather what they tell may wait until it lets somebody close: an actor is then told once of a minute, not in
   *   every turn; `gathered` when it does wait
   */
  #work(
    owned: readonly OwnedPartition[],
    wallMs: number,
    { watched, mayGather }: { watched: boolean; mayGather: boolean },
  ): { damaged: Set<Partition>; gathered: boolean } {
    const { clock, limits, localMail, stats } = this.#options;
    const { turnTimersMax, turnTimersMs, turnInputMs } = limits;
    const damaged = new Set<Partition>();
    let gathered = mayGather;
    const unlessDamaged = ({ partition, what }: Job): void => {
      try {
        what();
      } catch (error) {
        if (!isDamage(error)) throw error;
        damaged.add(partition);
      }
    };
    const startedMs = clock.monotonic();
    const until = { monotonicMs: startedMs + turnInputMs, eventMs: this.#takesUntilMs(owned) };
    // Nobody waits for a replay's next value: what it closes, it closes in large pieces.
    const timersUntilMs = this.#awaited ? startedMs + turnTimersMs : Number.POSITIVE_INFINITY;
    let timersLeft = turnTimersMax;
    const advance = ({ partition }: OwnedPartition, untilMs: number): void => {
      timersLeft -= this.#advance(partition, wallMs, timersLeft, untilMs);
    };

    const jobs: Job[] = [];
    const add = ({ partition }: OwnedPartition, what: () => void): void => {
      jobs.push({ partition, what });
    };
    for (const [i, one] of owned.entries())
      add(one, () => {
        one.accept(wallMs, until, stats);
        // Whose turn it is closes something in every turn, however long input took.
        advance(one, i === 0 ? Math.max(timersUntilMs, clock.monotonic() + 1) : timersUntilMs);
        if (i < owned.length - 1) return;
        gathered &&= !localMail.letsClose(owned);
        if (!gathered) addRound(1);
      });
    const addRound = (round: number): void => {
      let heard = false;
      for (const [i, one] of owned.entries())
        add(one, () => {
          if (damaged.size === 0 && localMail.exchange(one, owned)) {
            heard = true;
            advance(one, timersUntilMs);
          }
          if (i < owned.length - 1) return;
          if (heard && round < ROUNDS_MAX) addRound(round + 1);
          else localMail.exchanged(owned);
        });
    };

    underOneWatch(watched ? this.#watch : this.#noWatch, jobs, {
      work: unlessDamaged,
      brokenOff: ({ partition }, error) => {
        unlessDamaged({
          partition,
          what: () => {
            partition.brokenOff(error);
          },
        });
      },
    });
    return { damaged, gathered };
  }

  /** Event time up to which input is taken in this turn: what is live is of now in all of them. */
  #takesUntilMs(owned: readonly OwnedPartition[]): number {
    if (this.#awaited) return Number.POSITIVE_INFINITY;
    const taking = owned.filter(({ hasInput }) => hasInput);
    return this.#alignment.untilMs(taking.map(({ partition }) => partition));
  }

  /** Lets time pass in a partition, a bite at a time, as far as the turn's share goes. Gives how many timers fired. */
  #advance(partition: Partition, wallMs: number, timersMax: number, deadlineMs: number): number {
    const late = (): boolean => this.#options.clock.monotonic() >= deadlineMs;
    let fired = partition.advance(wallMs, late() ? 0 : Math.min(TIMERS_BITE, timersMax));
    while (partition.moreDue && fired > 0 && fired < timersMax && !late())
      fired += partition.advance(wallMs, Math.min(TIMERS_BITE, timersMax - fired));
    return fired;
  }
}

function lagOf(owned: readonly OwnedPartition[]): number {
  return owned.reduce((sum, { lagMessages }) => sum + lagMessages, 0);
}
