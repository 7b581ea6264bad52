/**
 * What an operator must hear about time: who holds a region's time back, who fell silent without a last word, and a clock that
 * was set. Pure: facts of a node's status in, alarms out.
 */
import type { SilentProducer } from '../partition/watermark.js';

/** What the alarms need of a partition's status. */
export interface WatermarkFacts {
  readonly partition: number;
  /** Event time ms; 0 while there is none. */
  readonly watermarkMs: number;
  /** The producer that holds the watermark back. */
  readonly holder: string | undefined;
  /** Live producers that fell silent without a last word. */
  readonly silent?: readonly SilentProducer[] | undefined;
}

export interface AlarmBounds {
  /** A watermark further behind the wall clock than this is an alarm, ms. */
  readonly behindMs: number;
  /** Who has been silent for longer than this is no news any more, ms. */
  readonly silentMs: number;
}

export const DEFAULT_BOUNDS: AlarmBounds = { behindMs: 120_000, silentMs: 3_600_000 };

export type Alarm =
  /** Time waits for a producer, or, without one, for the node itself. */
  | {
      readonly kind: 'held';
      readonly producer: string | undefined;
      readonly partitions: readonly number[];
      readonly behindMs: number;
      readonly message: string;
    }
  /** A producer died: time goes on without it, and what it has not sent will be late. */
  | {
      readonly kind: 'silent';
      readonly producer: string;
      readonly partitions: readonly number[];
      readonly silentMs: number;
      readonly message: string;
    }
  /** A producer's clock is ahead: its watermark does not count, and its events of later are refused. */
  | {
      readonly kind: 'clock';
      readonly producer: string;
      readonly partitions: readonly number[];
      readonly skewMs: number;
      readonly message: string;
    }
  /** The machine's clock and the node's are apart. */
  | { readonly kind: 'clock'; readonly skewMs: number; readonly message: string };

/** Alarms about watermarks, the furthest behind first: one for each producer, with all partitions that it concerns. */
export function watermarkAlarms(
  partitions: readonly WatermarkFacts[],
  nowMs: number,
  bounds: AlarmBounds = DEFAULT_BOUNDS,
): Alarm[] {
  return [...heldAlarms(partitions, nowMs, bounds), ...silentAlarms(partitions, nowMs, bounds)];
}

/** The alarm about this machine's clock; none while the two are nearer than `boundMs`. */
export function clockAlarm(skewMs: number, boundMs = 5_000): Alarm | undefined {
  if (Math.abs(skewMs) <= boundMs) return undefined;
  const where = skewMs > 0 ? 'ahead of' : 'behind';
  const message = `This machine's clock was set: it is ${seconds(Math.abs(skewMs))} ${where} the node, which approaches it slowly. If it is right, restart the node.`;
  return { kind: 'clock', skewMs, message };
}

function heldAlarms(
  partitions: readonly WatermarkFacts[],
  nowMs: number,
  { behindMs }: AlarmBounds,
): Alarm[] {
  const held = new Map<string | undefined, { partitions: number[]; behindMs: number }>();
  for (const { partition, watermarkMs, holder } of partitions) {
    const byMs = nowMs - watermarkMs;
    if (watermarkMs === 0 || byMs <= behindMs) continue;
    const found = held.get(holder) ?? { partitions: [], behindMs: 0 };
    found.partitions.push(partition);
    found.behindMs = Math.max(found.behindMs, byMs);
    held.set(holder, found);
  }
  return [...held]
    .sort(([, one], [, other]) => other.behindMs - one.behindMs)
    .map(([producer, { partitions, behindMs }]) => {
      const who = producer === undefined ? 'nobody: the node is behind' : `producer ${producer}`;
      const message = `Time is ${seconds(behindMs)} behind in partition ${partitions.join(', ')}; it waits for ${who}.`;
      return { kind: 'held', producer, partitions, behindMs, message };
    });
}

function silentAlarms(
  partitions: readonly WatermarkFacts[],
  nowMs: number,
  { silentMs }: AlarmBounds,
): Alarm[] {
  const silent = new Map<string, { partitions: number[]; heardAtMs: number; aheadMs: number | undefined }>();
  for (const { partition, silent: producers = [] } of partitions) {
    for (const { producer, heardAtMs, aheadMs } of producers) {
      const found = silent.get(producer) ?? { partitions: [], heardAtMs, aheadMs };
      found.partitions.push(partition);
      found.heardAtMs = Math.max(found.heardAtMs, heardAtMs);
      found.aheadMs ??= aheadMs;
      silent.set(producer, found);
    }
  }
  return [...silent]
    .filter(([, { heardAtMs }]) => nowMs - heardAtMs <= silentMs)
    .sort(([, one], [, other]) => one.heardAtMs - other.heardAtMs)
    .map(([producer, { partitions, heardAtMs, aheadMs }]) => {
      if (aheadMs !== undefined) {
        const message = `The clock of producer ${producer} is ${seconds(aheadMs)} ahead: what it says of time is not believed, and its events of later are refused.`;
        return { kind: 'clock', producer, partitions, skewMs: aheadMs, message };
      }
      const forMs = Math.max(0, nowMs - heardAtMs);
      const message = `Producer ${producer} has said nothing for ${seconds(forMs)} and no last word: windows close without it, and what it still sends of them is late.`;
      return { kind: 'silent', producer, partitions, silentMs: forMs, message };
    });
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000).toLocaleString('en')} s`;
}
