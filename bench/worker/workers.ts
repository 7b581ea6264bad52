/** Nodes in processes of their own that share the bench's region evenly, over one nats-server. */
import { join } from 'node:path';
import { rank } from '../../src/node/membership/assignment.js';
import type { Stack } from '../stack.js';
import type { WorkerLook } from './messages.js';
import { Worker } from './worker.js';

export class Workers {
  readonly #workers: readonly Worker[];
  readonly #shares: readonly Share[];
  #movedBefore = 0;
  /** Rejects when one fails, or ends without being told to; never resolves. */
  readonly failed: Promise<never>;

  /** Resolves when each of them owns its share of the partitions. */
  static async start(stack: Stack, processes: number): Promise<Workers> {
    const workers = new Workers(stack, processes);
    try {
      await workers.#settle();
      return workers;
    } catch (error) {
      await workers.kill();
      throw error;
    }
  }

  private constructor({ market, target, folder }: Stack, processes: number) {
    this.#shares = evenShares(processes, market.config.partitions);
    this.#workers = this.#shares.map(
      ({ id }) => new Worker({ market: market.options, target, folder: join(folder, id), id }),
    );
    this.failed = Promise.race(this.#workers.map(({ failed }) => failed));
    this.failed.catch(() => undefined);
  }

  /** @throws Error when a partition has changed its owner since they started */
  async look(): Promise<WorkerLook[]> {
    const looks = await Promise.all(this.#workers.map((worker) => worker.look()));
    if (moved(looks) !== this.#movedBefore) throw new Error('a partition changed its owner on the way');
    return looks;
  }

  async kill(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()));
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.ready()));
    const looks = await Promise.all(
      this.#workers.map((worker, i) =>
        worker.until('its share of the partitions', ({ owned }) => owned === this.#shares[i]!.partitions),
      ),
    );
    this.#movedBefore = moved(looks);
  }
}

interface Share {
  readonly id: string;
  readonly partitions: number;
}

function moved(looks: readonly WorkerLook[]): number {
  return looks.reduce((sum, { stats }) => sum + stats.taken + stats.handedOver + stats.fenced, 0);
}

/** Ids of nodes whose shares are as even as can be: what is asked is what processes cost, not what the hash of a name gives. */
function evenShares(processes: number, partitions: number): Share[] {
  for (let attempt = 1; ; attempt++) {
    const ids = Array.from({ length: processes }, (_, i) => `bench-${attempt}-${i + 1}`);
    const nodes = ids.map((id) => ({ id, weight: 1 }));
    const owners = Array.from({ length: partitions }, (_, partition) => rank(partition, nodes)[0]!);
    const shares = ids.map((id) => ({ id, partitions: owners.filter((owner) => owner === id).length }));
    const most = Math.ceil(partitions / processes);
    if (shares.every((share) => share.partitions <= most)) return shares;
  }
}
