/**
 * A process's way to the region's leases, over its connection. The table itself is the project's own one in memory, run by
 * the server's clock: a lease runs out whether anybody is connected or not. What was missed while the connection was lost is
 * told when it is back: the present state, not each step to it.
 */
import { GroundswellError } from '../../src/core/errors.js';
import type { Lease, LeaseChange, LeaseOutcome, Leases, LeaseWrite } from '../../src/log/leases.js';
import type { MemoryLeaseServer } from '../../src/log/memory/memory-leases.js';
import type { Dice } from './dice.js';
import type { SimConnection } from './sim-server.js';

const WRITE_TIMEOUT_MS = 1_000;

export class SimLeases implements Leases {
  readonly #connection: SimConnection;
  readonly #table: MemoryLeaseServer;
  readonly #dice: Dice;

  constructor(connection: SimConnection, table: MemoryLeaseServer, dice: Dice) {
    this.#connection = connection;
    this.#table = table;
    this.#dice = dice;
  }

  async write(write: LeaseWrite): Promise<LeaseOutcome> {
    const copy = { ...write, value: new Uint8Array(write.value) };
    const answer = await this.#ask(() => this.#table.write(copy));
    return answer ?? { outcome: 'unknown', cause: 'no answer' };
  }

  async remove(name: string): Promise<void> {
    await this.#sure(() => {
      this.#table.remove(name);
      return true;
    });
  }

  list(): Promise<Lease[]> {
    return this.#sure(() => this.#table.leases);
  }

  async watch(onChange: (change: LeaseChange) => void): Promise<{ close(): Promise<void> }> {
    await this.#sure(() => true);
    const told = new Map<string, number>();
    let closed = false;
    const look = (): void => {
      if (closed || !this.#connection.connected) return;
      const { leases } = this.#table;
      this.#connection.toClient('leases', () => {
        if (!closed)
          tellDifference(told, leases, (change) => {
            if (!closed) onChange(change);
          });
      });
    };
    const ends = [this.#table.listen(look), this.#connection.listen({ restored: look })];
    const close = (): void => {
      closed = true;
      for (const end of ends) end();
    };
    this.#connection.process.onEnd(close);
    look();
    return {
      close: () => {
        close();
        return Promise.resolve();
      },
    };
  }

  async #sure<T>(question: () => T): Promise<T> {
    const answer = await this.#ask(question);
    if (answer === undefined) throw new GroundswellError('GS_LOG', 'The leases: no answer.');
    return answer;
  }

  /** Asked once. */
  async #ask<T>(question: () => T): Promise<T | undefined> {
    const { server } = this.#connection;
    const silent = this.#dice.chance(server.faults.silence);
    return (await this.#connection.ask('lease', question, WRITE_TIMEOUT_MS, silent))?.value;
  }
}

/** Tells how what there is differs from what was told before. */
function tellDifference(
  told: Map<string, number>,
  leases: readonly Lease[],
  tell: (change: LeaseChange) => void,
): void {
  const present = new Set(leases.map(({ name }) => name));
  for (const name of [...told.keys()]) {
    if (present.has(name)) continue;
    told.delete(name);
    tell({ kind: 'gone', name });
  }
  for (const lease of leases) {
    if ((told.get(lease.name) ?? 0) >= lease.seq) continue;
    told.set(lease.name, lease.seq);
    tell({ kind: 'written', lease });
  }
}
