import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Cover } from '../../../src/core/geohash.js';
import { EventChecker } from '../../../src/ingest/check.js';
import { loadMapping } from '../../../src/ingest/mapping.js';
import { loadRegion } from '../../../src/ingest/region.js';
import { openSource } from '../../../src/ingest/source.js';

const ROOT = join(import.meta.dirname, '../../..');
const DATA = join(ROOT, '../shared/data');

const TRACES = [
  {
    file: 'cabspotting-2008-05-21.csv.gz',
    mapping: 'cabspotting',
    region: 'sf',
    rows: 456_453,
    outside: 107,
  },
  {
    file: 'uber-nyc-2014-04-07-week.csv.gz',
    mapping: 'uber-foil',
    region: 'nyc',
    rows: 123_324,
    outside: undefined,
  },
];

for (const { file, mapping, region, rows, outside } of TRACES) {
  const path = join(DATA, file);
  describe.skipIf(!existsSync(path))(`the real trace ${file} (skipped where ${DATA} is missing)`, () => {
    it('gives every row, in order, and refuses only what lies outside the region', async () => {
      const { cover } = await loadRegion({ name: region, dir: join(ROOT, 'config/regions') });
      const checker = new EventChecker({ cover: new Cover(cover), nowMs: () => Date.UTC(2026, 0, 1) });
      const source = await openSource({
        file: path,
        mapping: await loadMapping(join(ROOT, `config/sources/${mapping}.yaml`)),
      });
      const refused: Record<string, number> = {};
      let seen = 0;
      let lastTs = 0;
      let ordered = true;
      for await (const batch of source) {
        expect(batch.malformed).toEqual([]);
        expect(batch.lines[0]).toBe(seen + 2);
        seen += batch.raws.length;
        for (const raw of batch.raws) {
          const checked = checker.check(raw);
          if (checked.outcome === 'refused') refused[checked.reason] = (refused[checked.reason] ?? 0) + 1;
          else {
            ordered &&= checked.event.ts >= lastTs;
            lastTs = checked.event.ts;
          }
        }
      }
      expect(seen).toBe(rows);
      expect(ordered).toBe(true);
      expect(Object.keys(refused)).toEqual(['outside_region']);
      if (outside !== undefined) expect(refused.outside_region).toBe(outside);
      expect(source.bytesRead).toBe(source.bytesTotal);
    });
  });
}
