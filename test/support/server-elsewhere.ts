/** Another groundswell: a process of its own that starts an embedded server on a folder, and stays until it is killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { EmbeddedServer, EmbeddedServerOptions } from '../../src/log/nats/server/embedded.js';
import { until } from './until.js';

export interface ServerElsewhere {
  readonly parent: ChildProcess;
  /** Pids of what it has started. */
  readonly watchdog: number;
  readonly server: number;
  readonly staging: EmbeddedServer['staging'];
}

/**
 * Resolves when the server answers.
 * @param started gets the process at once, so that it is killed whatever comes of it
 */
export async function startElsewhere(
  options: Pick<EmbeddedServerOptions, 'dataDir' | 'binary' | 'stagingMemory'>,
  started: (parent: ChildProcess) => void,
): Promise<ServerElsewhere> {
  const module = (path: string): string => JSON.stringify(pathToFileURL(resolve(path)).href);
  const script = `
    import { systemClock } from ${module('src/core/clock.ts')};
    import { startEmbeddedServer } from ${module('src/log/nats/server/embedded.ts')};
    const { staging } = await startEmbeddedServer({ ...${JSON.stringify(options)}, clock: systemClock });
    console.log(JSON.stringify(staging));
  `;
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started(parent);
  let output = '';
  parent.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await until('the other process has its server', () => output.endsWith('\n'));
  const pids = readFileSync(join(options.dataDir, 'nats/server.pid'), 'utf8').trim().split(' ').map(Number);
  return {
    parent,
    watchdog: pids[1]!,
    server: pids[2]!,
    staging: JSON.parse(output) as EmbeddedServer['staging'],
  };
}
