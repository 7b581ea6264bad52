/**
 * Hunts: an event that is lost or counted twice, a row that is wrong or said twice, a partition with two writers or none,
 * when real nodes over a real nats-server are killed, frozen, drained and started again, and the server is killed too. The
 * short form of `npm run crash-test`.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { simulateTrace, regionFile } from '../../bench/crash/trace.js';
import { replayTrial } from '../../bench/crash/trial.js';
import { REGIONS_FOLDER } from '../../bench/live/place.js';
import { loadRegion, type RegionConfig } from '../../src/ingest/region.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';

/** Another city and another storm each day, the same all day: what fails can be run again. */
const SEED = Math.floor(Date.now() / 86_400_000);
const TEST_MS = 240_000;
const EVENT_TIME_MS = 45 * 60_000;

let folder = '';
let region: RegionConfig;

beforeAll(async () => {
  // Never GitHub from a test.
  await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) });
  folder = await mkdtemp(join(tmpdir(), 'gs-crash-'));
  region = await loadRegion({ name: 'sf', dir: REGIONS_FOLDER });
}, 180_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each([
  [
    'three nodes struck at random while a trace is replayed: nothing lost, nothing twice, nothing wrong',
    { cluster: false, nodes: 3, kinds: ['kill', 'freeze', 'restart', 'server'] as const },
  ],
  [
    'on three servers whose leader is killed, and cut off: nothing lost, nothing twice, nothing wrong',
    { cluster: true, nodes: 2, kinds: ['kill', 'freeze', 'restart', 'server', 'cut'] as const },
  ],
] as const)(
  'P1 P2 P3 P5 P7: %s',
  async (_what, { cluster, nodes, kinds }) => {
    const place = join(folder, cluster ? 'cluster' : 'one-server');
    await mkdir(place);
    const trace = await simulateTrace({ region, folder: place, seed: SEED, lengthMs: EVENT_TIME_MS });
    const done: string[] = [];
    const { faults, lost, twice, wrong, verdict, struck } = await replayTrial({
      folder: join(place, 'replay'),
      region,
      regionFile: regionFile('sf'),
      seed: SEED,
      nodes,
      standbys: 1,
      cluster,
      kills: 2,
      trace,
      speed: '60x',
      onProgress: (line) => done.push(line),
    });
    const again = `\nagain: npm run crash-test -- --kills 2 --nodes ${nodes} --standbys 1 --rounds 0 --seed ${SEED}${cluster ? ' --cluster' : ''}\n${done.join('\n')}`;
    expect(faults, faults.join('\n') + again).toEqual([]);
    expect({ lost, twice, wrong }).toEqual({ lost: 0, twice: 0, wrong: 0 });
    expect(verdict.compared).toBeGreaterThan(10_000);
    for (const kind of kinds) expect(struck[kind], kind).toBeGreaterThanOrEqual(1);
  },
  TEST_MS,
);
