/**
 * `groundswell start`: a node of a region, or several under one parent, running until told to stop. Owns what a second start
 * on the same machine finds free where nothing was asked for: a data folder, a name and a port of its own.
 */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { holdPort, type HeldPort } from '../serve/http/port.js';
import type { Origin } from './config-origins.js';
import { createLogger } from './log.js';
import { RunningNode } from './running-node.js';
import { addStartOptions, loadStartConfig, type StartConfig } from './start-config.js';
import { untilSignal } from './stopping.js';

/** Nodes of one region on one machine that find their place by themselves, and ports that are tried for each. */
const SLOTS_MAX = 64;
const PORTS_MAX = 100;

type Origins = Readonly<Record<string, Origin>>;

export function startCommand(program: Command): void {
  addStartOptions(
    program
      .command('start')
      .description('run a node of a region until it is told to stop: events in, rows and live values out')
      .addHelpText(
        'after',
        '\nSIGTERM or Ctrl-C hands over, drains and ends; a second one ends at once. Start it once more, on any machine\n' +
          'with the same --nats, to add a node to the region.\n' +
          '\nExample:\n  groundswell start --region sf --data data/sf',
      ),
  ).action(async (flags: Record<string, unknown>) => {
    const { config, origins, warnings } = await loadStartConfig({
      flags,
      env: process.env,
      cwd: process.cwd(),
    });
    await start(config, origins, warnings);
    // All that was opened is closed. What still waits, a pace or a retry, waits for nothing: it must not hold the end up.
    process.exit();
  });
}

async function start(config: StartConfig, origins: Origins, warnings: readonly string[]): Promise<void> {
  const log = createLogger(config.log);
  const { region } = config;
  let named = log.logger.child({ region, node: config.name });
  // What is said before the node has its name, and by whoever ends it.
  const logger = forwarding(() => named);
  for (const warning of warnings) logger.warn({}, warning);
  const startedMs = systemClock.monotonic();
  try {
    await untilSignal(async () => {
      const held = await hold(config, origins, logger);
      try {
        const { node, name } = await openInSlot(config, origins, held, log.logger);
        named = log.logger.child({ region, node: name });
        tellReady(node, logger, systemClock.monotonic() - startedMs);
        return node;
      } catch (error) {
        await held.release();
        throw error;
      }
    }, logger);
  } finally {
    log.flush();
  }
}

function forwarding(to: () => Logger): Logger {
  return {
    debug: (fields, message) => {
      to().debug(fields, message);
    },
    info: (fields, message) => {
      to().info(fields, message);
    },
    warn: (fields, message) => {
      to().warn(fields, message);
    },
    error: (fields, message) => {
      to().error(fields, message);
    },
    child: (fields) => to().child(fields),
  };
}

function tellReady(node: RunningNode, logger: Logger, ms: number): void {
  const { node: here, config } = node.engine;
  const behindMs = here?.status().clockBehindMs ?? 0;
  if (behindMs > 0)
    logger.warn(
      { behindMs },
      'the clock of this machine is behind the last commit: live windows wait until it is past it',
    );
  const sameName = here?.members.find(
    ({ alive, self, name }) => alive && !self && name === here.members[0]?.name,
  );
  if (sameName !== undefined)
    logger.warn(
      { name: sameName.name, id: sameName.id },
      'another node of the region has the same name: commands that name one need its id',
    );
  logger.info(
    {
      http: node.url,
      nats: node.engine.nats(),
      partitions: config.partitions,
      ...(here === undefined ? {} : { entriesRecovered: here.stats.entriesRecovered }),
      seconds: Number((ms / 1000).toFixed(3)),
    },
    `ready: ${node.url}`,
  );
}

/** Holds the port for HTTP: the one that was asked for, or, when none was, the next free one. */
async function hold({ http }: StartConfig, origins: Origins, logger: Logger): Promise<HeldPort> {
  const mayMove = origins['http.port'] === 'default';
  const held = await holdPort({ ...http, machine: hostname(), furtherPorts: mayMove ? PORTS_MAX : 0 });
  if (mayMove && held.port !== http.port)
    logger.info(
      { port: held.port, inUse: http.port },
      'the port for HTTP is in use: the next free one is taken',
    );
  return held;
}

/**
 * Opens the node on the folder that was asked for, or, when none was and the server is elsewhere, on the first one that no
 * other process uses: `data/sf`, `data/sf-2`, … A name that was not asked for gets the same number.
 */
async function openInSlot(
  config: StartConfig,
  origins: Origins,
  held: HeldPort,
  root: Logger,
): Promise<{ node: RunningNode; name: string }> {
  const mayMove = origins['data'] === 'default' && config.nats.servers.length > 0;
  for (let slot = 1; ; slot++) {
    const { name, data } = slotted(config, origins, slot);
    const logger = root.child({ region: config.region, node: name });
    try {
      const node = await open({ ...config, name, data }, held, root, logger);
      if (slot > 1)
        logger.info(
          { data, inUse: config.data },
          'the data folder is in use by another process: this is a further node, on a folder of its own',
        );
      return { node, name };
    } catch (error) {
      const inUse = error instanceof GroundswellError && error.code === 'GS_DATA_LOCKED';
      if (!inUse || !mayMove || slot >= SLOTS_MAX) throw error;
    }
  }
}

function slotted(
  { name, data }: StartConfig,
  origins: Origins,
  slot: number,
): { name: string; data: string } {
  if (slot === 1) return { name, data };
  const ending = `-${slot}`;
  return {
    name: origins['name'] === 'default' ? `${name.slice(0, 64 - ending.length)}${ending}` : name,
    data: `${data}${ending}`,
  };
}

function open(config: StartConfig, held: HeldPort, root: Logger, logger: Logger): Promise<RunningNode> {
  const { servers, replicas, ...access } = config.nats;
  const { name, weight, standbys, workers } = config;
  return RunningNode.open({
    region: config.region,
    name,
    configFile: config.regionFile,
    dataDir: config.data,
    nats: servers.length === 0 ? undefined : { ...access, url: servers.join(',') },
    // The embedded server is one.
    ...(servers.length === 0 ? {} : { replicas }),
    shared: { name, weight, standbys, http: held.url },
    ...(workers === 1 ? {} : { workers: { count: workers, logLevel: config.log.level, logger: root } }),
    http: { host: config.http.host, port: held.port, release: () => held.release() },
    readyLagMax: config.readyLagMax,
    maxFileStoreBytes: config.embedded.maxStoreBytes,
    engineBytesMax: config.nats.maxBytes,
    bases: {
      everyMs: config.bases.every,
      journalBytesMax: config.bases.journals,
      keep: config.bases.keep,
    },
    retention: {
      aggregatesMs: config.aggregates.retentionMs,
      sidesMs: config.sides.retentionMs,
      outputsMs: config.outputs.retentionMs,
    },
    logger,
    onProgress: (line) => {
      logger.info({}, line);
    },
  });
}
