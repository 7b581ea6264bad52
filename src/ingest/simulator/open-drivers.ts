/**
 * The drivers a rider can be given: a grid of buckets by position, so that the nearest is found without looking at all.
 * Owns nobody: a driver is in a bucket exactly while `bucket` is set.
 */
import { distanceM, METRES_PER_DEGREE, narrowing, type Point } from './city.js';

const ROW_DEGREES = 0.01;
const COLUMN_DEGREES = 0.0125;
const COLUMNS = 65_536;

export interface Locatable {
  lat: number;
  lon: number;
  /** Grid bucket and place within it; -1 when in none. */
  bucket: number;
  slot: number;
}

export class OpenDrivers<D extends Locatable> {
  readonly #buckets = new Map<number, D[]>();

  /** Puts the driver where it now is; call again after every move. */
  put(driver: D): void {
    const bucket = bucketAt(
      Math.floor((driver.lat + 90) / ROW_DEGREES),
      Math.floor((driver.lon + 180) / COLUMN_DEGREES),
    );
    if (bucket === driver.bucket) return;
    this.remove(driver);
    let members = this.#buckets.get(bucket);
    if (members === undefined) this.#buckets.set(bucket, (members = []));
    driver.bucket = bucket;
    driver.slot = members.push(driver) - 1;
  }

  remove(driver: D): void {
    if (driver.bucket === -1) return;
    const members = this.#buckets.get(driver.bucket)!;
    const last = members.pop()!;
    if (last !== driver) {
      members[driver.slot] = last;
      last.slot = driver.slot;
    }
    if (members.length === 0) this.#buckets.delete(driver.bucket);
    driver.bucket = -1;
  }

  /** The nearest driver within the radius that is also fit, looking ring by ring around the point. */
  nearest(to: Point, radiusM: number, isFit: (driver: D) => boolean): D | undefined {
    const row = Math.floor((to.lat + 90) / ROW_DEGREES);
    const column = Math.floor((to.lon + 180) / COLUMN_DEGREES);
    const ringM = METRES_PER_DEGREE * Math.min(ROW_DEGREES, COLUMN_DEGREES * narrowing(to.lat));
    let best: D | undefined;
    let bestM = radiusM;
    // Whoever stands in ring r or beyond is at least r - 1 rings away.
    for (let ring = 0; (ring - 1) * ringM < bestM; ring++) {
      for (let y = -ring; y <= ring; y++) {
        const step = ring > 0 && y !== -ring && y !== ring ? 2 * ring : 1;
        for (let x = -ring; x <= ring; x += step) {
          const members = this.#buckets.get(bucketAt(row + y, column + x));
          if (members === undefined) continue;
          for (const driver of members) {
            const metres = distanceM(to, driver);
            if (metres < bestM && isFit(driver)) {
              best = driver;
              bestM = metres;
            }
          }
        }
      }
    }
    return best;
  }
}

function bucketAt(row: number, column: number): number {
  return row * COLUMNS + column;
}
