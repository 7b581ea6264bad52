/**
 * The keys of a zod schema as a table: path, default and description of each, looked up through wrappers, lists and
 * unions. What is documented and what is checked are one thing, so they cannot drift.
 */
import { z } from 'zod';

type Schema = z.core.$ZodType;

export interface SchemaKey {
  /** `limits.frameEvents`; `features[].weight` within a list. */
  readonly path: string;
  /** As it stands in the shape of its object, wrappers and all. */
  readonly schema: Schema;
  /** As it would be written in a file; undefined when there is none. */
  readonly byDefault: unknown;
  readonly required: boolean;
  readonly description: string | undefined;
}

/** All keys that hold a value, in the order of the schema; objects and lists of objects are looked into. */
export function schemaKeys(schema: Schema): SchemaKey[] {
  return keysBelow(schema, '', undefined);
}

/** @param standing what stands for the whole where it is left out */
function keysBelow(schema: Schema, at: string, standing: unknown): SchemaKey[] {
  const def = defOf(unwrap(schema));
  if (def.type === 'union')
    return keysOfOptions(def.options.map((option) => keysBelow(option, at, standing)));
  if (def.type === 'array') return keysBelow(def.element, `${at}[]`, undefined);
  if (def.type !== 'object') return [];
  return Object.entries(def.shape).flatMap(([name, value]) => {
    const path = at === '' ? name : `${at}.${name}`;
    const found = factsOf(value);
    const byDefault = found.byDefault ?? (standing as Record<string, unknown> | undefined)?.[name];
    const below = keysBelow(value, path, byDefault);
    if (below.length > 0) return below;
    return [
      { path, schema: value, ...found, byDefault, required: found.required && byDefault === undefined },
    ];
  });
}

/** Each key once; one that some options lack is not required as such. */
function keysOfOptions(options: readonly (readonly SchemaKey[])[]): SchemaKey[] {
  const byPath = new Map<string, SchemaKey>();
  for (const key of options.flat()) if (!byPath.has(key.path)) byPath.set(key.path, key);
  return [...byPath.values()].map((key) => ({
    ...key,
    required: key.required && options.every((keys) => keys.some(({ path }) => path === key.path)),
  }));
}

/** A key whose values are numbers, and so are written without quotes. */
export function isNumeric(schema: Schema): boolean {
  return defOf(unwrap(schema)).type === 'number';
}

/** The words that a key takes; none when it takes more than certain words. */
export function wordsOf(schema: Schema): string[] {
  const def = defOf(unwrap(schema));
  if (def.type === 'enum') return Object.values(def.entries).map(String);
  return def.type === 'literal' ? def.values.map(String) : [];
}

function factsOf(schema: Schema): Pick<SchemaKey, 'byDefault' | 'required' | 'description'> {
  let byDefault: unknown;
  let required = true;
  let description: string | undefined;
  for (let one: Schema | undefined = schema; one !== undefined; one = next(one)) {
    const def = defOf(one);
    description ??= z.globalRegistry.get(one)?.description;
    if (def.type === 'optional') required = false;
    if (def.type === 'default' || def.type === 'prefault') {
      required = false;
      byDefault ??= def.defaultValue;
    }
  }
  return { byDefault, required, description };
}

function unwrap(schema: Schema): Schema {
  let inner = schema;
  for (let one: Schema | undefined = schema; one !== undefined; one = next(one)) inner = one;
  return inner;
}

/** One wrapper less: what a default, an optional or a transformation stands around. */
function next(schema: Schema): Schema | undefined {
  const def = defOf(schema);
  if (def.type === 'pipe') return def.in;
  return 'innerType' in def ? def.innerType : undefined;
}

function defOf(schema: Schema): z.core.$ZodTypes['_zod']['def'] {
  return (schema as z.core.$ZodTypes)._zod.def;
}
