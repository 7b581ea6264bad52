/**
 * The region as a whole, asked at any of its nodes: its status, an actor wherever its partition is owned, a wish to one node.
 * What is owned here is answered here; for the rest the owner is asked, for a bounded time. A node that is alone by
 * configuration is a region of one.
 */
import { GroundswellError } from '../../core/errors.js';
import type { Clock } from '../../core/clock.js';
import { partitionOf } from '../../core/hash.js';
import type { ActorId } from '../../core/ids.js';
import { nearest } from '../../core/nearest.js';
import type { ActorView, MemberStatus, NodeStatus, QuarantinedActors } from '../../node/status.js';
import { inspectHere } from './peer-server.js';
import type { Peers } from './peers.js';
import { regionStatus, type RegionStatus } from './region-status.js';

/** This process, as far as the region's answers need it: a `Node`, or workers that stand for one. */
export interface NodeHere {
  readonly serving: boolean;
  readonly members: readonly MemberStatus[];
  status(): NodeStatus;
  owns(id: ActorId): boolean;
  inspect(id: ActorId): Promise<ActorView | undefined>;
  quarantined(): QuarantinedActors;
}

export interface RegionNodesOptions {
  readonly name: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly partitionCount: number;
  /** Nodes that shall follow each partition. */
  readonly standbys: number;
  readonly clock: Clock;
  readonly here: NodeHere;
  /** How others are asked; without it there are none. */
  readonly peers?: Peers | undefined;
  /** Messages in the journals, by partition; undefined when the stream does not say. */
  journals?(): Promise<ReadonlyMap<number, number> | undefined>;
}

/** Actors in quarantine of all nodes that answered. */
export interface RegionQuarantine extends QuarantinedActors {
  readonly silent: readonly string[];
}

/** A node that was asked to drain, or not to. */
export interface DrainAsked {
  readonly id: string;
  readonly name: string;
  readonly draining: boolean;
}

/** An owner may change while it is asked. */
const OWNERS_ASKED_MAX = 2;

export class RegionNodes {
  readonly #options: RegionNodesOptions;
  #asking: Promise<RegionStatus> | undefined;

  constructor(options: RegionNodesOptions) {
    this.#options = options;
  }

  /** As of now; whoever asks while it is being asked for gets the same. */
  status(): Promise<RegionStatus> {
    this.#asking ??= this.#status().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /**
   * One actor, as committed by the owner of its partition. Undefined when nothing is known of it.
   * @throws GroundswellError GS_BUSY with the owner's name when it does not answer, or when there is none
   */
  async inspect(id: ActorId): Promise<ActorView | undefined> {
    const { here, name, partitionCount, peers } = this.#options;
    const partition = partitionOf(id, partitionCount);
    let failure: GroundswellError | undefined;
    for (let asked = 0; asked < OWNERS_ASKED_MAX; asked++) {
      if (here.owns(id)) return inspectHere(id, name, here);
      const owner = here.members.find(
        ({ alive, self, owned }) => alive && !self && owned.includes(partition),
      );
      if (owner === undefined || peers === undefined) break;
      try {
        return await peers.inspect(owner, id);
      } catch (error) {
        if (!(error instanceof GroundswellError) || error.code !== 'GS_BUSY') throw error;
        failure = error;
      }
    }
    if (failure !== undefined)
      throw new GroundswellError('GS_BUSY', `${id} is of partition ${partition}. ${failure.message}`, {
        cause: failure,
        remedy: failure.remedy,
      });
    throw new GroundswellError('GS_BUSY', `${id} is of partition ${partition}, which has no owner now.`, {
      remedy: 'Try again in a moment: a node that is alive takes it.',
    });
  }

  /** The region's actors in quarantine, and the nodes that did not say theirs. */
  async quarantined(): Promise<RegionQuarantine> {
    const { here, peers } = this.#options;
    const answers = [here.quarantined()];
    const silent: string[] = [];
    const others = peers === undefined ? [] : here.members.filter(({ alive, self }) => alive && !self);
    await Promise.all(
      others.map(async (member) => {
        const answer = await peers!.quarantined(member).catch(() => undefined);
        if (answer === undefined) silent.push(member.name);
        else answers.push(answer);
      }),
    );
    return {
      count: answers.reduce((sum, { count }) => sum + count, 0),
      actors: answers.flatMap(({ actors }) => actors).sort((a, b) => a.sinceMs - b.sinceMs),
      silent: silent.sort(),
    };
  }

  /**
   * Asks a node, by name or id, to hand over all that it owns and to stay without, or to take its share again.
   * @throws GroundswellError GS_NOT_FOUND, GS_USAGE when the name is not one node's, GS_NO_SUCCESSOR, GS_BUSY
   */
  async drain(nameOrId: string, on: boolean): Promise<DrainAsked> {
    const { here, peers } = this.#options;
    const alive = here.members.filter((member) => member.alive);
    const node = oneOf(alive, nameOrId);
    if (on && !alive.some(({ id, draining }) => id !== node.id && !draining))
      throw new GroundswellError(
        'GS_NO_SUCCESSOR',
        `Node ${node.name} cannot be drained: no other node of the region could take its partitions.`,
      );
    await peers!.drain(node, on);
    return { id: node.id, name: node.name, draining: on };
  }

  async #status(): Promise<RegionStatus> {
    const { here, peers, partitionCount, standbys, clock } = this.#options;
    const own = here.status();
    const members = here.members.length > 0 ? here.members : [this.#alone(own)];
    const statuses = new Map<string, NodeStatus>();
    const [messages] = await Promise.all([
      this.#options.journals?.().catch(() => undefined),
      ...members.map(async (member) => {
        if (member.self) statuses.set(member.id, own);
        else if (member.alive && peers !== undefined)
          await peers.status(member).then(
            (status) => statuses.set(member.id, status),
            // Silent: its record is all that is known of it.
            () => undefined,
          );
      }),
    ]);
    return regionStatus({
      partitionCount,
      standbys: here.members.length > 0 ? standbys : 0,
      nowMs: clock.now(),
      members,
      statuses,
      journals: messages,
      unsure:
        own.serving || own.state === 'starting' ? undefined : `node ${this.#options.name} does not serve now`,
    });
  }

  /** A record for a node that has none. */
  #alone(status: NodeStatus): MemberStatus {
    const { name, version, startedAtMs } = this.#options;
    return {
      ...{ id: name, instance: name, name, version, startedAtMs, weight: 1, http: undefined },
      draining: status.state === 'draining',
      owned: status.partitions.map(({ partition }) => partition),
      ready: [],
      ...{ alive: true, self: true, lastSeenMsAgo: 0 },
    };
  }
}

/** The one node that has the id or the name. */
export function oneOf<T extends { readonly id: string; readonly name: string }>(
  nodes: readonly T[],
  nameOrId: string,
): T {
  const byId = nodes.find(({ id }) => id === nameOrId);
  if (byId !== undefined) return byId;
  const byName = nodes.filter(({ name }) => name === nameOrId);
  if (byName.length === 1) return byName[0]!;
  if (byName.length > 1)
    throw new GroundswellError('GS_USAGE', `${byName.length} nodes are called "${nameOrId}".`, {
      remedy: `Name one by its id: ${byName.map(({ id }) => id).join(', ')}.`,
    });
  const names = nodes.map(({ name }) => name);
  const near = nearest(nameOrId.slice(0, 64), names);
  throw new GroundswellError(
    'GS_NOT_FOUND',
    `No node of the region is called "${nameOrId.slice(0, 64)}"${near === undefined ? '.' : `; did you mean "${near}"?`}`,
    {
      remedy: names.length === 0 ? 'No node of the region is known here.' : `There are ${names.join(', ')}.`,
    },
  );
}
