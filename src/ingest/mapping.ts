/**
 * Mappings: which columns of a file make which fields of an event. Owns the YAML form and its checks;
 * `row-mapping.ts` compiles it.
 *
 *     format: csv
 *     event: driver.location
 *     fields:
 *       driverId: cab                                                # a column
 *       ts: { column: time, unit: s }                                # s, ms, us or iso8601
 *       status: { column: occupied, values: { 1: ontrip }, else: open }
 *       id: 'ping-{row}'                                             # {row} counts from 1; {cab} is a column
 *       source: { constant: cabspotting }
 */
import { z } from 'zod';
import { parseConfig, readYamlConfig } from '../core/config-file.js';
import { GroundswellError } from '../core/errors.js';
import { EVENT_TYPES } from './event.js';

export const UNITS = ['ms', 's', 'us', 'iso8601'] as const;
export type Unit = (typeof UNITS)[number];

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const fieldSchema = z.union([
  z.string().min(1, 'names no column'),
  z
    .strictObject({
      column: z.string().min(1).optional(),
      constant: scalar.optional(),
      unit: z.enum(UNITS).optional(),
      as: z.enum(['number', 'text']).optional(),
      values: z.record(z.string(), scalar).optional(),
      else: scalar.optional(),
    })
    .refine(
      (field) => (field.column === undefined) !== (field.constant === undefined),
      'give either column or constant',
    )
    .refine((field) => field.else === undefined || field.values !== undefined, 'else needs values')
    .refine(
      (field) =>
        [field.unit, field.as, field.values, field.constant].filter((given) => given !== undefined).length <=
        1,
      'unit, as, values and constant exclude one another',
    ),
]);
export type Field = z.output<typeof fieldSchema>;

const eventSchema = z.union([z.enum(EVENT_TYPES as [string, ...string[]]), fieldSchema.options[1]]);

export const mappingSchema = z
  .strictObject({
    format: z.enum(['csv', 'ndjson']),
    delimiter: z.string().length(1, 'is one character').optional(),
    event: eventSchema.optional(),
    fields: z.record(z.string().regex(/^[A-Za-z]\w*$/, 'is no name of a field'), fieldSchema).optional(),
  })
  .refine(
    (mapping) => (mapping.event === undefined) === (mapping.fields === undefined),
    'event and fields go together',
  )
  .refine(
    (mapping) => mapping.format === 'ndjson' || mapping.fields !== undefined,
    'a csv mapping needs event and fields',
  )
  .refine((mapping) => mapping.format === 'csv' || mapping.delimiter === undefined, 'delimiter is for csv');

/** A checked mapping. Without `fields` it is the identity: NDJSON lines that are events already. */
export type Mapping = z.output<typeof mappingSchema> & { readonly name: string };

export const IDENTITY: Mapping = { name: 'ndjson (events as they are)', format: 'ndjson' };

/** Reads and checks a mapping file; faults are GS_MAPPING with file and key path. */
export async function loadMapping(file: string): Promise<Mapping> {
  return { ...(await readYamlConfig(mappingSchema, file, 'GS_MAPPING')), name: file };
}

/** Checks a mapping given as a value; `name` stands for the file in messages. */
export function parseMapping(value: unknown, name: string): Mapping {
  return { ...parseConfig(mappingSchema, value, name, 'GS_MAPPING'), name };
}

/** The mapping of a file that none was given for: the identity for NDJSON, else GS_MAPPING. */
export function defaultMapping(file: string): Mapping {
  if (/\.(nd)?jsonl?(\.gz)?$/i.test(file)) return IDENTITY;
  throw new GroundswellError('GS_MAPPING', `${file}: needs a mapping, for it is no NDJSON file`, {
    remedy: 'Give --mapping FILE, for example config/sources/cabspotting.yaml.',
  });
}
