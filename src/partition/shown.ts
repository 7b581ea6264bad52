/** What actors show of themselves, gathered until the commit: the last values of each actor count. */
import type { Resident } from './actor-record.js';
import type { ShownBlock } from './output.js';

type Values = Readonly<Record<string, number>>;

export class Shown {
  readonly #byActor = new Map<Resident, Values>();

  get count(): number {
    return this.#byActor.size;
  }

  put(actor: Resident, values: Values): void {
    this.#byActor.set(actor, values);
  }

  /** All that was shown, a block per type and list of names. */
  take(): ShownBlock[] {
    const blocks = new Map<string, ShownBlock>();
    for (const [{ type, key }, values] of this.#byActor) {
      const names = Object.keys(values);
      const kind = `${type.behaviour.type}/${names.join('/')}`;
      let block = blocks.get(kind);
      if (block === undefined) blocks.set(kind, (block = [type.behaviour.type, names, [], []]));
      block[2].push(key);
      for (const name of names) block[3].push(values[name]!);
    }
    this.#byActor.clear();
    return [...blocks.values()];
  }
}
