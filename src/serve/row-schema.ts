/** The row as it goes out in JSON: the zod schema that checks it, and the JSON Schema made from that. */
import { z } from 'zod';
import type { Row } from '../actor/row.js';

const timeMs = z.int().nonnegative();

export const rowSchema = z.strictObject({
  region: z.string(),
  level: z.string(),
  key: z.string(),
  window: z.string(),
  start: timeMs.describe('Event time, ms UTC, inclusive'),
  end: timeMs.describe('Event time, ms UTC, exclusive'),
  rev: z.int().nonnegative().describe('0 when final for the first time, +1 for each correction by late data'),
  final: z.boolean(),
  features: z.record(z.string(), z.number()),
  surge: z.strictObject({ multiplier: z.number(), raw: z.number(), model: z.string() }).optional(),
  watermark: timeMs,
  completeness: z.strictObject({
    expected: z.int().positive(),
    reported: z.int().nonnegative(),
    children: z.int().nonnegative().optional(),
  }),
});

/** What goes out on the surge subject of a cell. */
export const surgeSchema = z.strictObject({
  region: z.string(),
  key: z.string(),
  start: timeMs,
  end: timeMs,
  rev: z.int().nonnegative(),
  multiplier: z.number(),
  raw: z.number(),
  model: z.string(),
});

export type SurgeMessage = z.infer<typeof surgeSchema>;

/** The surge message of a row that carries one and is no correction: a price that was given is not given again. */
export function surgeOf(row: Row): SurgeMessage | undefined {
  if (row.surge === undefined || row.rev > 0) return undefined;
  const { region, key, start, end, rev, surge } = row;
  return { region, key, start, end, rev, ...surge };
}

export function rowJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(rowSchema);
}

export function surgeJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(surgeSchema);
}
