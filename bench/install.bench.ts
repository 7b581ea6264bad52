/**
 * The install bench: the first output of `npm start`, and the size of an installation. How to read it: bench/README.md.
 *
 *   npm run bench:install -- [--runs 5] [--json]
 *
 * Asks the registry that npm is set up with. The last line is JSON; `--json` prints nothing else.
 */
import { command, seconds } from './command.js';
import { ROOT } from './crash/command.js';
import { firstOutput, measureInstall, type FirstOutput } from './install.js';
import { median } from './machine.js';

const { whole, say, tell } = command('install', { runs: '5' });
const starts: FirstOutput[] = [];
for (let run = 1; run <= whole('runs'); run++)
  starts.push(await firstOutput('npm', ['start', '--silent', '--', '--for', '1s', '--http', '0'], ROOT));
const first = median(starts.map(({ firstSeconds }) => firstSeconds));
const address = median(starts.map(({ addressSeconds }) => addressSeconds));
say(`  npm start → FIRST OUTPUT        ${seconds(first)}   "${starts[0]!.firstLine}"`);
say(`  npm start → address of the page ${seconds(address)}   medians of ${starts.length}`);
const install = await measureInstall(ROOT);
const MB = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
say(
  `  INSTALLATION                    ${MB(install.bytes)}   ${install.packages} packages; the package itself ${MB(install.packageBytes)} packed`,
);
for (const { name, bytes } of install.largest) say(`    ${name.padEnd(34)} ${MB(bytes)}`);
tell({ firstSeconds: first, addressSeconds: address, install, starts });
