// Hunts: a server that dies and stays dead, one that comes back where its clients do not look for it, one that is started
// for ever though it cannot run, one that is left behind by a start that was under way.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/core/clock.js';
import { connectNats } from '../../src/log/nats/connect.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import type { ServerLine } from '../../src/log/nats/server/server-log.js';
import {
  superviseServer,
  type SupervisedServer,
  type SupervisedServerOptions,
} from '../../src/log/nats/server/supervised.js';
import { isAlive } from '../support/process.js';
import { until } from '../support/until.js';

let binary: string;
let dataDir: string;
const running: SupervisedServer[] = [];

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
}, 180_000);
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'gs-supervised-'));
});
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(more: Partial<SupervisedServerOptions> = {}): Promise<SupervisedServer> {
  const server = await superviseServer({ dataDir, binary, clock: systemClock, ...more });
  running.push(server);
  return server;
}

/** A program that is nats-server as long as the file `broken` is not there. */
function breakable(): string {
  const program = join(dataDir, 'breakable');
  const script = `#!/bin/sh\nif [ -e "${dataDir}/broken" ] && [ "$1" != --version ]; then echo "no room on the moon" >&2; exit 3; fi\nexec "${binary}" "$@"\n`;
  writeFileSync(program, script, { mode: 0o755 });
  return program;
}

describe('a supervised server', () => {
  it('comes back on the same port with the same passwords and streams when it is killed, and its clients with it', async () => {
    const restarts: string[] = [];
    const lines: ServerLine[] = [];
    const server = await start({ onRestart: (why) => restarts.push(why), onLog: (line) => lines.push(line) });
    const { url, password, producer, pid } = server;
    const heard: string[] = [];
    const { connection, jsm } = await connectNats(server, 'test', {
      lost: () => heard.push('lost'),
      restored: () => heard.push('restored'),
    });
    await jsm.streams.add({ name: 'GS_sf', subjects: ['gs.sf.p.>'] });
    await connection.request('gs.sf.p.000.in.ev', 'kept');

    process.kill(pid, 'SIGKILL');
    await until('the client is back', () => heard.includes('restored'));
    expect(restarts).toEqual(['ended by SIGKILL']);
    expect(heard).toEqual(['lost', 'restored']);
    expect(server.pid).not.toBe(pid);
    expect([server.url, server.password, server.producer]).toEqual([url, password, producer]);
    expect((await jsm.streams.info('GS_sf')).state.messages).toBe(1);
    await connection.close();
    const { user, password: secret, inboxPrefix } = producer;
    await (await connectNats({ url, user, password: secret, inboxPrefix }, 'test')).connection.close();
    await until('the log of the second run', () => lines.filter(isReady).length === 2);
    expect(lines.find(isReady)?.level).toBe('info');
    for (const { message } of lines)
      expect(message).not.toMatch(new RegExp(`${password}|${producer.password}`));
  });

  it('comes back every time, ended in order or not', async () => {
    const restarts: string[] = [];
    const server = await start({ onRestart: (why) => restarts.push(why) });
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
      const { pid } = server;
      process.kill(pid, signal);
      await until('another one runs', () => server.pid !== pid && isAlive(server.pid));
    }
    expect(restarts.length).toBe(3);
  });

  it('comes back when its watchdog was killed', async () => {
    const server = await start();
    const { pid } = server;
    const watchdog = Number(readFileSync(join(dataDir, 'nats/server.pid'), 'utf8').split(' ')[1]);
    process.kill(watchdog, 'SIGKILL');
    await until('another one runs', () => server.pid !== pid && isAlive(server.pid));
    expect(isAlive(pid)).toBe(false);
  });

  it('stays gone when it is stopped, and a start that was under way with it', async () => {
    const server = await start();
    const { pid } = server;
    process.kill(pid, 'SIGKILL');
    await until('it is gone', () => !isAlive(pid));
    await server.stop();
    expect(existsSync(join(dataDir, 'nats/server.pid'))).toBe(false);
    expect(isAlive(server.pid)).toBe(false);
  });

  it('is given up, with the end of its log, when it cannot be started again', async () => {
    const server = await start({ binary: breakable(), patience: { starts: 3, ms: 0 } });
    writeFileSync(join(dataDir, 'broken'), '');
    process.kill(server.pid, 'SIGKILL');
    await expect(server.failed).rejects.toMatchObject({
      code: 'GS_NATS_START',
      message: expect.stringMatching(/SIGKILL[^]*3 times[^]*no room on the moon/) as string,
    });
    expect(existsSync(join(dataDir, 'nats/server.pid'))).toBe(false);
  });

  it('is not given up when it can be started again in the end', async () => {
    const restarts: string[] = [];
    const server = await start({ binary: breakable(), onRestart: (why) => restarts.push(why) });
    const { pid, logFile } = server;
    writeFileSync(join(dataDir, 'broken'), '');
    process.kill(pid, 'SIGKILL');
    await until('it failed once', () => {
      try {
        return readFileSync(logFile, 'utf8').includes('no room on the moon');
      } catch {
        return false;
      }
    });
    rmSync(join(dataDir, 'broken'));
    await until('another one runs', () => restarts.length === 1);
    const { connection } = await connectNats(server, 'test');
    await connection.close();
  });

  it('goes when its process is killed with -9, the second one too', async () => {
    const module = (path: string) => JSON.stringify(pathToFileURL(resolve(path)).href);
    const script = `
      import { systemClock } from ${module('src/core/clock.ts')};
      import { superviseServer } from ${module('src/log/nats/server/supervised.ts')};
      const server = await superviseServer({
        dataDir: ${JSON.stringify(dataDir)}, binary: ${JSON.stringify(binary)}, clock: systemClock,
        onRestart: () => console.log('again', server.pid),
      });
      console.log('first', server.pid);
      process.kill(server.pid, 'SIGKILL');
    `;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      let output = '';
      parent.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      await until('its second server', () => /again \d+/.test(output));
      const second = Number(/again (\d+)/.exec(output)![1]);
      expect(isAlive(second)).toBe(true);
      parent.kill('SIGKILL');
      await until('the server is gone', () => !isAlive(second));
    } finally {
      parent.kill('SIGKILL');
    }
  });
});

const isReady = ({ message }: ServerLine): boolean => message.includes('Server is ready');
