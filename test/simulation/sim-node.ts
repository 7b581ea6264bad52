/**
 * A machine with a node on it: the disk and the node's id stay, processes come and go. Owns how a process of the real engine
 * is put together from simulated parts, and what became of each.
 */
import type { Registry } from '../../src/actor/registry.js';
import { GroundswellError, messageOf } from '../../src/core/errors.js';
import type { Log, LogEntry } from '../../src/log/log.js';
import { SteadyClock } from '../../src/core/steady-clock.js';
import { Node, type MembershipOptions } from '../../src/node/node.js';
import { aggregateTarget, sideTarget } from '../../src/serve/publisher.js';
import { Publishers } from '../../src/serve/publishers.js';
import type { SnapshotStore } from '../../src/state/store.js';
import { subjects } from '../support/engine.js';
import { MINUTE } from '../support/market.js';
import type { Dice } from './dice.js';
import type { Plan } from './schedule.js';
import { SimProcess, type Scheduler } from './sim-clock.js';
import { SimLeases } from './sim-leases.js';
import { SimObjects } from './sim-objects.js';
import { SimLog } from './sim-log.js';
import { SimConnection, type SimServer } from './sim-server.js';
import { SimDisk, SimStore } from './sim-store.js';

/** Where an engine can be broken on purpose. */
export interface Canary {
  log?(log: Log): Log;
  store?(store: SnapshotStore): SnapshotStore;
}

export interface NodeEnd {
  readonly who: string;
  readonly atMs: number;
  /** Undefined when it was stopped. */
  readonly failure: unknown;
}

export interface HostSettings {
  readonly index: number;
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly server: SimServer;
  readonly registry: Registry;
  readonly dice: Dice;
  readonly wallStartMs: number;
  readonly canary: Canary;
  /** The chaos is on: processes may die at any step. */
  readonly chaos: () => boolean;
  onEnd(host: NodeHost, end: NodeEnd): void;
}

interface Publishing {
  readonly publishers: Publishers;
  /** Rejects with what made one fail for good. */
  readonly failed: Promise<never>;
}

function publishersOf(source: Log, logOf: (stream: string) => Log, { clock }: SimProcess): Publishing {
  let fail!: (error: unknown) => void;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  const targets = [
    sideTarget(logOf(subjects.sideStream), subjects),
    aggregateTarget(logOf(subjects.aggregateStream), subjects),
  ];
  return { publishers: new Publishers({ source, targets, subjects, clock, onFailure: fail }), failed };
}

const STEPS = ['before', 'during', 'after'] as const;

export class NodeHost {
  readonly disk = new SimDisk();
  readonly settings: HostSettings;
  process: SimProcess | undefined;
  connection: SimConnection | undefined;
  node: Node | undefined;
  /** It was started and is not stopped on purpose: when it ends, it is started again. */
  wanted = false;
  skewMs = 0;
  #starts = 0;

  constructor(settings: HostSettings) {
    this.settings = settings;
  }

  get name(): string {
    return `node-${this.settings.index}`;
  }

  get running(): boolean {
    return this.process?.alive === true;
  }

  start(): void {
    const { plan, scheduler, server, wallStartMs } = this.settings;
    const name = `${this.name}#${++this.#starts}`;
    const process = new SimProcess(name, scheduler, wallStartMs);
    process.clock.skewMs = this.skewMs;
    this.process = process;
    this.wanted = true;
    this.connection = new SimConnection(server, process);
    process.onEnd(() => {
      scheduler.note(name, 'gone');
      this.node = undefined;
      this.connection = undefined;
    });
    process.after(0, `starts ${plan.partitions}`, () => {
      this.#run(process).then(
        () => {
          this.#ended(process, undefined);
        },
        (error: unknown) => {
          this.#ended(process, error);
        },
      );
    });
  }

  /** `kill -9`. Whoever looks after it starts it again. */
  kill(why: string): void {
    const { process } = this;
    if (process?.alive !== true) return;
    this.settings.scheduler.note(process.name, why);
    process.kill();
  }

  /** SIGTERM. */
  stop(): void {
    const { process } = this;
    process?.after(0, 'stop', () => {
      const { node } = this;
      if (node === undefined) process.kill();
      else node.stop().catch(() => undefined);
    });
  }

  async #run(process: SimProcess): Promise<void> {
    const { plan, server, registry, canary } = this.settings;
    const logOf = (stream: string): SimLog =>
      new SimLog({
        connection: this.connection!,
        stream: server.stream(stream, plan.payloadBytesMax),
        dice: this.#dice(stream),
        dies: (entries) => this.#diesAtBatch(entries),
      });
    const log = logOf(subjects.engineStream);
    const store = SimStore.open({
      disk: this.disk,
      process,
      dice: this.#dice('disk'),
      dies: () => this.#diesAtSnapshot(),
    });
    const publishing = plan.publishers ? publishersOf(log, logOf, process) : undefined;
    const node = new Node({
      log: canary.log?.(log) ?? log,
      store: canary.store?.(store) ?? store,
      subjects,
      clock: new SteadyClock(process.clock),
      registry,
      partitions: plan.partitions,
      partition: {
        writer: process.name,
        time: {
          outOfOrderBoundMs: plan.boundMs,
          idleTimeoutMs: plan.idleTimeoutMs,
          ...(plan.clockToleranceMs === undefined ? {} : { clockToleranceMs: plan.clockToleranceMs }),
        },
        paneMs: MINUTE,
        duplicateWindowMs: 240 * MINUTE,
      },
      // One pace for both: a replay is attached in most runs.
      limits: { ...plan.limits, replayCommitEveryMs: plan.limits.commitEveryMs ?? 0 },
      ...(plan.bases === undefined
        ? {}
        : { bases: { ...plan.bases, objects: new SimObjects(this.connection!, server.objects) } }),
      ...(plan.membership ? { membership: this.#membership(process) } : {}),
      onRetry: (cause) => {
        this.settings.scheduler.note(process.name, `again: ${cause}`);
      },
      ...publishing?.publishers.nodeHooks,
    });
    // A node that shares its work serves before all of it is there.
    this.node = node;
    await node.start();
    await Promise.race([node.finished, publishing?.failed ?? node.finished]);
    // After the node: its last commit is published too.
    await publishing?.publishers.close();
  }

  #membership({ name }: SimProcess): MembershipOptions {
    const { plan, server } = this.settings;
    const leases = new SimLeases(this.connection!, server.leases, this.#dice('leases'));
    return { leases, id: this.name, name, weight: 1, version: 'simulated', standbys: plan.standbys };
  }

  #ended(process: SimProcess, failure: unknown): void {
    const { scheduler } = this.settings;
    const how =
      failure === undefined
        ? 'stopped'
        : failure instanceof GroundswellError
          ? failure.code
          : messageOf(failure);
    scheduler.note(process.name, `ended: ${how}`);
    process.kill();
    this.settings.onEnd(this, { who: process.name, atMs: scheduler.nowMs, failure });
  }

  #dice(purpose: string): Dice {
    return this.settings.dice.of(`${purpose} ${this.#starts}`);
  }

  #diesAtBatch(entries: readonly LogEntry[]): (typeof STEPS)[number] | undefined {
    const { plan, dice, chaos } = this.settings;
    const isStep = ({ subject }: LogEntry): boolean =>
      subject.endsWith('.journal') || subject.includes('.cursor.');
    if (!chaos() || !entries.some(isStep)) return undefined;
    return dice.chance(plan.faults['die-at-batch'] ?? 0) ? dice.pick(STEPS) : undefined;
  }

  #diesAtSnapshot(): (typeof STEPS)[number] | undefined {
    const { plan, dice, chaos } = this.settings;
    return chaos() && dice.chance(plan.faults['die-at-snapshot'] ?? 0) ? dice.pick(STEPS) : undefined;
  }
}
