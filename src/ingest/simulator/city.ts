/**
 * The ground the simulation moves on: what lies inside the region's cover, how far apart points are, and points drawn
 * from it. Every point that leaves here is rounded as events are, and inside the cover as rounded.
 *
 * Uses only arithmetic and square roots, which are the same to the last bit on every engine.
 */
import { Cover, geohash30, GEOHASH_ALPHABET } from '../../core/geohash.js';
import type { Random } from '../../core/random.js';
import { bell, pick } from './chance.js';

export interface Point {
  readonly lat: number;
  readonly lon: number;
}

export const METRES_PER_DEGREE = 111_320;
/** A way is looked at this often for leaving the cover. */
const WAY_STEP_M = 150;
const TRIES = 12;

/** Five decimals: about a metre. */
export function roundDegrees(degrees: number): number {
  return Math.round(degrees * 1e5) / 1e5;
}

/** Length of a degree of longitude by that of latitude; cosine by its series. Never 0, so that it can divide. */
export function narrowing(lat: number): number {
  const x = (lat * Math.PI) / 180;
  const s = x * x;
  const cosine =
    1 - (s / 2) * (1 - (s / 12) * (1 - (s / 30) * (1 - (s / 56) * (1 - (s / 90) * (1 - s / 132)))));
  return Math.max(0.01, cosine);
}

/** Metres between two points of one city, as on a plane. */
export function distanceM(a: Point, b: Point): number {
  const north = b.lat - a.lat;
  const east = (b.lon - a.lon) * narrowing(a.lat);
  return Math.sqrt(north * north + east * east) * METRES_PER_DEGREE;
}

interface Box {
  readonly lat: number;
  readonly lon: number;
  readonly height: number;
  readonly width: number;
}

function boxOf(prefix: string): Box {
  let [lat, lon, height, width] = [-90, -180, 180, 360];
  let east = true;
  for (const char of prefix) {
    const digit = GEOHASH_ALPHABET.indexOf(char);
    for (let bit = 16; bit >= 1; bit /= 2, east = !east) {
      const upper = (digit & bit) !== 0;
      if (east) {
        width /= 2;
        if (upper) lon += width;
      } else {
        height /= 2;
        if (upper) lat += height;
      }
    }
  }
  return { lat, lon, height, width };
}

export class City {
  readonly #cover: Cover;
  readonly #boxes: readonly Box[];
  readonly #areas: readonly number[];

  constructor(prefixes: readonly string[]) {
    if (prefixes.length === 0) throw new RangeError('the cover is empty');
    this.#cover = new Cover(prefixes);
    this.#boxes = prefixes.map(boxOf);
    this.#areas = this.#boxes.map((box) => box.height * box.width * narrowing(box.lat + box.height / 2));
  }

  has(lat: number, lon: number): boolean {
    return lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180 && this.#cover.has(geohash30(lat, lon));
  }

  /** A point anywhere in the cover, each square metre alike. */
  anywhere(random: Random): Point {
    const box = this.#boxes[pick(random, this.#areas)]!;
    for (let i = 0; i < TRIES; i++) {
      const lat = roundDegrees(box.lat + random.next() * box.height);
      const lon = roundDegrees(box.lon + random.next() * box.width);
      if (this.has(lat, lon)) return { lat, lon };
    }
    return { lat: roundDegrees(box.lat + box.height / 2), lon: roundDegrees(box.lon + box.width / 2) };
  }

  /** A point about `spreadM` metres (one deviation) from a point of the cover; that point itself when none fits. */
  near(centre: Point, spreadM: number, random: Random): Point {
    const spread = spreadM / METRES_PER_DEGREE;
    const eastward = spread / narrowing(centre.lat);
    for (let i = 0; i < TRIES; i++) {
      const lat = roundDegrees(centre.lat + bell(random) * spread);
      const lon = roundDegrees(centre.lon + bell(random) * eastward);
      if (this.has(lat, lon)) return { lat, lon };
    }
    return centre;
  }

  /** True when the straight way between two points stays inside, as far as steps of 150 m can tell. */
  isClear(from: Point, to: Point): boolean {
    const steps = Math.ceil(distanceM(from, to) / WAY_STEP_M);
    for (let i = 1; i < steps; i++) {
      const part = i / steps;
      if (!this.has(from.lat + (to.lat - from.lat) * part, from.lon + (to.lon - from.lon) * part))
        return false;
    }
    return true;
  }
}
