/**
 * Node processes that this one started, taken as one node: what HTTP says of itself where the work is done by others. Asks
 * them again and again, and adds up what they answer. Owns nothing of what it tells but its age.
 */
import type { Clock } from '../../core/clock.js';
import type {
  ActorView,
  MemberStatus,
  NodeState,
  NodeStats,
  NodeStatus,
  QuarantinedActors,
} from '../../node/status.js';
import type { PeerStatus, PublisherStatus } from './peer-server.js';
import type { PeerName, Peers } from './peers.js';
import { numbered } from './region-alarms.js';
import type { NodeHere } from './region-nodes.js';

export interface WorkersNodeOptions {
  readonly region: string;
  readonly partitionCount: number;
  readonly peers: Pick<Peers, 'status'>;
  readonly clock: Clock;
  /** The workers; one without an id does not run. */
  workers(): readonly { readonly name: string; readonly id: string | undefined }[];
}

interface Heard {
  readonly status: PeerStatus;
  readonly atMs: number;
}

const ASK_EVERY_MS = 500;
/** What was heard longer ago says nothing about now. */
const FRESH_MS = 2_500;

export class WorkersNode implements NodeHere {
  readonly #options: WorkersNodeOptions;
  readonly #heard = new Map<string, Heard>();
  #members: readonly MemberStatus[] = [];
  #draining = false;
  #closed = false;
  #asking: Promise<void> = Promise.resolve();
  #cancel: () => void = () => undefined;

  constructor(options: WorkersNodeOptions) {
    this.#options = options;
  }

  /** Asks once, and from then on by itself. */
  async start(): Promise<void> {
    await this.ask();
    this.#askLater();
  }

  /** They were told to end. */
  draining(): void {
    this.#draining = true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#asking;
  }

  /** Hears all of them anew. */
  ask(): Promise<void> {
    this.#asking = this.#ask();
    return this.#asking;
  }

  get serving(): boolean {
    return this.#fresh().some(({ serving }) => serving);
  }

  /** As the workers know them; as they were known last, when none answers. */
  get members(): readonly MemberStatus[] {
    return this.#members;
  }

  owns(): boolean {
    return false;
  }

  inspect(): Promise<ActorView | undefined> {
    return Promise.resolve(undefined);
  }

  quarantined(): QuarantinedActors {
    return { count: 0, actors: [] };
  }

  status(): NodeStatus {
    const { region, partitionCount } = this.#options;
    const statuses = [...this.#heard.values()].map(({ status }) => status);
    const fresh = this.#fresh();
    return {
      state: this.#state(),
      serving: this.serving,
      region,
      partitionCount,
      partitions: fresh.flatMap(({ partitions }) => partitions).sort((a, b) => a.partition - b.partition),
      followed: fresh.flatMap(({ followed }) => followed).sort((a, b) => a.partition - b.partition),
      members: this.#members,
      counters: summed(fresh.map(({ counters }) => counters)),
      // Also of those that are silent now: a total never shrinks because of them.
      stats: summed(statuses.map(({ stats }) => stats)) as unknown as NodeStats,
      snapshot: {
        pendingActors: sum(fresh.map(({ snapshot }) => snapshot.pendingActors)),
        fileBytes: sum(fresh.map(({ snapshot }) => snapshot.fileBytes)),
      },
      clockBehindMs: Math.max(0, ...fresh.map(({ clockBehindMs }) => clockBehindMs)),
    };
  }

  publisher(): PublisherStatus {
    const all = [...this.#heard.values()].flatMap(({ status }) => status.publisher ?? []);
    return {
      published: sum(all.map(({ published }) => published)),
      lagMessages: sum(all.map(({ lagMessages }) => lagMessages)),
    };
  }

  /** Why the work is not done as it should be, a sentence each. */
  troubles(): string[] {
    const { partitionCount } = this.#options;
    const silent = this.#options
      .workers()
      .filter(({ id }) => id === undefined || !this.#isFresh(this.#heard.get(id)))
      .map(({ name }) => `worker ${name} does not answer`);
    const owned = new Set(this.#members.filter(({ alive }) => alive).flatMap((member) => member.owned));
    for (const { partitions } of this.#fresh()) for (const { partition } of partitions) owned.add(partition);
    const without = Array.from({ length: partitionCount }, (_, partition) => partition).filter(
      (partition) => !owned.has(partition),
    );
    return without.length === 0 ? silent : [...silent, `nobody owns ${numbered(without, 'partition')} yet`];
  }

  #state(): NodeState {
    if (this.#draining) return 'draining';
    return this.#fresh().some(({ state }) => state === 'running') ? 'running' : 'starting';
  }

  #fresh(): PeerStatus[] {
    const heard = this.#options
      .workers()
      .flatMap(({ id }) => (id === undefined ? [] : (this.#heard.get(id) ?? [])));
    return heard.filter((one) => this.#isFresh(one)).map(({ status }) => status);
  }

  #isFresh(heard: Heard | undefined): boolean {
    return heard !== undefined && this.#options.clock.monotonic() - heard.atMs <= FRESH_MS;
  }

  #askLater(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(ASK_EVERY_MS, () => {
      this.ask().then(
        () => {
          this.#askLater();
        },
        () => undefined,
      );
    });
  }

  async #ask(): Promise<void> {
    const { peers, clock } = this.#options;
    const ours = this.#options.workers().flatMap(({ name, id }) => (id === undefined ? [] : [{ name, id }]));
    const answers = await Promise.all(ours.map((worker) => this.#hear(worker)));
    for (const [i, status] of answers.entries())
      if (status !== undefined) this.#heard.set(ours[i]!.id, { status, atMs: clock.monotonic() });
    let known =
      answers.find((status) => status?.serving === true) ?? answers.find((one) => one !== undefined);
    // None of ours: the region's other nodes know, too.
    const others =
      known === undefined
        ? this.#members.filter(({ id, alive }) => alive && !ours.some((one) => one.id === id))
        : [];
    for (const other of others) {
      known = await peers.status(other).catch(() => undefined);
      if (known !== undefined) break;
    }
    if (known !== undefined) this.#members = known.members.map((member) => ({ ...member, self: false }));
  }

  #hear(worker: PeerName): Promise<PeerStatus | undefined> {
    return this.#options.peers.status(worker).catch(() => undefined);
  }
}

function summed(
  all: readonly Readonly<Record<string, number>>[] | readonly NodeStats[],
): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const one of all)
    for (const [name, n] of Object.entries(one) as [string, number][]) sums[name] = (sums[name] ?? 0) + n;
  return sums;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, n) => all + n, 0);
}
