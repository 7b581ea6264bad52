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
    let last: ShownBlock | undefined;
    for (const [{ type, key }, values] of this.#byActor) {
      const { type: typeName } = type.behaviour;
      const names = Object.keys(values);
      // Most are of the kind of the one before, and no name need be made of that.
      if (last === undefined || !isOf(last, typeName, names)) {
        const kind = JSON.stringify([typeName, names]);
        last = blocks.get(kind) ?? [typeName, names, [], []];
        blocks.set(kind, last);
      }
      const [, , keys, numbers] = last;
      keys.push(key);
      for (const name of names) numbers.push(values[name]!);
    }
    this.#byActor.clear();
    return [...blocks.values()];
  }
}

function isOf([type, known]: ShownBlock, typeName: string, names: readonly string[]): boolean {
  if (type !== typeName || known.length !== names.length) return false;
  for (let i = 0; i < names.length; i++) if (known[i] !== names[i]) return false;
  return true;
}
