/** A nats-server as somebody else runs it: any configuration, no watchdog. And the JWTs of one that has operators. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from 'nats';
import { until } from './until.js';

export class PlainServer {
  readonly url: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  /** `STORE` in the configuration becomes a folder of its own. */
  static async start(binary: string, config: string): Promise<PlainServer> {
    const folder = mkdtempSync(join(tmpdir(), 'gs-plain-server-'));
    const ports = join(folder, 'ports');
    mkdirSync(ports);
    const file = join(folder, 'server.conf');
    writeFileSync(file, `${config.replace('STORE', JSON.stringify(folder))}\nports_file_dir: "${ports}"\n`);
    let output = '';
    const child = spawn(binary, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    let url = '';
    await until('the server announces its port', () => {
      if (child.exitCode !== null) throw new Error(`nats-server ended: ${output}`);
      const name = readdirSync(ports).find((entry) => entry.endsWith('.ports'));
      if (name === undefined) return false;
      try {
        url = (JSON.parse(readFileSync(join(ports, name), 'utf8')) as { nats: string[] }).nats[0]!;
        return true;
      } catch {
        return false;
      }
    });
    return new PlainServer(url, folder, child);
  }

  private constructor(url: string, folder: string, child: ChildProcess) {
    this.url = url;
    this.#folder = folder;
    this.#child = child;
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A server with an operator and an account with JetStream: its configuration, a user's file, and a stranger's. */
export function jwtSetup(): { config: string; credentials: string; foreign: string } {
  const operator = nkeys.createOperator();
  const account = nkeys.createAccount();
  const system = nkeys.createAccount();
  const operatorJwt = jwt(operator, operator.getPublicKey(), 'operator', {
    system_account: system.getPublicKey(),
  });
  const unlimited = {
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    wildcards: true,
    conn: -1,
    leaf: -1,
  };
  const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountJwt = jwt(operator, account.getPublicKey(), 'account', {
    limits: { ...unlimited, ...storage },
  });
  const systemJwt = jwt(operator, system.getPublicKey(), 'account', { limits: unlimited });
  return {
    config: `listen: "127.0.0.1:-1"
operator: ${operatorJwt}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload { ${account.getPublicKey()}: ${accountJwt}, ${system.getPublicKey()}: ${systemJwt} }
jetstream { store_dir: STORE }`,
    credentials: credentialsOf(account),
    foreign: credentialsOf(nkeys.createAccount()),
  };
}

type KeyPair = ReturnType<typeof nkeys.createUser>;

function credentialsOf(account: KeyPair): string {
  const user = nkeys.createUser();
  const token = jwt(account, user.getPublicKey(), 'user', { subs: -1, data: -1, payload: -1 });
  const seed = new TextDecoder().decode(user.getSeed());
  return [
    '-----BEGIN NATS USER JWT-----',
    token,
    '------END NATS USER JWT------',
    '',
    '-----BEGIN USER NKEY SEED-----',
    seed,
    '------END USER NKEY SEED------',
    '',
  ].join('\n');
}

function jwt(issuer: KeyPair, subject: string, type: string, claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = {
    jti: subject,
    iat: 1_700_000_000,
    iss: issuer.getPublicKey(),
    name: type,
    sub: subject,
    nats: { ...claims, type, version: 2 },
  };
  const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(body)}`;
  return `${text}.${Buffer.from(issuer.sign(new TextEncoder().encode(text))).toString('base64url')}`;
}
