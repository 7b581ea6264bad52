/**
 * Looks in on nodes while they run: nobody is told of a commit before it is stored (P4), what waits stays within its bounds
 * (P8), and each partition has one owner, who says so.
 */
import type { ActorId } from '../../src/core/ids.js';
import type { Node } from '../../src/node/node.js';
import type { Audit } from './audit.js';
import type { Dice } from './dice.js';
import type { Plan } from './schedule.js';
import type { NodeHost } from './sim-node.js';

/** A batch of changes more than the limit may wait: it was taken before the limit was looked at. */
const BATCH_ACTORS_MAX = 2_000;
/** How often a node is asked for an actor when it is looked at. */
const ASKED_SHARE = 0.2;

export class Lookout {
  readonly #plan: Plan;
  readonly #audit: Audit;
  readonly #dice: Dice;

  constructor(plan: Plan, audit: Audit, dice: Dice) {
    this.#plan = plan;
    this.#audit = audit;
    this.#dice = dice;
  }

  lookAt({ node, process }: NodeHost): void {
    if (node === undefined || process === undefined) return;
    const { name } = process;
    const { partitions, snapshot } = node.status();
    for (const { partition, commit } of partitions) this.#isStored(`${name} tells of`, partition, commit);
    const most = (this.#plan.limits.pendingSnapshotActorsMax ?? Number.POSITIVE_INFINITY) + BATCH_ACTORS_MAX;
    if (snapshot.pendingActors > most)
      this.#audit.violate('bounds', `${name}: ${snapshot.pendingActors} actors wait to be written`);
    // A process that is frozen answers nobody.
    if (!process.frozen && this.#dice.chance(ASKED_SHARE))
      process.after(0, 'asked', () => this.#ask(name, node));
  }

  /** Partitions without an owner, or with more than one, in words; undefined when each has one. */
  wrongOwners(hosts: readonly NodeHost[]): string | undefined {
    const owners = new Map<number, string[]>();
    for (const { name, node } of hosts)
      for (const { partition } of node?.serving === true ? node.status().partitions : [])
        owners.set(partition, [...(owners.get(partition) ?? []), name]);
    const wrong: string[] = [];
    for (let partition = 0; partition < this.#plan.partitions; partition++) {
      const names = owners.get(partition) ?? [];
      if (names.length !== 1)
        wrong.push(`partition ${partition} is owned by ${names.join(' and ') || 'nobody'}`);
    }
    return wrong.length === 0 ? undefined : wrong.join(', ');
  }

  #ask(name: string, node: Node): void {
    const { drivers } = this.#plan.workload;
    const id = `driver/d-${this.#dice.int(0, drivers - 1)}` as ActorId;
    node.inspect(id).then(
      (view) => {
        if (view !== undefined) this.#isStored(`${name} shows ${id} as of`, view.partition, view.commit);
      },
      () => undefined,
    );
  }

  #isStored(who: string, partition: number, commit: number): void {
    const stored = this.#audit.last(partition)?.commit ?? 0;
    if (commit > stored)
      this.#audit.violate('early', `${who} commit ${commit} of partition ${partition}; ${stored} is stored`);
  }
}
