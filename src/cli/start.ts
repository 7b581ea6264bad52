/** `groundswell start`: a node of a region, running until it is told to stop. */
import type { Command } from 'commander';
import { systemClock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import { createLogger } from './log.js';
import { RunningNode } from './running-node.js';
import { addStartOptions, loadStartConfig, type StartConfig } from './start-config.js';
import { untilSignal } from './stopping.js';

export function startCommand(program: Command): void {
  addStartOptions(
    program
      .command('start')
      .description('run a node of a region until it is told to stop: events in, rows and live values out')
      .addHelpText(
        'after',
        '\nSIGTERM or Ctrl-C drains and ends; a second one ends at once.\n' +
          '\nExample:\n  groundswell start --region sf --data data/sf',
      ),
  ).action(async (flags: Record<string, unknown>) => {
    const { config, warnings } = await loadStartConfig({ flags, env: process.env, cwd: process.cwd() });
    await start(config, warnings);
  });
}

async function start(config: StartConfig, warnings: readonly string[]): Promise<void> {
  const { region, name } = config;
  const log = createLogger(config.log);
  const logger = log.logger.child({ region, node: name });
  for (const warning of warnings) logger.warn({}, warning);
  const startedMs = systemClock.monotonic();
  try {
    await untilSignal(async () => {
      const node = await open(config, logger);
      const { node: engineNode, config: regionConfig } = node.engine;
      const behindMs = engineNode!.status().clockBehindMs;
      if (behindMs > 0)
        logger.warn(
          { behindMs },
          'the clock of this machine is behind the last commit: live windows wait until it is past it',
        );
      logger.info(
        {
          http: node.url,
          nats: node.engine.nats(),
          partitions: regionConfig.partitions,
          entriesRecovered: engineNode!.stats.entriesRecovered,
          seconds: Number(((systemClock.monotonic() - startedMs) / 1000).toFixed(3)),
        },
        `ready: ${node.url}`,
      );
      return node;
    }, logger);
  } finally {
    log.flush();
  }
}

function open(config: StartConfig, logger: Logger): Promise<RunningNode> {
  const { servers, replicas, ...access } = config.nats;
  return RunningNode.open({
    region: config.region,
    name: config.name,
    configFile: config.regionFile,
    dataDir: config.data,
    nats: servers.length === 0 ? undefined : { ...access, url: servers.join(',') },
    // The embedded server is one.
    ...(servers.length === 0 ? {} : { replicas }),
    http: config.http,
    readyLagMax: config.readyLagMax,
    maxFileStoreBytes: config.embedded.maxStoreBytes,
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
