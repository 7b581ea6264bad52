/**
 * A region that this node shares with others: who they are, whether the lease of this one is good, and that partitions come
 * and go as `membership/` decides. Nothing is done while the lease is not good: whoever lost a partition meanwhile learns it
 * from the journals (P1) before it goes on.
 */
import { GroundswellError } from '../core/errors.js';
import { silent } from '../core/logger.js';
import { Wakeup } from '../core/wakeup.js';
import type { CommitPipeline } from './commit-pipeline.js';
import { Follower } from './follower.js';
import type { GroupCommit } from './group-commit.js';
import { Membership } from './membership/membership.js';
import type { MembershipOptions, NodeOptions } from './node-options.js';
import type { Following, OwnedPartitions } from './owned-partitions.js';
import { OwnershipLoop } from './ownership-loop.js';
import type { MemberStatus, NodeState, NodeStats, NodeStatus } from './status.js';

type Given = 'log' | 'subjects' | 'clock' | 'partitions' | 'partition' | 'logger' | 'onMembers';

export interface SharedRegionOptions extends Pick<NodeOptions, Given> {
  readonly membership: MembershipOptions;
  readonly following: Following;
  readonly owned: OwnedPartitions;
  readonly groupCommit: GroupCommit;
  readonly pipeline: CommitPipeline;
  readonly stats: NodeStats;
  /** How long partitions may be handed over when the node stops, ms. */
  readonly drainMs: number;
  readonly state: () => NodeState;
  /** Called when there may be something to do. */
  wake(): void;
  readonly onFailure: (thrown: unknown) => void;
}

export class SharedRegion {
  readonly #options: SharedRegionOptions;
  readonly #membership: Membership;
  readonly #ownership: OwnershipLoop;
  /** Woken when a partition or a member comes or goes. */
  readonly #moves: Wakeup;
  /** The lease was not fresh at the last look. */
  #paused = false;

  constructor(options: SharedRegionOptions) {
    this.#options = options;
    const { clock, partitions, partition, owned, logger = silent } = options;
    const { leases, ttlMs, standbys, ...self } = options.membership;
    this.#moves = new Wakeup(clock);
    this.#membership = new Membership({
      leases,
      clock,
      self: { ...self, http: self.http, instance: partition.writer, startedAtMs: clock.now() },
      ...(ttlMs === undefined ? {} : { ttlMs }),
      onChange: () => {
        this.#membersChanged();
      },
    });
    this.#ownership = new OwnershipLoop({
      membership: this.#membership,
      self: self.id,
      partitions,
      standbys,
      clock,
      logger,
      owned: () => new Set(owned.all.keys()),
      isLeaving: (id) => owned.isLeaving(id),
      openFollower: (id) => this.#openFollower(id),
      take: (follower, insists) => owned.take(follower, (writer) => !insists && this.#isThere(writer)),
      release: (id, to) => owned.handOver(id, to),
      onFailure: options.onFailure,
    });
  }

  /** The region's nodes, as far as they are known here. */
  get members(): readonly MemberStatus[] {
    return this.#membership.members();
  }

  /** The lease is good, and was since the journals were looked at. */
  get fresh(): boolean {
    return !this.#paused && this.#membership.fresh;
  }

  followed(): NodeStatus['followed'] {
    return this.#ownership.followers().map(({ partition, lagMessages, journalSeq, control }) => ({
      partition,
      lagMessages,
      journalSeq,
      commit: control?.commit ?? 0,
      epoch: control?.epoch ?? 0,
      ready: this.#ownership.isReady(partition),
    }));
  }

  /** Lets the others know of this node, and hears of them. */
  join(): Promise<void> {
    return this.#membership.start();
  }

  /** Decides anew who should own what. */
  decide(): void {
    this.#ownership.wake();
  }

  /** A partition was let go here. */
  moved(): void {
    this.#moves.wake();
    this.#ownership.wake();
  }

  /** While it is on, all that is owned here is handed to others, as far as there are any. */
  drain(on: boolean): void {
    this.#ownership.drain(on);
  }

  /** Hands over what is owned here, as long as there is somebody to take it and time is left. */
  async handOverAll(): Promise<void> {
    const { clock, owned, drainMs } = this.#options;
    this.#ownership.drain(true);
    const deadlineMs = clock.monotonic() + drainMs;
    const successors = (): boolean =>
      this.members.some(({ alive, self, draining }) => alive && !self && !draining);
    for (;;) {
      this.#moves.arm();
      const leftMs = deadlineMs - clock.monotonic();
      const draining = this.#options.state() === 'draining';
      if (owned.all.size === 0 || !draining || !successors() || leftMs <= 0) return;
      await this.#moves.wait(leftMs);
    }
  }

  /** Whether the lease is good, and was since the journals were looked at: nothing is done here while it is not. */
  mayStep(): boolean {
    if (!this.#membership.fresh) this.#paused = true;
    return !this.#paused;
  }

  /**
   * Goes on after the lease had run out, once it is good again: the process may have hung for long, and others have what
   * was ours. True when it may step.
   */
  async resume(): Promise<boolean> {
    const { log, subjects, owned, groupCommit, pipeline, stats } = this.#options;
    if (!this.#membership.fresh || pipeline.busy) return false;
    try {
      for (const id of [...owned.all.keys()]) {
        const last = await log.last(subjects.journal(id));
        if ((last?.seq ?? 0) === groupCommit.journalSeq(id)) continue;
        stats.fenced++;
        await owned.drop(id, 'another node has taken it');
      }
    } catch (error) {
      if (error instanceof GroundswellError && error.code === 'GS_LOG') return false;
      throw error;
    }
    this.#paused = !this.#membership.fresh;
    return !this.#paused;
  }

  /** The node ends: nobody waits for moves any more. */
  ending(): void {
    this.#moves.wake();
  }

  /** Takes and follows nothing any more. Resolves when nothing of it is under way. */
  stop(): Promise<void> {
    return this.#ownership.stop();
  }

  /** Whoever hears that we are gone may take what we had. */
  leave(): Promise<void> {
    return this.#membership.stop();
  }

  #membersChanged(): void {
    const { failure } = this.#membership;
    if (failure !== undefined) this.#options.onFailure(failure);
    // Before it has heard of the others, it would take what is theirs.
    if (this.#options.state() === 'starting') return;
    if (this.#isDisputed()) this.#paused = true;
    this.#ownership.wake();
    this.#moves.wake();
    this.#options.wake();
    this.#options.onMembers?.();
  }

  /** Another node says that it owns what is owned here: the journals tell whose it is. */
  #isDisputed(): boolean {
    const { owned: here } = this.#options;
    const isOurs = (id: number): boolean => here.all.has(id) && here.release(id) === undefined;
    return this.members.some(({ alive, self, owned }) => alive && !self && owned.some(isOurs));
  }

  /** Whether the writer of a journal is another node that is there. */
  #isThere(writer: string): boolean {
    return this.members.some(({ alive, self, instance }) => alive && !self && instance === writer);
  }

  #openFollower(partition: number): Promise<Follower> {
    return Follower.open({
      partition,
      ...this.#options.following,
      onProgress: ({ control, failure }) => {
        if (control?.handedTo !== undefined || failure !== undefined) this.#ownership.wake();
      },
    });
  }
}
