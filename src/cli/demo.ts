/** `groundswell demo`: a node with a simulated city in it, live, and what one sees of it: a page, the terminal, or JSON lines. */
import { Option, type Command } from 'commander';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { Producer } from '../ingest/producer.js';
import { cityOptions } from './city-options.js';
import { duration, speed, wholeNumber } from './command.js';
import { DemoCity } from './demo-city.js';
import { DemoPicture } from './demo-picture.js';
import { ending } from './ending.js';
import { EventFile } from './event-file.js';
import { LiveScreen } from './live-screen.js';
import { createLogger } from './log.js';
import { printSummary } from './replay.js';
import { runReplay, type ReplaySummary } from './replay-run.js';
import { RowFile } from './row-file.js';
import { RunningNode } from './running-node.js';
import { count, note, say } from './screen.js';

interface Options {
  region: string;
  drivers: number;
  requestsPerMinute: number;
  for?: number;
  warmUp: number;
  speed: number;
  seed: number;
  http?: number;
  out?: string;
  events?: string;
  json: boolean;
}

const HTTP_PORT = 7_380;
/** A city that runs faster than the clock begins so long ago. */
const PAST_MS = 7 * 86_400_000;
const FOREVER_MS = 10 * 365 * 86_400_000;
const TELL_EVERY_MS = 1_000;
const PAINT_EVERY_MS = 250;

export function demoCommand(program: Command): void {
  program
    .command('demo')
    .description('run a node with a simulated city, live: in the terminal and on a page')
    .option('--region <name>', 'region: a file in config/regions', 'sf')
    .option('--drivers <n>', 'drivers there are', wholeNumber(1, 1_000_000), 2_000)
    .option('--requests-per-minute <n>', 'mean over a day', wholeNumber(0, 1_000_000), 120)
    .option('--for <duration>', 'end by itself, with every window final (default: until Ctrl-C)', duration)
    .option('--warm-up <duration>', 'how much of the city’s past is sent at the start', duration, 900_000)
    .addOption(
      new Option('--speed <factor>', '1x, 60x, max: event time against wall time')
        .argParser(speed)
        .default(1, '1x'),
    )
    .option('--seed <n>', 'the city', wholeNumber(0, 0xffff_ffff), 1)
    .option(
      '--http <port>',
      'port of the page and the API (default: 7380, or any if that is in use)',
      wholeNumber(0, 65_535),
    )
    .option('--out <file>', 'rows as NDJSON')
    .option('--events <file>', 'the events that were sent, as NDJSON')
    .option('--json', 'a line each second, and a summary at the end, as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell demo --drivers 5000 --for 2m')
    .action(demo);
}

async function demo(options: Options): Promise<void> {
  const screen = new LiveScreen();
  const log = createLogger({
    level: 'warn',
    format: 'auto',
    ...(screen.active
      ? {
          stream: {
            write: (line: string) => {
              screen.print(line.trimEnd());
            },
          },
        }
      : {}),
  });
  const rows = options.out === undefined ? undefined : await RowFile.create(options.out);
  const events = options.events === undefined ? undefined : await EventFile.create(options.events);
  try {
    const node = await open(options, log.logger);
    let shown: Shown;
    try {
      shown = await show(node, options, screen, rows, events);
    } catch (error) {
      await node.close().catch(() => undefined);
      throw error;
    }
    screen.close();
    await node.close();
    await rows?.finish();
    await events?.finish();
    tell(shown, options);
  } catch (error) {
    screen.close();
    await rows?.discard();
    throw error;
  } finally {
    log.flush();
  }
}

/** What there is to say at the end: all of it when it ended by itself, and how far it came when somebody ended it. */
type Shown = { readonly summary: ReplaySummary } | { readonly events: number };

function tell(shown: Shown, { json, region, drivers, out, events: eventsFile }: Options): void {
  if ('summary' in shown) {
    if (json) say(JSON.stringify({ type: 'summary', ...shown.summary, out, eventsFile }));
    else printSummary(`A simulated city in ${region}, ${drivers} drivers`, shown.summary, out);
    return;
  }
  if (json) say(JSON.stringify({ type: 'summary', events: shown.events, ended: 'early', out, eventsFile }));
  else say(`ended after ${count(shown.events)} events; nothing is left behind`);
  if (!json && out !== undefined)
    note(`${out} has the rows up to then: windows that were open are not in it`);
}

async function open(options: Options, logger: Logger): Promise<RunningNode> {
  const startOn = (port: number): Promise<RunningNode> =>
    RunningNode.open({
      region: options.region,
      name: 'demo',
      http: { host: '127.0.0.1', port },
      readyLagMax: 1_000,
      ends: true,
      logger,
      onProgress: note,
      beforeIntake: ({ log, subjects, registry, config }) => {
        // The city is known before anybody else is heard: its past must not be late.
        const city = cityTime(options);
        const { outOfOrderBoundMs } = config;
        const hello = new Producer({
          log,
          subjects,
          routes: registry.routes,
          clock: systemClock,
          partitions: config.partitions,
          id: producerId(options),
          mode: city.mode,
          outOfOrderBoundMs,
          frameEvents: config.limits.frameEvents,
        });
        return hello.advanceTo(systemClock.now() - city.pastMs - 2 * outOfOrderBoundMs - 60_000);
      },
    });
  if (options.http !== undefined) return startOn(options.http);
  try {
    return await startOn(HTTP_PORT);
  } catch (error) {
    if (!(error instanceof GroundswellError) || error.code !== 'GS_HTTP_PORT') throw error;
    return startOn(0);
  }
}

const producerId = ({ seed }: Options): string => `demo:${seed}`;

/** A city in live time has its past behind it; a faster one begins long ago and catches up. */
function cityTime(options: Options): { mode: 'live' | 'replay'; pastMs: number } {
  return options.speed === 1
    ? { mode: 'live', pastMs: options.warmUp }
    : { mode: 'replay', pastMs: PAST_MS + options.warmUp };
}

async function show(
  node: RunningNode,
  options: Options,
  screen: LiveScreen,
  rows: RowFile | undefined,
  events: EventFile | undefined,
): Promise<Shown> {
  const { mode, pastMs } = cityTime(options);
  const startMs = Math.floor((systemClock.now() - pastMs) / 1_000) * 1_000;
  const city = cityOptions(node.engine.config, {
    seed: options.seed,
    drivers: options.drivers,
    requestsPerMinute: options.requestsPerMinute,
    start: new Date(startMs).toISOString(),
    durationMs: FOREVER_MS,
  });
  const feed = new DemoCity(city, {
    warmUpMs: options.warmUp,
    speed: options.speed,
    clock: systemClock,
    ...(events === undefined ? {} : { onEvents: (sent) => events.write(sent) }),
  });
  const picture = new DemoPicture(node);
  if (!options.json && !screen.active) note(`the page is at ${node.url}`);
  const everyMs = options.json ? TELL_EVERY_MS : PAINT_EVERY_MS;
  let telling = systemClock.after(everyMs, tell);
  function tell(): void {
    const now = picture.now();
    if (options.json) say(JSON.stringify({ type: 'status', ...picture.facts(now) }));
    else screen.update(now);
    telling = systemClock.after(everyMs, tell);
  }
  const cancelEnd =
    options.for === undefined
      ? () => undefined
      : systemClock.after(options.for, () => {
          feed.stop();
        });
  const asked = ending();
  const told = new Promise<Shown>((resolve) => {
    asked.signal.addEventListener('abort', () => {
      feed.stop();
      resolve({ events: picture.events });
    });
  });
  try {
    const run = runReplay({
      engine: node.engine,
      feed,
      producerId: producerId(options),
      mode,
      speed: Number.POSITIVE_INFINITY,
      onRows: async (blocks, afterMs) => {
        await rows?.write(blocks, afterMs);
      },
      onProgress: (progress) => {
        picture.sent(progress.events);
      },
      beforeClosing: () => node.stopIntake(),
    }).then((summary): Shown => ({ summary }));
    // Broken off by a signal, it ends with the engine.
    run.catch(() => undefined);
    return await Promise.race([run, told, node.failed]);
  } finally {
    asked.release();
    telling();
    cancelEnd();
  }
}
