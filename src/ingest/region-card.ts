/**
 * A region's card: what a producer elsewhere must know of it, and no more. The node writes it into the metadata of the
 * region's stream, so a producer needs neither configuration files nor the behaviours, and cannot disagree with the node.
 */
import { z } from 'zod';
import type { Registry } from '../actor/registry.js';
import { parseConfig } from '../core/config-file.js';
import { GroundswellError, messageOf } from '../core/errors.js';
import { isGeohash } from '../core/geohash.js';
import { REGION_NAME } from '../core/ids.js';
import type { RegionConfig } from './region.js';

/** Key of the card in the metadata of the engine's stream. */
export const CARD_KEY = 'groundswell.card';
export const CARD_FORMAT = 1;

const route = z.object({ actorType: z.string().min(1), keyField: z.string().min(1) });

/** Keys that a later version adds are passed over. */
const cardSchema = z.object({
  format: z.literal(CARD_FORMAT),
  region: z.string().regex(REGION_NAME),
  partitions: z.int().min(1),
  /** Geohash prefixes of one to six characters. */
  cover: z.array(z.string().refine((text) => isGeohash(text) && text.length <= 6)).min(1),
  /** IANA name. */
  timezone: z.string(),
  outOfOrderBoundMs: z.int().min(0),
  /** How far ahead of the region's time live events may be; a card of an earlier version does not say. */
  clockToleranceMs: z.int().min(0).default(60_000),
  /** By type of event. */
  routes: z.record(z.string(), route).transform((routes) => new Map(Object.entries(routes))),
  /** Most events in one frame. */
  frameEvents: z.int().min(1),
});

export type RegionCard = Readonly<z.output<typeof cardSchema>>;

/** The text of a region's card. */
export function cardOf(config: RegionConfig, registry: Registry): string {
  const routes = [...registry.routes].map(([event, { actorType, keyField }]) => [
    event,
    { actorType, keyField },
  ]);
  const card: z.input<typeof cardSchema> = {
    format: CARD_FORMAT,
    region: config.name,
    partitions: config.partitions,
    cover: [...config.cover],
    timezone: config.timezone,
    outOfOrderBoundMs: config.outOfOrderBoundMs,
    clockToleranceMs: config.clockToleranceMs,
    routes: Object.fromEntries(routes) as Record<string, z.input<typeof route>>,
    frameEvents: config.limits.frameEvents,
  };
  return JSON.stringify(card);
}

/** @throws GroundswellError GS_DATA_NEWER for a card of a later format, GS_STREAM_CONFIG for one that is none */
export function parseCard(text: string): RegionCard {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GroundswellError('GS_STREAM_CONFIG', `The region's card is no JSON: ${messageOf(cause)}.`, {
      cause,
      remedy: 'Start a node of the region: it writes the card again.',
    });
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === 'number' && format > CARD_FORMAT) {
    throw new GroundswellError(
      'GS_DATA_NEWER',
      `The region's card has format ${format}; this version reads ${CARD_FORMAT}.`,
      { remedy: 'Use the version of groundswell that the region’s nodes have.' },
    );
  }
  return parseConfig(cardSchema, value, 'The region’s card', 'GS_STREAM_CONFIG');
}
