/** A Restate server of the bench's own: a process on a temporary folder and free ports, and the few calls the bench makes. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const READY_MS = 60_000;
const LINES_SHOWN = 15;

export class RestateServer {
  readonly #admin: string;
  /** URL where calls are taken. */
  readonly ingress: string;
  readonly #end: () => Promise<void>;

  private constructor(admin: string, ingress: string, end: () => Promise<void>) {
    this.#admin = admin;
    this.ingress = ingress;
    this.#end = end;
  }

  static async start(program: string): Promise<RestateServer> {
    const folder = await mkdtemp(join(tmpdir(), 'groundswell-restate-'));
    const args = ['--base-dir', folder, '--use-random-ports=true', '--no-logo', '--bind-ip', '127.0.0.1'];
    const child = spawn(
      program,
      [...args, '--listen-mode', 'tcp', '--log-format', 'compact', '--log-disable-ansi-codes', 'true'],
      {
        env: { ...process.env, DO_NOT_TRACK: '1', RESTATE_DISABLE_TELEMETRY: 'true' },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let log = '';
    const ended = new Promise<void>((resolve) => {
      child.on('close', () => {
        resolve();
      });
    });
    const kill = (): void => {
      child.kill('SIGKILL');
    };
    process.on('exit', kill);
    const end = async (): Promise<void> => {
      kill();
      process.off('exit', kill);
      await ended;
      await rm(folder, { recursive: true, force: true });
    };
    try {
      const [ingress, admin] = await new Promise<[string, string]>((resolve, reject) => {
        const fail = (why: string): void => {
          reject(new Error(`restate-server ${why}:\n${log.split('\n').slice(-LINES_SHOWN).join('\n')}`));
        };
        const timer = setTimeout(() => {
          fail(`did not answer within ${READY_MS / 1000} s`);
        }, READY_MS);
        const hear = (chunk: Buffer): void => {
          log += chunk.toString();
          const ingress = portOf(log, 'http-ingress-server');
          const admin = portOf(log, 'admin-api-server');
          if (ingress === undefined || admin === undefined) return;
          clearTimeout(timer);
          // Kept short from here on: nobody reads it.
          child.stdout.off('data', hear).resume();
          child.stderr.off('data', hear).resume();
          resolve([`http://127.0.0.1:${ingress}`, `http://127.0.0.1:${admin}`]);
        };
        child.stdout.on('data', hear);
        child.stderr.on('data', hear);
        child.on('error', reject);
        child.on('close', () => {
          clearTimeout(timer);
          fail('ended');
        });
      });
      return new RestateServer(admin, ingress, end);
    } catch (error) {
      await end();
      throw error;
    }
  }

  /** Tells it where the services are. */
  async register(uri: string): Promise<void> {
    const answer = await fetch(`${this.#admin}/deployments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri }),
    });
    if (!answer.ok) throw new Error(`Restate refused the services: ${await answer.text()}`);
  }

  /** Asks the server's own tables. */
  async query<T>(query: string): Promise<T[]> {
    const answer = await fetch(`${this.#admin}/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query }),
    });
    if (!answer.ok) throw new Error(`Restate refused "${query}": ${await answer.text()}`);
    return ((await answer.json()) as { rows: T[] }).rows;
  }

  async stop(): Promise<void> {
    await this.#end();
  }
}

/** The port that a part of the server says it listens on. */
function portOf(log: string, name: string): string | undefined {
  return new RegExp(`server_name=${name}.*server\\.port=(\\d+)`).exec(log)?.[1];
}
