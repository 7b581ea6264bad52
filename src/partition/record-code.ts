/**
 * Code for objects with the same names of fields, made once for each list of names: taking objects apart into a list for each
 * field, and putting them together again. With the names in the program each step is a load or a store at a known place; with
 * the names in variables it costs ten times as much.
 */

export type Plain = Readonly<Record<string, unknown>>;

export interface RecordCode {
  readonly names: readonly string[];
  /** Whether an object has these names, in this order, and no others. */
  fits(record: Plain): boolean;
  /** The values of each field. */
  take(records: readonly Plain[]): unknown[][];
  /** An object of the values at one place of each field. */
  make(fields: readonly ArrayLike<unknown>[], index: number): Plain;
}

/** So many kinds of objects have code of their own; whatever else comes costs more. */
const KNOWN_MAX = 256;

/** By the names of the fields, in JSON. */
const known = new Map<string, RecordCode>();

export function codeOf(names: readonly string[]): RecordCode {
  const json = JSON.stringify(names);
  let code = known.get(json);
  if (code === undefined) {
    const compiles = known.size < KNOWN_MAX && !names.includes('__proto__');
    code = compiles ? compiled(names) : interpreted(names);
    if (compiles) known.set(json, code);
  }
  return code;
}

/** Whatever a name holds, it stands in the program as a text. */
function compiled(names: readonly string[]): RecordCode {
  const texts = names.map((name) => JSON.stringify(name));
  const makes = texts.map((name, i) => `${name}: fields[${i}][index]`);
  const takes = texts.map((name, i) => `f${i}[i] = record[${name}];`);
  const lists = names.map((_, i) => `f${i}`);
  return {
    names,
    fits: fitting(names),
    make: program('fields', 'index', `return { ${makes.join(', ')} };`) as RecordCode['make'],
    take: program(
      'records',
      `const count = records.length;
      ${lists.map((list) => `const ${list} = new Array(count);`).join(' ')}
      for (let i = 0; i < count; i++) { const record = records[i]; ${takes.join(' ')} }
      return [${lists.join(', ')}];`,
    ) as RecordCode['take'],
  };
}

function interpreted(names: readonly string[]): RecordCode {
  return {
    names,
    fits: fitting(names),
    take: (records) => names.map((name) => records.map((record) => record[name])),
    make(fields, index) {
      const record: Plain = {};
      for (const [i, name] of names.entries()) {
        const value = fields[i]![index];
        Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
      }
      return record;
    },
  };
}

function fitting(names: readonly string[]): (record: Plain) => boolean {
  return (record) => {
    let i = 0;
    for (const name in record) if (names[i++] !== name) return false;
    return i === names.length;
  };
}

function program(...parts: string[]): unknown {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  return new Function(...parts);
}
