/** `groundswell demo`: an hour of a simulated city through the engine at full speed, and what came out of it. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import type { Row } from '../actor/row.js';
import type { SourceBatch } from '../ingest/source.js';
import { simulateCity, type CityOptions } from '../ingest/simulator/simulator.js';
import { rowsOf } from '../partition/row-block.js';
import { cityOptions } from './city-options.js';
import { duration, wholeNumber } from './command.js';
import { openEngine } from './engine.js';
import type { Feed } from './feed.js';
import { printSummary } from './replay.js';
import { runReplay } from './replay-run.js';
import { RowFile } from './row-file.js';
import { colors, note, ProgressBar, say, table } from './screen.js';
import { stoppable } from './stopping.js';

interface Options {
  region: string;
  drivers: number;
  requestsPerMinute: number;
  for: number;
  seed: number;
  out: string;
  json: boolean;
}

const START = '2026-03-02T16:00:00Z';
const TOP = 10;

export function demoCommand(program: Command): void {
  program
    .command('demo')
    .description('send a simulated hour of a city through the engine at full speed and show the result')
    .option('--region <name>', 'region: a file in config/regions', 'sf')
    .option('--drivers <n>', 'drivers there are', wholeNumber(1, 1_000_000), 2_000)
    .option('--requests-per-minute <n>', 'mean over a day', wholeNumber(0, 1_000_000), 120)
    .option('--for <duration>', 'event time to simulate', duration, 3_600_000)
    .option('--seed <n>', 'the city', wholeNumber(0, 0xffff_ffff), 1)
    .option('--out <file>', 'rows as NDJSON', 'data/demo-rows.ndjson')
    .option('--json', 'the last line is the summary as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell demo --drivers 5000 --for 30m')
    .action(demo);
}

async function demo(options: Options): Promise<void> {
  await mkdir(dirname(options.out), { recursive: true }).catch(() => undefined);
  const bar = new ProgressBar(options.json);
  const rows = await RowFile.create(options.out);
  try {
    const engine = await openEngine({ region: options.region, publishRows: false, onProgress: note });
    const city = cityOptions(engine.config, { ...options, start: START, durationMs: options.for });
    const surging = new Surging();
    const summary = await stoppable(
      () => engine.close(),
      () => {
        bar.start();
        return runReplay({
          engine,
          feed: cityFeed(city),
          producerId: `demo:${options.seed}`,
          speed: Number.POSITIVE_INFINITY,
          onRows: async (blocks, afterMs) => {
            surging.see(rowsOf(blocks.filter(([, , , , , model]) => model !== null)));
            await rows.write(blocks, afterMs);
          },
          onProgress: (progress) => {
            bar.update(progress);
          },
        });
      },
    );
    await rows.finish();
    bar.stop();
    if (options.json) {
      say(JSON.stringify({ ...summary, surging: surging.top(TOP), out: options.out }));
      return;
    }
    printSummary(
      `A simulated city in ${engine.config.name}, ${options.drivers} drivers`,
      summary,
      options.out,
    );
    say('');
    say(colors.bold('  Top surging cells (one minute each)'));
    const lines = table([
      ['  cell', 'minute (UTC)', 'multiplier', 'score', 'requests', 'open drivers at its end'],
      ...surging
        .top(TOP)
        .map(({ cell, start, multiplier, raw, requests, open }) => [
          `  ${cell}`,
          new Date(start).toISOString().slice(0, 16),
          `× ${multiplier.toFixed(1)}`,
          raw.toFixed(2),
          requests,
          open,
        ]),
    ]);
    for (const line of lines) say(line);
  } catch (error) {
    bar.stop();
    await rows.discard();
    throw error;
  }
}

function cityFeed(city: CityOptions): Feed {
  let doneMs = 0;
  function* batches(): Generator<SourceBatch> {
    let line = 0;
    for (const second of simulateCity(city)) {
      doneMs += 1_000;
      yield { raws: second, lines: second.map(() => ++line), malformed: [] };
    }
  }
  return { batches: batches(), fraction: () => Math.min(1, doneMs / city.durationMs) };
}

interface SurgingMinute {
  readonly cell: string;
  readonly start: number;
  readonly multiplier: number;
  readonly raw: number;
  readonly requests: number;
  readonly open: number;
}

/** The highest minute of each cell. */
class Surging {
  readonly #best = new Map<string, SurgingMinute>();

  see(rows: readonly Row[]): void {
    for (const { key, start, surge, features } of rows) {
      if (surge === undefined || surge.raw <= (this.#best.get(key)?.raw ?? 0)) continue;
      this.#best.set(key, {
        cell: key,
        start,
        multiplier: surge.multiplier,
        raw: surge.raw,
        requests: features['requests'] ?? 0,
        open: features['open_end'] ?? 0,
      });
    }
  }

  top(n: number): SurgingMinute[] {
    return [...this.#best.values()].sort((a, b) => b.raw - a.raw || (a.cell < b.cell ? -1 : 1)).slice(0, n);
  }
}
