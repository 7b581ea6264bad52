/**
 * Strikes nodes and servers, mends what it struck, and waits until all has settled before it strikes again, unless the plan
 * is hasty. Owns what was struck when, for the take-over times; and what went wrong on the way.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isKill, type Fault, type FaultKind, type FaultPlan } from './fault-plan.js';
import type { NodeProcess } from './node-process.js';
import { messageOf, startAgain, type Stack } from './stack.js';
import type { Blow } from './take-over.js';

export interface Struck extends Blow {
  readonly kind: FaultKind;
  /** `n2`, or `s1` for a server. */
  readonly what: string;
  /** Nothing else was struck until all had settled again: its take-over time is its own. */
  calm: boolean;
}

export interface StormOptions {
  readonly stack: Stack;
  onStruck(struck: Struck): void;
}

const SERVER_EXCUSE_MS = 10_000;

export class Storm {
  readonly struck: Struck[] = [];
  readonly drains: { readonly node: string; readonly seconds: number }[] = [];
  /** What no fault excuses, in words. */
  readonly failures: string[] = [];
  /** What a fault excuses. */
  readonly notes: string[] = [];
  readonly #options: StormOptions;
  readonly #mending = new Set<Promise<void>>();
  #serverAtMs = Number.NEGATIVE_INFINITY;
  /** Struck since all had settled. */
  #sinceCalm: Struck[] = [];

  constructor(options: StormOptions) {
    this.#options = options;
  }

  get kills(): number {
    return this.struck.filter(({ kind }) => isKill(kind)).length;
  }

  /** Follows the plan until its beginning is over and so many nodes were killed; at the end all is mended. */
  async run(plan: FaultPlan, kills: number): Promise<void> {
    while (this.kills < kills || plan.beginning > 0) {
      const fault = plan.next();
      await sleep(fault.pauseMs);
      await this.#strike(fault);
      if (!fault.hasty) await this.#calm();
    }
    await this.#calm();
  }

  /** A rolling restart: every node in turn, each when all has settled. */
  async roll(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      for (const node of this.#options.stack.nodes) {
        await this.#strikeNode(node, 'restart', 500);
        await this.#calm();
      }
    }
  }

  /** A node ended that nobody struck: that is a failure, and it is started again as a service manager would. */
  mendUnexpected(node: NodeProcess, what: string): void {
    (this.#excused ? this.notes : this.failures).push(what);
    this.#mend(() => this.#start(node));
  }

  async #calm(): Promise<void> {
    while (this.#mending.size > 0) await Promise.all(this.#mending);
    try {
      await this.#options.stack.settled();
    } catch (error) {
      const last = this.#sinceCalm.map(({ kind, what }) => `${kind} ${what}`).join(', ');
      this.failures.push(`after ${last}: ${messageOf(error)}`);
    }
    const [only, ...others] = this.#sinceCalm;
    if (only !== undefined && others.length === 0) only.calm = true;
    this.#sinceCalm = [];
  }

  async #strike({ kind, which, awayMs }: Fault): Promise<void> {
    if (kind === 'server') return this.#strikeServer(which, awayMs);
    if (kind === 'cut') return this.#cutLeader(awayMs);
    const up = this.#options.stack.nodes.filter(({ state }) => state === 'up');
    const node = up[Math.floor(which * up.length)];
    // All are away by the haste of those before: they come back first.
    if (node === undefined) return this.#calm();
    await this.#strikeNode(node, kind, awayMs);
  }

  async #strikeNode(
    node: NodeProcess,
    kind: Exclude<FaultKind, 'server' | 'cut'>,
    awayMs: number,
  ): Promise<void> {
    const status = await node.status();
    if (node.state !== 'up') return;
    this.#note({
      kind,
      what: node.name,
      atMs: Date.now(),
      partitions: (status?.partitions ?? []).map(({ partition }) => partition),
      calm: false,
    });
    switch (kind) {
      case 'kill':
      case 'wipe':
        await node.kill();
        this.#mend(async () => {
          await sleep(awayMs);
          if (kind === 'wipe') await node.wipe();
          await this.#start(node);
        });
        break;
      case 'freeze':
        node.freeze();
        this.#mend(async () => {
          await sleep(awayMs);
          node.thaw();
        });
        break;
      case 'restart':
        this.#mend(async () => {
          await this.#drain(node);
          await sleep(awayMs);
          await this.#start(node);
        });
    }
  }

  async #strikeServer(which: number, awayMs: number): Promise<void> {
    const { servers } = this.#options.stack;
    const index = servers.count === 1 || which < 0.7 ? await this.#options.stack.leader() : 0;
    if (!servers.isUp(index)) return;
    this.#note({ kind: 'server', what: `s${index + 1}`, atMs: Date.now(), partitions: [], calm: false });
    this.#serverAtMs = performance.now();
    await servers.kill(index);
    this.#mend(async () => {
      await sleep(awayMs);
      await servers.startAgain(index);
      this.#serverAtMs = performance.now();
    });
  }

  async #cutLeader(awayMs: number): Promise<void> {
    const { servers } = this.#options.stack;
    const index = await this.#options.stack.leader();
    if (!servers.isUp(index)) return;
    this.#note({ kind: 'cut', what: `s${index + 1}`, atMs: Date.now(), partitions: [], calm: false });
    this.#serverAtMs = performance.now();
    servers.freeze(index);
    this.#mend(async () => {
      await sleep(awayMs);
      await servers.thaw(index);
      this.#serverAtMs = performance.now();
    });
  }

  #note(struck: Struck): void {
    this.struck.push(struck);
    this.#sinceCalm.push(struck);
    this.#options.onStruck(struck);
  }

  async #drain(node: NodeProcess): Promise<void> {
    const excused = this.#excused;
    const { code, seconds, lastWords } = await node.drain();
    this.drains.push({ node: node.name, seconds });
    if (code === 0) return;
    const what = `${node.name} was drained and ended with ${code === undefined ? 'SIGKILL, after 20 s' : `exit code ${code}`}: ${lastWords}`;
    (excused || this.#excused ? this.notes : this.failures).push(what);
  }

  #start(node: NodeProcess): Promise<void> {
    let excused = this.#excused;
    return startAgain(node, (error) => {
      (excused || this.#excused ? this.notes : this.failures).push(messageOf(error));
      excused = this.#excused;
    });
  }

  /** A server is away, or was a moment ago: a start may fail for want of it. */
  get #excused(): boolean {
    return performance.now() - this.#serverAtMs < SERVER_EXCUSE_MS;
  }

  #mend(work: () => Promise<void>): void {
    const mending = work().catch((error: unknown) => {
      this.failures.push(messageOf(error));
    });
    this.#mending.add(mending);
    mending.then(
      () => this.#mending.delete(mending),
      () => undefined,
    );
  }
}
