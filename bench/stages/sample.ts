/** Input for the stages, cut from the canonical workload: pings, their frames, and the rows that come of them. */
import { partitionOf } from '../../src/core/hash.js';
import { actorId } from '../../src/core/ids.js';
import type { Row } from '../../src/index.js';
import { encodeEventFrame, type EventFrame } from '../../src/partition/frame.js';
import { Partition } from '../../src/partition/partition.js';
import { rowsOf } from '../../src/partition/row-block.js';
import type { StageSize } from '../stage.js';
import { canonicalMarket, type Market } from '../market.js';
import { pingsOf, type Ping } from '../workload.js';

export const FRAME_EVENTS = 512;
const PARTITIONS = 16;
const SHAPE = {
  small: { drivers: 160, events: 160 * 24 },
  full: { drivers: 20_000, events: 20_000 * 24 },
};

export interface Sample {
  readonly market: Market;
  readonly pings: readonly Ping[];
}

/** Two minutes of the workload. */
export function sample(size: StageSize): Sample {
  const market = canonicalMarket({ partitions: PARTITIONS });
  return { market, pings: pingsOf({ ...SHAPE[size], seed: 1, cover: market.config.cover }) };
}

/** The pings that one of 16 partitions gets. */
export function pingsOfPartition(pings: readonly Ping[], partition: number): Ping[] {
  return pings.filter((ping) => partitionOf(actorId('driver', ping.driverId), PARTITIONS) === partition);
}

/** Full frames of pings, as a producer packs them; the last one carries the watermark of the last ping's minute. */
export function framesOf(pings: readonly Ping[]): EventFrame[] {
  const frames: EventFrame[] = [];
  for (let i = 0; i < pings.length; i += FRAME_EVENTS) {
    const events = pings.slice(i, i + FRAME_EVENTS);
    const watermarkMs = Math.max(0, events[0]!.ts - 5_000);
    frames.push({ producer: 'bench', mode: 'replay', seq: i, watermarkMs, end: false, events });
  }
  return frames;
}

/** A partition with nothing in it and nothing behind it. */
export function emptyPartition(market: Market, partition = 0, partitions = PARTITIONS): Partition {
  const { config, registry } = market;
  return new Partition(
    {
      region: config.name,
      partition,
      partitions,
      registry,
      time: { outOfOrderBoundMs: config.outOfOrderBoundMs, idleTimeoutMs: config.idleTimeoutMs },
      paneMs: config.windowsMs[0]!,
      duplicateWindowMs: config.duplicateWindowMs,
      writer: 'bench',
    },
    { get: () => undefined },
    { control: undefined, timers: [] },
  );
}

/** Rows of all kinds: the sample through a region of one partition, up to ten minutes after it. */
export function sampleRows(size: StageSize, rowsMax: number): { market: Market; rows: Row[] } {
  const { market, pings } = sample(size);
  const partition = emptyPartition(market, 0, 1);
  const frames = framesOf(pings).map(encodeEventFrame);
  frames.push(
    encodeEventFrame({
      producer: 'bench',
      mode: 'replay',
      seq: pings.length,
      watermarkMs: pings.at(-1)!.ts + 600_000,
      end: true,
      events: [],
    }),
  );
  frames.forEach((frame, i) => partition.acceptEvents(frame, i + 1, 0));
  // Each stage closes behind the one below it.
  for (let stage = 0; stage < market.registry.stages; stage++) partition.advance(0);
  const rows = rowsOf(partition.takeCommit()!.blocks);
  // Evenly out of all, so that every window and level is there.
  const step = Math.max(1, Math.floor(rows.length / rowsMax));
  return { market, rows: rows.filter((_, i) => i % step === 0).slice(0, rowsMax) };
}
