/**
 * The cold start bench: a node with many actors on its data folder, killed and started again, until its first commit. How to
 * read it: bench/README.md.
 *
 *   npm run bench:cold-start -- [--drivers 1000000] [--partitions 16] [--seed 1] [--json]
 *
 * The last line is JSON; `--json` prints nothing else.
 */
import { measureColdStart } from './cold-start.js';
import { command, count, seconds } from './command.js';
import { canonicalMarket } from './market.js';

const { whole, say, tell } = command('cold-start', { drivers: '1000000', partitions: '16', seed: '1' });
const market = canonicalMarket({ partitions: whole('partitions') });
const size = { drivers: whole('drivers'), seed: whole('seed') };
const report = await measureColdStart(market, size);
say(
  `${count(size.drivers)} drivers in snapshots of ${(report.snapshotBytes / 1e6).toFixed(0)} MB; ${count(report.entriesRecovered)} journal entries behind them`,
);
say(`  start → FIRST COMMIT            ${seconds(report.firstCommitSeconds)}`);
say(`  start → owns all partitions     ${seconds(report.readySeconds)}`);
say(`  start → nothing waits           ${seconds(report.caughtUpSeconds)}`);
tell({ size, ...report });
