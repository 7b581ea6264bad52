/** `groundswell simulate`: a seeded city as NDJSON events, to be replayed or looked at. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { GroundswellError, messageOf } from '../core/errors.js';
import { loadRegion } from '../ingest/region.js';
import { simulateCity } from '../ingest/simulator/simulator.js';
import { duration, wholeNumber } from './command.js';
import { CONFIG_FOLDER } from './package-root.js';
import { cityOptions } from './city-options.js';
import { count, note, say } from './screen.js';

interface Options {
  region: string;
  drivers: number;
  requestsPerMinute: number;
  for: number;
  seed: number;
  start: string;
  out?: string;
  json: boolean;
}

export function simulateCommand(program: Command): void {
  program
    .command('simulate')
    .description('make the events of a seeded city: the same options give the same bytes')
    .requiredOption('--region <name>', 'region: a file in config/regions')
    .option('--drivers <n>', 'drivers there are', wholeNumber(1, 1_000_000), 2_000)
    .option('--requests-per-minute <n>', 'mean over a day', wholeNumber(0, 1_000_000), 120)
    .option('--for <duration>', 'event time to simulate', duration, 3_600_000)
    .option('--seed <n>', 'the city', wholeNumber(0, 0xffff_ffff), 1)
    .option('--start <time>', 'first moment, ISO 8601', '2026-03-02T16:00:00Z')
    .option('--out <file>', 'NDJSON; without it, to standard output')
    .option('--json', 'the last line on standard error is a summary as JSON', false)
    .addHelpText(
      'after',
      '\nExample:\n  groundswell simulate --region sf --drivers 2000 --requests-per-minute 120 --for 2h --seed 1 --out events.ndjson',
    )
    .action(simulate);
}

async function simulate(options: Options): Promise<void> {
  const region = await loadRegion({ name: options.region, dir: join(CONFIG_FOLDER, 'regions') });
  const city = cityOptions(region, {
    seed: options.seed,
    drivers: options.drivers,
    requestsPerMinute: options.requestsPerMinute,
    start: options.start,
    durationMs: options.for,
  });
  let events = 0;
  function* lines(): Generator<string> {
    for (const second of simulateCity(city)) {
      if (second.length === 0) continue;
      events += second.length;
      yield second.map((event) => `${JSON.stringify(event)}\n`).join('');
    }
  }
  const { out } = options;
  if (out === undefined) {
    await pipeline(Readable.from(lines()), process.stdout, { end: false }).catch((error: unknown) => {
      // The reader of the pipe has seen enough.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    });
  } else {
    const partial = `${out}.partial`;
    try {
      await pipeline(Readable.from(lines()), createWriteStream(partial));
      await rename(partial, out);
    } catch (error) {
      await rm(partial, { force: true });
      throw new GroundswellError('GS_OUTPUT', `${out} cannot be written: ${messageOf(error)}.`, {
        cause: error,
      });
    }
  }
  if (options.json) process.stderr.write(`${JSON.stringify({ events, out: out ?? null })}\n`);
  else if (out === undefined) note(`${count(events)} events`);
  else say(`${count(events)} events are in ${out}`);
}
