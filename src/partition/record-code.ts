/**
 * Code for objects with the same names of fields, made once for each list of names: taking objects apart into a list for each
 * field, and putting them together again. With the names in the program each step is a load or a store at a known place; with
 * the names in variables it costs ten times as much.
 */

export type Plain = Readonly<Record<string, unknown>>;

export interface RecordCode {
  readonly names: readonly string[];
  /** The names in JSON. */
  readonly json: string;
  /** Whether an object has these names, in this order, and no others. */
  readonly fits: (record: Plain) => boolean;
  /** Puts the value of each field behind those of others. */
  readonly put: (fields: readonly unknown[][], record: Plain) => void;
  /** An object of the values at one place of each field. */
  readonly make: (fields: readonly ArrayLike<unknown>[], index: number) => Plain;
}

/** So many kinds of objects have code of their own; whatever else comes costs more. */
const KNOWN_MAX = 256;

/** By the names of the fields, in JSON. */
const known = new Map<string, RecordCode>();

export function codeOf(names: readonly string[]): RecordCode {
  return codeFrom(JSON.stringify(names));
}

/** @param json the names in JSON */
export function codeFrom(json: string): RecordCode {
  let code = known.get(json);
  if (code === undefined) {
    const names: unknown = JSON.parse(json);
    if (!isNames(names)) throw new RangeError(`${json} are no names of fields`);
    const compiles = known.size < KNOWN_MAX && !names.includes('__proto__');
    code = compiles ? compiled(names, json) : interpreted(names, json);
    if (compiles) known.set(json, code);
  }
  return code;
}

/** Whatever a name holds, it stands in the program as a text. */
function compiled(names: readonly string[], json: string): RecordCode {
  const texts = names.map((name) => JSON.stringify(name));
  const makes = texts.map((name, i) => `${name}: fields[${i}][index]`);
  const puts = texts.map((name, i) => `fields[${i}].push(record[${name}]);`);
  return {
    names,
    json,
    fits: fitting(names),
    make: program('fields', 'index', `return { ${makes.join(', ')} };`) as RecordCode['make'],
    put: program('fields', 'record', puts.join(' ')) as RecordCode['put'],
  };
}

function interpreted(names: readonly string[], json: string): RecordCode {
  return {
    names,
    json,
    fits: fitting(names),
    put(fields, record) {
      for (const [i, name] of names.entries()) fields[i]!.push(record[name]);
    },
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

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}
