/** `groundswell replay`: events from a file through the engine; the rows into a file. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { Option, type Command } from 'commander';
import { loadMapping } from '../ingest/mapping.js';
import { openSource } from '../ingest/source.js';
import { natsTarget, speed, wholeNumber } from './command.js';
import { openEngine } from './engine.js';
import { ProgressBar, colors, count, note, say, table } from './screen.js';
import { runReplay, type ReplaySummary } from './replay-run.js';
import { RowFile } from './row-file.js';
import { stoppable } from './stopping.js';

interface Options {
  region: string;
  mapping?: string;
  out?: string;
  speed: number;
  data?: string;
  partitions?: number;
  nats?: string;
  config?: string;
  publish: boolean;
  json: boolean;
}

/** Of a region that nobody shares, and that is gone afterwards: few cost less, and no row depends on how many there are (P7). */
const ALONE_PARTITIONS = 2;

export function replayCommand(program: Command): void {
  program
    .command('replay')
    .description('send the events of a CSV or NDJSON file (also .gz) through the engine and write the rows')
    .argument('<file>', 'events, sorted by time within the region’s out-of-order bound')
    .requiredOption('--region <name>', 'region: a file in config/regions')
    .option('--mapping <file>', 'how columns become events (config/sources); not needed for .ndjson')
    .option('--out <file>', 'rows as NDJSON')
    .addOption(
      new Option('--speed <factor>', 'max, 10x, 1x: event time against wall time')
        .argParser(speed)
        .default(Number.POSITIVE_INFINITY, 'max'),
    )
    .option('--data <dir>', 'data folder: an interrupted replay goes on there (default: a temporary one)')
    .option(
      '--partitions <n>',
      `default: the region’s, or ${ALONE_PARTITIONS} with a temporary data folder`,
      wholeNumber(1, 256),
    )
    .option('--nats <url>', 'only produce and read rows; nodes elsewhere do the work (also NATS_URL)')
    .option('--config <file>', 'region file instead of config/regions/<region>.yaml')
    .option('--publish', 'also publish each row on its aggregate subject, as a live node does', false)
    .option('--json', 'the last line is the summary as JSON', false)
    .addHelpText(
      'after',
      '\nExample:\n  groundswell replay pings.csv.gz --region sf --mapping config/sources/cabspotting.yaml --out rows.ndjson',
    )
    .action(async (file: string, options: Options) => {
      await replay(file, options);
    });
}

async function replay(file: string, options: Options): Promise<void> {
  const mapping = options.mapping === undefined ? undefined : await loadMapping(options.mapping);
  const source = await openSource(mapping === undefined ? { file } : { file, mapping });
  const bar = new ProgressBar(options.json);
  let rowFile: RowFile | undefined;
  try {
    const producerId = await nameOf(file, mapping?.name ?? 'identity');
    rowFile = options.out === undefined ? undefined : await RowFile.create(options.out);
    const nats = natsTarget(options.nats);
    const isAlone = nats === undefined && options.data === undefined;
    const summary = await stoppable(
      () =>
        openEngine({
          region: options.region,
          configFile: options.config,
          partitions: options.partitions ?? (isAlone ? ALONE_PARTITIONS : undefined),
          dataDir: options.data,
          nats,
          node: nats === undefined,
          live: false,
          publishRows: options.publish,
          onProgress: note,
        }),
      async (engine) => {
        bar.start();
        return runReplay({
          engine,
          feed: {
            batches: source,
            fraction: () =>
              source.bytesTotal === undefined ? undefined : source.bytesRead / source.bytesTotal,
          },
          producerId,
          speed: options.speed,
          onRows: async (blocks, afterMs) => rowFile?.write(blocks, afterMs),
          onProgress: (progress) => {
            bar.update(progress);
          },
          onWait: (message) => {
            note(`${message} The replay waits.`);
          },
        });
      },
    );
    await rowFile?.finish();
    bar.stop();
    if (options.json) say(JSON.stringify({ ...summary, out: options.out ?? null }));
    else printSummary(file, summary, options.out);
  } catch (error) {
    bar.stop();
    await rowFile?.discard();
    await source.close();
    throw error;
  }
}

/** Bytes at a file's beginning that name it. */
const HEAD_BYTES = 64 * 1024;

/**
 * A name for this file read this way, from its beginning: a second run goes on under it, also when the file was cut off
 * and has been repaired since.
 */
async function nameOf(file: string, mapping: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const hash = createHash('sha256').update(mapping).update(buffer.subarray(0, bytesRead));
    return `replay:${basename(file)}:${hash.digest('hex').slice(0, 16)}`;
  } finally {
    await handle.close();
  }
}

export function printSummary(what: string, summary: ReplaySummary, out: string | undefined): void {
  const {
    events,
    accepted,
    rejected,
    late,
    impossible,
    duplicates,
    rows,
    resumed,
    seconds,
    eventsPerSecond,
  } = summary;
  say(
    `${colors.bold(what)}: ${count(events)} events in ${seconds} s, ${colors.bold(count(eventsPerSecond))} events/s`,
  );
  const facts: (string | number)[][] = [['  accepted', accepted]];
  for (const [reason, n] of Object.entries(rejected)) facts.push([`  refused: ${reason}`, n]);
  if (late > 0) facts.push(['  late', late]);
  if (impossible > 0) facts.push(['  impossible transitions', impossible]);
  if (duplicates > 0) facts.push(['  duplicates', duplicates]);
  if (resumed > 0) facts.push(['  sent by an earlier run', resumed]);
  for (const sample of summary.refusals) facts.push([`    ${sample}`]);
  for (const [level, n] of Object.entries(rows)) facts.push([`  rows: ${level}`, n]);
  for (const line of table(facts)) say(line);
  if (out !== undefined) say(`  rows are in ${colors.bold(out)}`);
}
