/** A place in each cell of a geohash: where probes stand. */
import ngeohash from 'ngeohash';
import { GEOHASH_ALPHABET } from '../../src/core/geohash.js';
import type { CellKey } from '../../src/core/ids.js';

export interface Place {
  readonly cell: CellKey;
  readonly lat: number;
  readonly lon: number;
}

/** The middles of the 1,024 cells of a geohash of four characters. */
export function placesIn(prefix: string): Place[] {
  if (prefix.length !== 4) throw new RangeError(`no geohash of four characters: ${prefix}`);
  const letters = [...GEOHASH_ALPHABET];
  return letters.flatMap((fifth) =>
    letters.map((sixth) => {
      const cell = `${prefix}${fifth}${sixth}` as CellKey;
      const { latitude: lat, longitude: lon } = ngeohash.decode(cell);
      return { cell, lat, lon };
    }),
  );
}
