/**
 * Does what `membership/ownership` decides: takes partitions, follows others, hands over, lets go. One action per
 * partition at a time; whenever something has changed, it is decided anew from the facts of that moment.
 */
import { sleep, type Clock } from '../core/clock.js';
import { GroundswellError, messageOf } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { Wakeup } from '../core/wakeup.js';
import type { Follower } from './follower.js';
import type { Membership } from './membership/membership.js';
import { decideOwnership, type OwnershipAction } from './membership/ownership.js';

export interface OwnershipLoopOptions {
  readonly membership: Membership;
  /** This node's id. */
  readonly self: string;
  readonly partitions: number;
  /** Further nodes that follow each partition. */
  readonly standbys: number;
  readonly clock: Clock;
  readonly logger: Logger;
  owned(): ReadonlySet<number>;
  /** A partition that is not owned any more, and of which something is still being put away. */
  isLeaving(partition: number): boolean;
  openFollower(partition: number): Promise<Follower>;
  /**
   * Takes a partition with the follower, which has ended afterwards. False when somebody else has it.
   * @param insists also from a node that is there, wrote last, and does not say that it owns the partition
   */
  take(follower: Follower, insists: boolean): Promise<boolean>;
  /** Resolves when the partition's last entry of ours is committed, or somebody else has it. */
  release(partition: number, to: string): Promise<void>;
  /** Something failed that does not pass. */
  onFailure(error: Error): void;
}

interface Followed {
  follower: Follower | undefined;
  /** It was at the end of the journal once. */
  caughtUp: boolean;
}

/** A follower further behind is not ready to take over within the time that a cell may stand still. */
const READY_LAG_MAX = 256;
const AGAIN_MS = 500;
const REFUSALS_MAX = 4;
/** A successor that has not taken what was handed to it by then is not waited for. */
const TAKEN_WITHIN_MS = 1_000;

export class OwnershipLoop {
  readonly #options: OwnershipLoopOptions;
  readonly #followed = new Map<number, Followed>();
  readonly #busy = new Map<number, Promise<void>>();
  /** How often a partition could not be taken since somebody else had it. */
  readonly #refusals = new Map<number, number>();
  /** Woken when anything may have changed. */
  readonly #moves: Wakeup;
  #releasing: number | undefined;
  #draining = false;
  #stopped = false;
  #woken = false;

  constructor(options: OwnershipLoopOptions) {
    this.#options = options;
    this.#moves = new Wakeup(options.clock);
  }

  /** The follower of a partition that is followed here. */
  follower(partition: number): Follower | undefined {
    return this.#followed.get(partition)?.follower;
  }

  followers(): Follower[] {
    return [...this.#followed.values()].flatMap(({ follower }) => follower ?? []);
  }

  isReady(partition: number): boolean {
    const followed = this.#followed.get(partition);
    return followed?.caughtUp === true && followed.follower!.lagMessages <= READY_LAG_MAX;
  }

  /** Decides soon: once, however often it is called until then. */
  wake(): void {
    this.#moves.wake();
    if (this.#woken || this.#stopped) return;
    this.#woken = true;
    queueMicrotask(() => {
      this.#woken = false;
      if (!this.#stopped) this.#decide();
    });
  }

  /** While it is on, all that is owned here is handed to others, as far as there are any. */
  drain(on: boolean): void {
    this.#draining = on;
    this.wake();
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Stops following; waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#moves.wake();
    await Promise.all(this.#busy.values());
    await Promise.all(this.followers().map((follower) => follower.close()));
    this.#followed.clear();
  }

  #decide(): void {
    const { membership, partitions, standbys } = this.#options;
    this.#dropFailed();
    this.#tell();
    if (!membership.fresh) return;
    const following = new Map(
      [...this.#followed].map(([partition, { follower }]) => [
        partition,
        { ready: this.isReady(partition), handedTo: follower?.control?.handedTo },
      ]),
    );
    const actions = decideOwnership({
      self: this.#options.self,
      partitions,
      standbys,
      members: membership.members(),
      owned: this.#options.owned(),
      following,
      releasing: this.#releasing,
    });
    for (const action of actions) this.#do(action);
  }

  /** A follower that failed is opened anew, if it is still wanted. */
  #dropFailed(): void {
    for (const [partition, { follower }] of this.#followed) {
      if (follower?.failure === undefined || this.#busy.has(partition)) continue;
      this.#followed.delete(partition);
      this.#busy.set(
        partition,
        follower.close().finally(() => this.#busy.delete(partition)),
      );
      this.#failed({ do: 'follow', partition }, follower.failure);
    }
  }

  #tell(): void {
    const { membership } = this.#options;
    const ready = [...this.#followed.keys()].filter((partition) => this.isReady(partition));
    membership.update({ owned: [...this.#options.owned()], ready, draining: this.#draining });
  }

  #do(action: OwnershipAction): void {
    const { partition } = action;
    if (this.#busy.has(partition) || this.#options.isLeaving(partition)) return;
    const doing = this.#perform(action).then(
      () => {
        this.#busy.delete(partition);
        this.wake();
      },
      (error: unknown) => {
        this.#busy.delete(partition);
        this.#failed(action, error);
      },
    );
    this.#busy.set(partition, doing);
  }

  async #perform(action: OwnershipAction): Promise<void> {
    const { partition } = action;
    switch (action.do) {
      case 'follow':
        await this.#follow(partition);
        return;
      case 'unfollow': {
        const followed = this.#followed.get(partition);
        this.#followed.delete(partition);
        await followed?.follower?.close();
        return;
      }
      case 'take': {
        const follower = this.follower(partition) ?? (await this.#options.openFollower(partition));
        this.#followed.delete(partition);
        await this.#take(follower);
        return;
      }
      case 'release':
        this.#releasing = partition;
        try {
          await this.#options.release(partition, action.to);
          await this.#isTaken(partition);
        } finally {
          this.#releasing = undefined;
        }
        return;
    }
  }

  /** Whoever wrote last may have taken it just now, and its word of that be under way: it gets some time. */
  async #take(follower: Follower): Promise<void> {
    const { partition } = follower;
    const refusals = this.#refusals.get(partition) ?? 0;
    if (await this.#options.take(follower, refusals >= REFUSALS_MAX)) {
      this.#refusals.delete(partition);
      return;
    }
    this.#refusals.set(partition, refusals + 1);
    await sleep(this.#options.clock, AGAIN_MS);
  }

  /** One partition stands still at a time: the next is handed over when somebody has this one. */
  async #isTaken(partition: number): Promise<void> {
    const { membership, clock } = this.#options;
    const deadlineMs = clock.monotonic() + TAKEN_WITHIN_MS;
    for (;;) {
      this.#moves.arm();
      const leftMs = deadlineMs - clock.monotonic();
      const taken = membership.members().some(({ self, owned }) => !self && owned.includes(partition));
      if (taken || this.#stopped || leftMs <= 0) return;
      await this.#moves.wait(leftMs);
    }
  }

  async #follow(partition: number): Promise<void> {
    const followed: Followed = { follower: undefined, caughtUp: false };
    this.#followed.set(partition, followed);
    try {
      followed.follower = await this.#options.openFollower(partition);
      // In the background: whoever is asked to take it meanwhile catches up by itself.
      followed.follower.catchUp().then(
        () => {
          followed.caughtUp = true;
          this.wake();
        },
        (error: unknown) => {
          if (this.#followed.get(partition) !== followed) return;
          this.#followed.delete(partition);
          this.#failed({ do: 'follow', partition }, error);
        },
      );
    } catch (error) {
      this.#followed.delete(partition);
      throw error;
    }
  }

  /** What may pass is tried again soon; what does not ends the node. */
  #failed({ do: what, partition }: OwnershipAction, error: unknown): void {
    if (this.#stopped) return;
    const { clock, logger } = this.#options;
    if (error instanceof GroundswellError && error.code !== 'GS_LOG') {
      this.#options.onFailure(error);
      return;
    }
    logger.warn({ partition, what, cause: messageOf(error) }, 'a partition could not be moved now');
    clock.after(AGAIN_MS, () => {
      this.wake();
    });
  }
}
