/**
 * nats-servers as an operator runs them: one, or three as a cluster, on the loopback interface. They can be killed and
 * started again on their ports and files. Every acknowledged write is on disk (`sync_interval: always`).
 */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from './children.js';
import { freePorts } from '../free-ports.js';
import { waitFor } from './waiting.js';

const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;
const READY = { deadlineMs: 60_000, pollMs: 30 };

interface Ports {
  readonly client: number;
  readonly route: number;
  readonly monitor: number;
}

export class Servers {
  readonly #binary: string;
  readonly #folder: string;
  readonly #ports: readonly Ports[];
  readonly #children: (Child | undefined)[];

  static async start(options: { binary: string; folder: string; count: 1 | 3 }): Promise<Servers> {
    const { binary, folder, count } = options;
    const ports = await freePorts(count * 3);
    const servers = new Servers(
      binary,
      folder,
      Array.from({ length: count }, (_, i) => ({
        client: ports[3 * i]!,
        route: ports[3 * i + 1]!,
        monitor: ports[3 * i + 2]!,
      })),
    );
    await mkdir(folder, { recursive: true });
    for (let i = 0; i < count; i++) servers.#spawn(i);
    await Promise.all(Array.from({ length: count }, (_, i) => servers.#ready(i)));
    return servers;
  }

  private constructor(binary: string, folder: string, ports: readonly Ports[]) {
    this.#binary = binary;
    this.#folder = folder;
    this.#ports = ports;
    this.#children = ports.map(() => undefined);
  }

  get count(): number {
    return this.#ports.length;
  }

  /** One URL after another. */
  get urls(): string[] {
    return this.#ports.map(({ client }) => `nats://127.0.0.1:${client}`);
  }

  /** All of them, as `--nats` takes them. */
  get url(): string {
    return this.urls.join(',');
  }

  isUp(index: number): boolean {
    return this.#children[index] !== undefined;
  }

  /** The number of a server by its name in a cluster. */
  indexOf(name: string): number {
    return this.#ports.findIndex((_, i) => nameOf(i) === name);
  }

  /** Memory of a server; undefined where the system does not tell. */
  rssBytes(index: number): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.#children[index]?.process.pid ?? 0}/status`, 'utf8');
      const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
      return kib === undefined ? undefined : Number(kib) * 1_024;
    } catch {
      return undefined;
    }
  }

  async kill(index: number): Promise<void> {
    const child = this.#children[index];
    this.#children[index] = undefined;
    await child?.kill();
  }

  /** It answers nobody, and its connections stand. */
  freeze(index: number): void {
    this.#children[index]?.signal('SIGSTOP');
  }

  /** One that was frozen goes on; resolves when it answers and, in a cluster, has caught up. */
  async thaw(index: number): Promise<void> {
    this.#children[index]?.signal('SIGCONT');
    await this.#ready(index);
  }

  /** Starts one that was killed; resolves when it answers and, in a cluster, has caught up. */
  async startAgain(index: number): Promise<void> {
    this.#spawn(index);
    await this.#ready(index);
  }

  async close(): Promise<void> {
    await Promise.all(this.#children.map((_, i) => this.kill(i)));
  }

  #spawn(index: number): void {
    const folder = join(this.#folder, nameOf(index));
    const config = `${folder}.conf`;
    writeFileSync(config, this.#config(index, folder));
    const log = openSync(`${folder}.log`, 'a');
    this.#children[index] = new Child(this.#binary, ['-c', config], { stdio: ['ignore', log, log] });
    closeSync(log);
  }

  async #ready(index: number): Promise<void> {
    const child = this.#children[index];
    const health = `http://127.0.0.1:${this.#ports[index]!.monitor}/healthz`;
    await waitFor(
      `${nameOf(index)} is healthy`,
      async () => {
        // Killed, before or meanwhile: it is for who did that to wait for it.
        if (child === undefined || this.#children[index] !== child) return true;
        if (child.end !== undefined)
          throw new Error(`nats-server ${nameOf(index)} ended: see ${this.#folder}`);
        const answer = await fetch(health, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
        await answer?.arrayBuffer();
        return answer?.ok === true ? true : undefined;
      },
      READY,
    );
  }

  #config(index: number, folder: string): string {
    const { client, route, monitor } = this.#ports[index]!;
    const routes = this.#ports.map((each) => `"nats://127.0.0.1:${each.route}"`).join(', ');
    const cluster =
      this.count === 1
        ? ''
        : `cluster { name: "crash", listen: "127.0.0.1:${route}", routes: [${routes}], no_advertise: false }\n`;
    return (
      `server_name: "${nameOf(index)}"\nlisten: "127.0.0.1:${client}"\nhttp: "127.0.0.1:${monitor}"\n` +
      `max_payload: ${MAX_PAYLOAD_BYTES}\n` +
      `jetstream { store_dir: ${JSON.stringify(folder)}, sync_interval: always, max_memory_store: 256MB, max_file_store: 64GB }\n${cluster}`
    );
  }
}

function nameOf(index: number): string {
  return `s${index + 1}`;
}
