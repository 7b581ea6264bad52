/** The nats-server of an engine's own, under its data folder. */
import { systemClock } from '../core/clock.js';
import { silent } from '../core/logger.js';
import { locateNatsServer } from '../log/nats/server/locate.js';
import { superviseServer, type SupervisedServer } from '../log/nats/server/supervised.js';
import type { EngineOptions } from './engine-options.js';
import type { Opened } from './opened.js';

export async function startServer(
  dataDir: string,
  options: EngineOptions,
  opened: Opened,
  fail: (error: unknown) => void,
): Promise<SupervisedServer> {
  const { logger = silent, maxFileStoreBytes, onProgress } = options;
  const { path, version } = await locateNatsServer({ onProgress });
  const lines = logger.child({ from: 'nats-server' });
  const server = await superviseServer({
    dataDir,
    binary: path,
    version,
    clock: systemClock,
    ...(maxFileStoreBytes === undefined ? {} : { maxFileStoreBytes }),
    onLog: ({ level, message }) => {
      // What it says of itself at each start is for who asks; its password is new at each start, in a file of ours alone.
      const expected = level === 'info' || message.startsWith('Plaintext passwords');
      lines[expected ? 'debug' : level]({}, message);
    },
    onRestart: (why) => {
      logger.warn({ why }, 'the embedded nats-server had ended and was started again');
    },
  });
  opened.add('nats-server, which ends', () => server.stop());
  server.failed.catch(fail);
  const { staging } = server;
  if (staging.kind === 'memory') logger.debug(staging, 'batches that are not whole are in memory');
  else logger.info(staging, 'batches that are not whole are on the disk: what they hold is readable later');
  if (options.publishRows) onProgress(`rows are published at ${server.url} (no user needed to subscribe)`);
  return server;
}
