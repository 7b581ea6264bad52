/** `groundswell replay`: events from a file through the engine; the rows into a file. */
import { Option, type Command } from 'commander';
import { sleep, systemClock } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import type { NatsTarget } from '../log/nats/connect.js';
import { natsTarget, speed, wholeNumber } from './command.js';
import type { Engine } from './engine.js';
import { bothEnded, failureSignal, openTogether } from './opened.js';
import { ReplayThread } from './replay-thread.js';
import type { ReplaySummary } from './replay-run.js';
import { ProgressBar, colors, count, note, say, table } from './screen.js';
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
/** How long a node may take to commit the last word. */
const TAKEN_WITHIN_MS = 5_000;
const TAKEN_POLL_MS = 5;

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
  const { json, out } = options;
  const bar = new ProgressBar(json);
  const summary = await stoppable(
    () => openReplay(file, options, bar),
    ({ replayed, failed }) => Promise.race([replayed, failed]),
  ).finally(() => {
    bar.stop();
  });
  if (json) say(JSON.stringify({ ...summary, out: out ?? null }));
  else printSummary(file, summary, out);
}

interface OpenReplay {
  /** Resolves when every window is final, the rows are in their file, and a data folder that is kept has its last word. */
  readonly replayed: Promise<ReplaySummary>;
  /** Rejects when the engine fails that was opened for it; never resolves. */
  readonly failed: Promise<never>;
  close(): Promise<unknown>;
}

/** The replay, and a region for it unless it is elsewhere: events are on their way to that before its node works. */
async function openReplay(file: string, options: Options, bar: ProgressBar): Promise<OpenReplay> {
  const { region, mapping, out, speed, config: configFile, data: dataDir, publish: publishRows } = options;
  const elsewhere = natsTarget(options.nats);
  const isAlone = elsewhere === undefined && dataDir === undefined;
  const partitions = options.partitions ?? (isAlone ? ALONE_PARTITIONS : undefined);
  const common = { region, configFile, partitions };
  let onRegion: (nats: NatsTarget) => void = () => undefined;
  const ready = new Promise<NatsTarget>((resolve) => {
    onRegion = resolve;
    if (elsewhere !== undefined) resolve(elsewhere);
  });
  const openOwn = async (): Promise<Engine> => {
    const { openEngine } = await import('./engine.js');
    const what = { node: true, live: false, publishRows };
    return openEngine({ ...common, ...what, dataDir, onRegion, onProgress: note });
  };
  const opening = ReplayThread.open({ ...common, file, mapping, out, speed });
  const both = openTogether(opening, elsewhere === undefined ? openOwn() : Promise.resolve(undefined));
  const run = async (): Promise<ReplaySummary> => {
    const [thread, nats] = await Promise.all([opening, ready]);
    bar.start();
    const summary = await thread.run(nats, {
      onProgress: (progress) => {
        bar.update(progress);
      },
      onNote: note,
    });
    const [, engine] = await both;
    if (engine !== undefined && dataDir !== undefined) await lastWordTaken(engine);
    return summary;
  };
  const replayed = run();
  // Who awaits it sees the failure; whoever is ended before that sees another one.
  replayed.catch(() => undefined);
  const [thread, engine] = await both;
  return {
    replayed,
    failed: engine?.failed ?? failureSignal().failed,
    close: () => bothEnded(thread.close(), engine?.close() ?? Promise.resolve()),
  };
}

/**
 * Waits until the node has committed what is in the stream, the last word of the replay too: who comes to the data folder next finds one
 * that has ended. Where that cannot be seen in time it is said: the rows are whole, and the node's next start takes what is left.
 */
async function lastWordTaken({ node, log, subjects, config }: Engine): Promise<void> {
  const deadlineMs = systemClock.monotonic() + TAKEN_WITHIN_MS;
  try {
    for (let partition = 0; partition < config.partitions; partition++) {
      const { seq = 0 } = (await log.last(subjects.events(partition))) ?? {};
      const isTaken = (): boolean =>
        node!.status().partitions.every((one) => one.partition !== partition || one.inputSeq >= seq);
      while (!isTaken()) {
        if (systemClock.monotonic() >= deadlineMs) throw new Error(`partition ${partition} is behind`);
        await sleep(systemClock, TAKEN_POLL_MS);
      }
    }
  } catch (error) {
    note(`The last word of the replay is in the stream, and not known to be committed: ${messageOf(error)}.`);
  }
}

export function printSummary(what: string, summary: ReplaySummary, out: string | undefined): void {
  const {
    events,
    accepted,
    rejected,
    late,
    impossible,
    dead,
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
  for (const [reason, n] of Object.entries(dead)) facts.push([`  dead letters: ${reason}`, n]);
  if (duplicates > 0) facts.push(['  duplicates', duplicates]);
  if (resumed > 0) facts.push(['  sent by an earlier run', resumed]);
  for (const sample of summary.refusals) facts.push([`    ${sample}`]);
  for (const [level, n] of Object.entries(rows)) facts.push([`  rows: ${level}`, n]);
  for (const line of table(facts)) say(line);
  if (out !== undefined) say(`  rows are in ${colors.bold(out)}`);
}
