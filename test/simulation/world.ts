/**
 * One simulated region: server, machines, nodes, producers, and what goes wrong with them. A run has three parts: chaos, then
 * everything is put right, then it must come to rest, and what is there is checked.
 */
import type { Registry } from '../../src/actor/registry.js';
import { registryOf, subjects } from '../support/engine.js';
import { MINUTE, T0 } from '../support/market.js';
import { Audit } from './audit.js';
import { checkOutcome, readStream } from './checkers.js';
import { Dice } from './dice.js';
import { checkEnds, codeOf } from './ends.js';
import { Faults } from './faults.js';
import type { Plan } from './schedule.js';
import { Lookout } from './lookout.js';
import { PublishedWatch } from './published.js';
import { Scheduler } from './sim-clock.js';
import { NodeHost, type Canary, type NodeEnd } from './sim-node.js';
import { LiveHost, ReplayHost, type ProducerHost } from './sim-producer.js';
import { SimServer } from './sim-server.js';
import type { SimStream } from './sim-stream.js';
import { makeWorkload, type Arrival } from './workload.js';

/** After the chaos it must come to rest within so long, virtual ms. */
const REST_MS = 10 * MINUTE;
/** Nothing of weight was stored for so long, with everybody at work: nothing is left to do. */
const STILL_MS = 3_000;
/** A partition whose owner died has another one within so long, ms. */
const OWNERS_MS = 30_000;
const GREETING_MS = 60_000;
const LOOK_EVERY_MS = 500;
/** Live time begins so long before the first event. */
const LEAD_MS = 5_000;

const registries = new Map<string, Registry>();

export class World {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly server: SimServer;
  readonly stream: SimStream;
  readonly audit: Audit;
  readonly hosts: NodeHost[];
  readonly producers: ProducerHost[];
  readonly faults: Faults;
  readonly arrivals: readonly Arrival[];
  readonly ends: NodeEnd[] = [];
  readonly #dice: Dice;
  readonly #lookout: Lookout;
  readonly #untilMs: number;
  readonly #published: PublishedWatch | undefined;
  #chaos = false;
  #deleted = false;
  #over = false;

  constructor(plan: Plan, canary: Canary = {}) {
    this.plan = plan;
    const dice = new Dice(plan.seed);
    this.#dice = dice.of('world');
    this.scheduler = new Scheduler(dice.of('order'));
    const wallStartMs = plan.mode === 'live' ? T0 - LEAD_MS : T0 + 24 * 60 * MINUTE;
    this.server = new SimServer(this.scheduler, dice.of('server'), wallStartMs);
    this.stream = this.server.stream(subjects.engineStream, plan.payloadBytesMax);
    this.audit = new Audit(this.stream, plan.membership, () => this.scheduler.nowMs);
    this.#lookout = new Lookout(plan, this.audit, dice.of('lookout'));
    const streamOf = (name: string): SimStream => this.server.stream(name, plan.payloadBytesMax);
    if (plan.publishers)
      this.#published = new PublishedWatch(
        this.stream,
        streamOf(subjects.aggregateStream),
        streamOf(subjects.sideStream),
        this.audit,
      );
    this.arrivals = makeWorkload(plan.workload, dice.of('workload'));
    this.#untilMs = this.#horizonMs();
    const registry = registryFor(plan);
    const shared = { plan, scheduler: this.scheduler, server: this.server, wallStartMs };
    const chaos = (): boolean => this.#chaos;
    this.hosts = Array.from(
      { length: plan.nodes },
      (_, index) =>
        new NodeHost({
          ...shared,
          index,
          registry,
          canary,
          chaos,
          dice: dice.of(`node ${index}`),
          onEnd: (host, end) => {
            this.#ended(host, end);
          },
        }),
    );
    const Host = plan.mode === 'live' ? LiveHost : ReplayHost;
    this.producers = Array.from(
      { length: plan.workload.producers },
      (_, index) =>
        new Host({
          ...shared,
          index,
          routes: registry.routes,
          dice: dice.of(`producer ${index}`),
          arrivals: this.arrivals.filter(({ producer }) => producer === index),
          untilMs: this.#untilMs,
        }),
    );
    this.faults = new Faults(
      {
        ...shared,
        hosts: this.hosts,
        producers: this.producers,
        chaos,
        onFrozen: (host) => {
          this.#standIn(host);
        },
        onStreamDeleted: () => {
          this.#deleteStream();
        },
      },
      dice.of('faults happen'),
    );
  }

  async run(): Promise<void> {
    const { scheduler, plan, audit } = this;
    for (const producer of this.producers) producer.start();
    if (!(await scheduler.run(() => this.producers.every(({ greeted }) => greeted), GREETING_MS)))
      audit.violate('liveness', 'no producer could begin');
    for (const host of plan.membership ? this.hosts : this.hosts.slice(0, 1)) host.start();
    for (const producer of this.producers) producer.released = true;
    this.#look();
    this.#chaos = true;
    this.faults.begin();
    await scheduler.run(() => this.#deleted || this.#through(), scheduler.nowMs + plan.chaosMs);
    this.#chaos = false;
    scheduler.note('world', 'all is put right');
    this.#abandon();
    this.faults.end();
    this.#restartAll();
    if (this.#deleted) await this.#checkLost();
    else await this.#rest();
    this.#over = true;
    const { ends: nodes, producers } = this;
    checkEnds(plan, { nodes, producers, deleted: this.#deleted }, audit);
  }

  /** How far every window must be closed: presence has run out by then, and the longest window has slid out. */
  #horizonMs(): number {
    const { presenceMs, windows } = this.plan;
    const { startMs, minutes } = this.plan.workload;
    const latestMs = startMs + minutes * MINUTE;
    return (Math.ceil((latestMs + presenceMs) / MINUTE) + Math.max(...windows) + 1) * MINUTE;
  }

  /** Everything was told and taken, and every window is closed. */
  #through(): boolean {
    if (!this.producers.every(({ done, abandoned }) => done || abandoned)) return false;
    for (let partition = 0; partition < this.plan.partitions; partition++) {
      if ((this.audit.last(partition)?.closed.at(-1) ?? 0) < this.#untilMs) return false;
      if (!this.audit.isConsumed(partition)) return false;
    }
    return true;
  }

  /** And nothing comes of it any more. */
  #rested(): boolean {
    const still = this.scheduler.nowMs - this.audit.workedAtMs > STILL_MS;
    return this.#through() && still && this.#published?.whole !== false;
  }

  async #rest(): Promise<void> {
    const { scheduler, audit, plan } = this;
    if (!this.hosts.some(({ running, wanted }) => running || wanted)) this.hosts[0]!.start();
    const rested = await scheduler.run(() => this.#rested(), scheduler.nowMs + REST_MS);
    if (!rested) {
      audit.violate(
        'liveness',
        `not at rest ${REST_MS / MINUTE} minutes after all was put right: ${this.#whereItStands()}`,
      );
      return;
    }
    if (plan.membership) await this.#checkOwners();
    await this.#stopNodes();
    const told = readStream(this.stream);
    for (const { delivered } of this.producers)
      for (const tag of delivered)
        if (!told.events.has(tag))
          audit.violate('lost-event', `event ${tag} was delivered, and is not in the stream`);
    checkOutcome(plan, told, audit);
    this.#published?.check();
  }

  /** Whoever died last has a successor soon. */
  async #checkOwners(): Promise<void> {
    const { scheduler, hosts } = this;
    const settled = (): boolean => this.#lookout.wrongOwners(hosts) === undefined;
    if (!(await scheduler.run(settled, scheduler.nowMs + OWNERS_MS)))
      this.audit.violate('owners', this.#lookout.wrongOwners(hosts) ?? '');
  }

  async #stopNodes(): Promise<void> {
    for (const host of this.hosts) {
      host.wanted = false;
      host.stop();
    }
    const { scheduler } = this;
    if (
      !(await scheduler.run(() => this.hosts.every(({ running }) => !running), scheduler.nowMs + 2 * MINUTE))
    )
      this.audit.violate('liveness', 'a node does not stop');
  }

  /** A stream that is gone ends every node, with a word that says so. */
  async #checkLost(): Promise<void> {
    const { scheduler, audit } = this;
    const running = this.hosts.filter((host) => host.running).map((host) => host.process!.name);
    const ended = (): boolean =>
      this.hosts.every((host) => !running.includes(host.process?.name ?? '') || !host.running);
    if (!(await scheduler.run(ended, scheduler.nowMs + 2 * MINUTE)))
      audit.violate('liveness', 'a node goes on although the stream is gone');
  }

  #deleteStream(): void {
    this.#deleted = true;
    this.stream.delete();
  }

  /** A node ended by itself, or was killed: it is started again, as whoever looks after it would. */
  #ended(host: NodeHost, end: NodeEnd): void {
    this.ends.push(end);
    if (codeOf(end.failure) === 'GS_DATA_CORRUPT') host.disk.wipe();
    if (codeOf(end.failure) === 'GS_FENCED' && this.hosts.some((other) => other !== host && other.running))
      host.wanted = false;
  }

  /** Another machine takes over from a node that is frozen and knows nothing of it. */
  #standIn(frozen: NodeHost): void {
    const other = this.hosts.find((host) => host !== frozen && !host.running);
    if (this.plan.membership || other === undefined || !this.#dice.chance(0.7)) return;
    other.start();
  }

  /** Looks in from time to time: what nodes tell, how much they hold, and whether one has to be started again. */
  #look(): void {
    this.scheduler.after(LOOK_EVERY_MS, undefined, 'look', () => {
      if (this.#over) return;
      for (const host of this.hosts) {
        if (host.running) this.#lookout.lookAt(host);
        else if (host.wanted && !this.#deleted) this.#startAgain(host);
      }
      this.#look();
    });
  }

  #startAgain(host: NodeHost): void {
    if (this.#dice.chance(0.5)) host.start();
  }

  /** Some producers never say their last word: then the nodes' clocks close the windows. */
  #abandon(): void {
    const { mode, faults } = this.plan;
    const share = mode === 'live' ? (faults['abandon-producer'] ?? 0) : 0;
    for (const producer of this.producers) if (this.#dice.chance(share)) producer.abandon();
  }

  /** A process whose clock was put right follows it slowly: where the clock matters, it is started anew. */
  #restartAll(): void {
    if (this.plan.mode === 'live' && this.plan.faults['jump-clock'] !== undefined)
      for (const host of this.hosts) host.stop();
  }

  #whereItStands(): string {
    const closed = Array.from(
      { length: this.plan.partitions },
      (_, p) => (this.audit.last(p)?.closed.at(-1) ?? 0) - T0,
    );
    const nodes = this.hosts.map(
      ({ name, running, node }) => `${name} ${running ? (node?.status().state ?? 'starting') : 'down'}`,
    );
    const producers = this.producers.map(({ id, done }) => `${id} ${done ? 'done' : 'not done'}`);
    return `closed up to ${closed.join(' ')} of ${this.#untilMs - T0}; ${nodes.join(', ')}; ${producers.join(', ')}`;
  }
}

/** Behaviours hold no state: runs of the same settings share them. */
function registryFor({ presenceMs, allowedLatenessMs, windows }: Plan): Registry {
  const key = `${presenceMs} ${allowedLatenessMs} ${windows.join(' ')}`;
  let registry = registries.get(key);
  if (registry === undefined) {
    registry = registryOf({
      presenceMs,
      allowedLatenessMs,
      windowsMs: windows.map((minutes) => minutes * MINUTE),
    });
    registries.set(key, registry);
  }
  return registry;
}
