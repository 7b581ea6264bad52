/**
 * A few hundred cells of San Francisco and its neighbours as they look in an evening: drivers where people are, prices up
 * where a concert ended. The same for the same minute; for tests of what draws it.
 */
import ngeohash from 'ngeohash';
import type { Row } from '../../src/actor/row.js';
import { MINUTE } from './market.js';

interface Place {
  readonly lat: number;
  readonly lon: number;
  /** Degrees. */
  readonly wide: number;
  readonly people: number;
  /** How much demand outruns drivers there, and how fast that comes and goes. */
  readonly heat: number;
  readonly beat: number;
}

const PLACES: readonly Place[] = [
  { lat: 37.789, lon: -122.402, wide: 0.026, people: 24, heat: 1.1, beat: 17 },
  { lat: 37.762, lon: -122.42, wide: 0.024, people: 16, heat: 0.5, beat: 23 },
  { lat: 37.776, lon: -122.388, wide: 0.012, people: 11, heat: 2.3, beat: 29 },
  { lat: 37.8, lon: -122.437, wide: 0.022, people: 9, heat: 0.3, beat: 13 },
  { lat: 37.754, lon: -122.48, wide: 0.03, people: 6, heat: 0.1, beat: 11 },
  { lat: 37.617, lon: -122.386, wide: 0.013, people: 13, heat: 1.6, beat: 31 },
  { lat: 37.806, lon: -122.268, wide: 0.028, people: 10, heat: 0.6, beat: 19 },
  { lat: 37.869, lon: -122.262, wide: 0.02, people: 7, heat: 1.2, beat: 37 },
  { lat: 37.69, lon: -122.45, wide: 0.03, people: 4, heat: 0.2, beat: 7 },
];

/** Water, roughly: the ocean, and the bay between the city and its eastern neighbours. */
function isWater(lat: number, lon: number): boolean {
  if (lon < -122.515 || (lat < 37.7 && lon < -122.5)) return true;
  if (lat > 37.812 && lon < -122.33) return true;
  if (lat > 37.7) return lon > -122.378 && lon < -122.315;
  if (lat > 37.635) return lon > -122.385 && lon < -122.2;
  return lon > -122.355 && lon < -122.15;
}

/** The same chance for the same words. */
function chance(...words: readonly (string | number)[]): number {
  let hash = 2_166_136_261;
  for (const char of words.join('/')) hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
}

interface Spot {
  readonly key: string;
  readonly people: number;
  readonly heat: (minute: number) => number;
}

const SPOTS: readonly Spot[] = ngeohash
  .bboxes(37.58, -122.52, 37.9, -122.2, 6)
  .map((key): Spot => {
    const { latitude: lat, longitude: lon } = ngeohash.decode(key);
    const near = PLACES.map((place) => ({
      ...place,
      share: Math.exp(-((lat - place.lat) ** 2 + ((lon - place.lon) * 0.79) ** 2) / (2 * place.wide ** 2)),
    }));
    const people = isWater(lat, lon) ? 0 : near.reduce((sum, place) => sum + place.people * place.share, 0);
    return {
      key,
      people,
      heat: (minute) =>
        near.reduce(
          (sum, { heat, share, beat }) => sum + heat * share * (0.75 + 0.35 * Math.sin(minute / (beat / 5))),
          0,
        ),
    };
  })
  .filter(({ key, people }) => people > 0.35 + 0.5 * chance('there', key));

export const CITY_CELLS: readonly string[] = SPOTS.map(({ key }) => key);

const poisson = (mean: number, ...words: readonly (string | number)[]): number =>
  Math.max(0, Math.round(mean + (chance(...words) - 0.5) * 2.2 * Math.sqrt(mean)));

/** Rows of one minute: of the cells that have one, and of the region. */
export function cityRows(endMs: number): Row[] {
  const minute = Math.round(endMs / MINUTE) % 100_000;
  const rows: Row[] = [];
  const sums: Record<string, number> = {};
  for (const { key, people, heat } of SPOTS) {
    if (chance('row', key) < 0.09) continue;
    const warm = heat(minute);
    const open = poisson((people * 0.6) / (1 + warm), 'open', key, minute);
    const busy = poisson(people * (0.35 + 0.1 * warm), 'busy', key, minute);
    const enroute = poisson(people * 0.14, 'enroute', key, minute);
    const requests = poisson(people * 0.1 * (1 + 1.5 * warm), 'requests', key, minute);
    const pickups = poisson(people * 0.08, 'pickups', key, minute);
    const raw = 1 + 0.75 * warm + (chance('raw', key, minute) - 0.6) * 0.5;
    const features = {
      open_s: Math.round(open * 47_300 + chance('s', key, minute) * 9_000) / 1000,
      enroute_s: enroute * 38.25,
      busy_s: busy * 51.5,
      drivers: open + busy + enroute,
      riders: requests,
      open_end: open,
      pickups,
      dropoffs: poisson(people * 0.07, 'dropoffs', key, minute),
      requests,
      cancels: poisson(people * 0.012, 'cancels', key, minute),
      completes: poisson(people * 0.07, 'completes', key, minute),
      sessions: poisson(people * 0.3 * (1 + warm), 'sessions', key, minute),
      ...(pickups > 0 ? { waits: pickups, wait_s_mean: Math.round(140 + 90 * warm), wait_s_p50: 131.5 } : {}),
    };
    for (const [name, value] of Object.entries(features)) sums[name] = (sums[name] ?? 0) + value;
    const multiplier = Math.round(Math.min(3, Math.max(1, raw)) * 10) / 10;
    rows.push(rowOf('cell', key, endMs, features, { surge: { multiplier, raw, model: 'surge-linear@1' } }));
  }
  const total = { ...sums, wait_s_mean: 196.4, wait_s_p50: 161.2 };
  rows.push(rowOf('region', 'sf', endMs, total, {}));
  return rows;
}

function rowOf(
  level: string,
  key: string,
  endMs: number,
  features: Record<string, number>,
  more: Partial<Row>,
): Row {
  return {
    region: 'sf',
    level,
    key,
    window: '1m',
    start: endMs - MINUTE,
    end: endMs,
    rev: 0,
    final: true,
    features,
    ...more,
    watermark: endMs + 5_000,
    completeness: { expected: 2, reported: 2 },
  };
}

/** What the cells show in the running minute. */
export function cityLive(minuteMs: number, step = 0): Record<string, Record<string, number>> {
  const shown: Record<string, Record<string, number>> = {};
  for (const { key, people, heat } of SPOTS) {
    const warm = heat(minuteMs / MINUTE);
    const counted = (name: string, mean: number): number => poisson(mean * 0.4, name, key, minuteMs, step);
    shown[key] = {
      minute: minuteMs,
      open: poisson((people * 0.6) / (1 + warm), 'open', key, minuteMs, step),
      enroute: poisson(people * 0.14, 'enroute', key, step),
      busy: poisson(people * (0.35 + 0.1 * warm), 'busy', key, step),
      requests: counted('requests', people * 0.1),
      pickups: counted('pickups', people * 0.08),
      dropoffs: counted('dropoffs', people * 0.07),
      cancels: 0,
      completes: counted('completes', people * 0.07),
      sessions: counted('sessions', people * 0.3),
    };
  }
  return shown;
}
