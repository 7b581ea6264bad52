/**
 * The memory bench: bytes of memory per active and per passivated driver, and bytes of disk. How to read it: bench/README.md.
 *
 *   npm run bench:memory -- [--drivers 100000,300000] [--pings 18] [--partitions 16] [--seed 1] [--json]
 *
 * The last line is JSON; `--json` prints nothing else.
 */
import { command, count, wholes } from './command.js';
import { canonicalMarket } from './market.js';
import { memoryAt, perDriver, type InUse, type MemoryAt } from './memory.js';

const { values, whole, say, tell } = command('memory', {
  drivers: '100000,300000',
  pings: '18',
  partitions: '16',
  seed: '1',
});
const sizes = wholes('drivers', values['drivers']!);
const [small, large] = sizes;
if (sizes.length !== 2 || small! >= large!)
  throw new Error('--drivers: write two numbers, the smaller one first');
const market = canonicalMarket({ partitions: whole('partitions') });
const MB = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const memory = ({ heapBytes, externalBytes, residentActors }: InUse): string =>
  `${MB(heapBytes)} heap, ${MB(externalBytes)} external, ${count(residentActors)} actors resident`;

const at: MemoryAt[] = [];
for (const drivers of sizes) {
  const one = await memoryAt(market, { drivers, pings: whole('pings'), seed: whole('seed') });
  at.push(one);
  const { disk } = one;
  if (disk.drivers !== drivers)
    throw new Error(`${count(disk.drivers)} of ${count(drivers)} drivers are on disk`);
  say(`${count(drivers)} drivers`);
  say(`  active                        ${memory(one.active)}`);
  say(`  passivated, timer standing    ${memory(one.passivatedWithTimer)}`);
  say(`  passivated                    ${memory(one.passivated)}`);
  say(
    `  on disk                       ${MB(disk.compactedBytes)} compacted, the file ${MB(disk.fileBytes)}, drivers' records ${MB(disk.recordBytes)}`,
  );
}
const each = perDriver(at[0]!, at[1]!);
const bytes = (value: number): string => `${value.toFixed(1).padStart(8)} B`;
say();
say('  per driver');
say(`  active, in memory                       ${bytes(each.active)}`);
say(`  passivated, timer standing, in memory   ${bytes(each.passivatedWithTimer)}`);
say(`  passivated, in memory                   ${bytes(each.passivated)}`);
say(`  passivated, on disk, compacted          ${bytes(each.diskCompacted)}`);
say(`  … in the file as it is                  ${bytes(each.diskFile)}`);
say(`  … the record alone                      ${bytes(each.diskRecord)}`);
tell({ pings: whole('pings'), perDriver: each, at });
