/** Hunts: a producer elsewhere that routes otherwise than the node, or takes a card that it does not understand. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONFIG_FOLDER } from '../../../src/cli/package-root.js';
import { cardOf, parseCard } from '../../../src/ingest/region-card.js';
import { loadRegion } from '../../../src/ingest/region.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { registryOf } from '../../support/engine.js';
import { checked, handMade } from '../../support/market.js';
import { framesIn, newProducer } from './producing.js';

const config = await loadRegion({ name: 'sf', dir: join(CONFIG_FOLDER, 'regions') });
const registry = registryOf();
const text = cardOf(config, registry);

describe('a region’s card', () => {
  it('says what a producer needs', () => {
    expect(parseCard(text)).toMatchObject({
      region: 'sf',
      partitions: config.partitions,
      cover: config.cover,
      timezone: 'America/Los_Angeles',
      outOfOrderBoundMs: 5_000,
      frameEvents: 4_096,
    });
  });

  it('routes every event as the registry does', async () => {
    const frames = await Promise.all(
      [registry.routes, parseCard(text).routes].map(async (routes) => {
        const log = new MemoryLog();
        const producer = newProducer(log, { routes, partitions: config.partitions });
        for (const event of handMade()) producer.offer(checked(event));
        await producer.flush();
        return framesIn(log, config.partitions);
      }),
    );
    expect(frames[0]!.flatMap(({ events }) => events)).toHaveLength(handMade().length);
    expect(frames[1]).toEqual(frames[0]);
  });

  it('may have keys that this version does not know', () => {
    const later = JSON.stringify({ ...(JSON.parse(text) as object), colour: 'blue' });
    expect(parseCard(later)).toEqual(parseCard(text));
  });

  it.each([
    ['no JSON', '{', 'GS_STREAM_CONFIG', /no JSON/],
    ['nothing', 'null', 'GS_STREAM_CONFIG', /card/],
    ['a later format', '{"format":2}', 'GS_DATA_NEWER', /format 2/],
    [
      'no partitions',
      JSON.stringify({ ...(JSON.parse(text) as object), partitions: 0 }),
      'GS_STREAM_CONFIG',
      /partitions/,
    ],
    [
      'no routes',
      JSON.stringify({ ...(JSON.parse(text) as object), routes: undefined }),
      'GS_STREAM_CONFIG',
      /routes/,
    ],
  ])('is refused with %s', (_what, card, code, words) => {
    let thrown: unknown;
    try {
      parseCard(card);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code, message: expect.stringMatching(words) as string });
  });
});
