/**
 * What is shipped to run a node elsewhere. Hunts: a probe for a route that is gone, a variable that nobody reads, a port that
 * only the documents know, a container that runs as root, a port open to the world, and files that name things of an earlier
 * version. The configurations of config/nats have servers of their own in `test/integration/nats-config.test.ts`.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { parse as parseYaml, parseAllDocuments } from 'yaml';
import { START_KEYS } from '../../src/cli/config-schema.js';
import { addStartOptions, effectiveConfig } from '../../src/cli/start-config.js';
import { parseDurationMs } from '../../src/core/duration.js';
import { ERRORS } from '../../src/core/errors.js';
import { ANALYST_SUBJECTS } from '../../src/log/nats/server/server-config.js';
import { isNewEnough } from '../../src/log/nats/server/version.js';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const PACKAGE = JSON.parse(read('package.json')) as {
  version: string;
  bin: { groundswell: string };
  files: string[];
};
const PORT = START_KEYS.find(({ key }) => key === 'http.port')!.byDefault as number;
const DATA = '/var/lib/groundswell';
/** The longest that a node drains. */
const DRAIN_MS = 5_000;

const folder = mkdtempSync(join(tmpdir(), 'gs-deploy-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What a node would make of the words and variables: no value is refused, no variable is one that nobody reads. */
async function expectUnderstood(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  const [name, ...flags] = words;
  expect(name).toBe('start');
  const command = addStartOptions(new Command('start')).exitOverride();
  command.parse(flags, { from: 'user' });
  const { values, warnings } = await effectiveConfig({ flags: command.opts(), env, cwd: folder });
  expect(warnings.filter((warning) => warning.includes('not known'))).toEqual([]);
  const known = START_KEYS.map(({ env: variable }) => variable);
  expect(
    Object.keys(env).filter((variable) => variable.startsWith('NATS_') && !known.includes(variable)),
  ).toEqual([]);
  return Object.fromEntries([...values].map(([key, { value }]) => [key, value]));
}

function expectRoute(path: string): void {
  const routes = join(ROOT, 'src/serve/http');
  const sources = readdirSync(routes)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(routes, name), 'utf8'));
  expect(
    sources.some((text) => text.includes(`.get('${path}'`)),
    path,
  ).toBe(true);
}

interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** The stages of the Dockerfile, each with its instructions. */
const stages: Instruction[][] = [];
for (const line of read('Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll('\\\n', ' ')
  .split('\n')) {
  const [, name, text] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
  if (name === undefined) continue;
  if (name === 'FROM') stages.push([]);
  stages.at(-1)?.push({ name, text: text! });
}
const image = stages.at(-1)!;
const all = (name: string, stage = image): string[] =>
  stage.filter((one) => one.name === name).map(({ text }) => text);
const imageEnv = Object.fromEntries(
  all('ENV').flatMap((text) =>
    text
      .trim()
      .split(/\s+/)
      .map((pair) => pair.split('=') as [string, string]),
  ),
);

describe('Dockerfile', () => {
  it('has stages, of which only the last is shipped, and that one runs as nobody’s root', () => {
    expect(stages.length).toBeGreaterThan(1);
    expect(all('USER')).toEqual(['1000:1000']);
    const order = image.map(({ name }) => name);
    expect(
      order.slice(order.indexOf('USER')).filter((name) => ['RUN', 'COPY', 'ADD'].includes(name)),
    ).toEqual([]);
    expect(all('RUN').filter((text) => text.includes('npm'))).toEqual([]);
  });

  it('fetches nothing but what npm’s registry has, and runs no scripts of packages', () => {
    const runs = stages.flatMap((stage) => all('RUN', stage));
    expect(runs.filter((text) => /curl|wget|apt|apk|https?:|git /.test(text))).toEqual([]);
    for (const text of runs
      .flatMap((run) => run.split('&&'))
      .filter((run) => /npm (ci|prune|install)/.test(run)))
      expect(text).toContain('--ignore-scripts');
    expect(stages.flatMap((stage) => all('ADD', stage))).toEqual([]);
  });

  it('copies files that exist and that .dockerignore lets in, and no others get in', () => {
    const [everything, ...allowed] = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(everything).toBe('*');
    const copied = stages
      .flatMap((stage) => all('COPY', stage))
      .filter((text) => !text.startsWith('--from'))
      .flatMap((text) =>
        text
          .split(/\s+/)
          .slice(0, -1)
          .map((path) => path.replace('./', '')),
      );
    for (const path of copied) expect(existsSync(join(ROOT, path)), path).toBe(true);
    expect([...new Set(copied)].sort()).toEqual(allowed.map((line) => line.slice(1)).sort());
  });

  it('holds all that the package holds for running', () => {
    const copied = all('COPY')
      .flatMap((text) => text.split(/\s+/))
      .map((path) => path.replace('./', ''));
    for (const path of PACKAGE.files.filter((one) => !/^!|^docs$|^deploy$|\.md$/.test(one)))
      expect(
        copied.some((one) => path === one || path.startsWith(`${one}/`)),
        path,
      ).toBe(true);
  });

  it('starts the program as the package does', () => {
    const entry = JSON.parse(all('ENTRYPOINT')[0]!) as string[];
    expect(entry.at(-1)).toBe(PACKAGE.bin.groundswell);
    const flags = /^#!.*node (.*)$/m.exec(read('src/cli/main.ts'))![1]!.split(' ');
    expect(entry.slice(0, -1)).toEqual(['node', ...flags]);
    expect(JSON.parse(all('CMD')[0]!)).toEqual(['start']);
  });

  it('has variables that a node reads, the default port, and a data folder of its own', async () => {
    const { NODE_ENV: production, ...env } = imageEnv;
    expect(production).toBe('production');
    expect(await expectUnderstood(['start', '--region', 'sf'], env)).toMatchObject({
      'http.port': PORT,
      data: DATA,
    });
    expect(all('EXPOSE')).toEqual([String(PORT)]);
    expect(all('VOLUME')).toEqual([DATA]);
    expect(all('RUN').join()).toContain(`-o 1000 -g 1000 -m 0700 ${DATA}`);
  });

  it('has a nats-server that is new enough, the one of compose.yaml', () => {
    const [, version] = /^ARG NATS_IMAGE=nats:(.*)-alpine$/m.exec(read('Dockerfile'))!;
    expect(isNewEnough(version!)).toBe(true);
    expect(read('compose.yaml')).toContain(`image: nats:${version!}-alpine`);
  });

  it('has a health check that is true to the answer', async () => {
    const words = JSON.parse(/CMD (\[.*\])/.exec(all('HEALTHCHECK')[0]!)![1]!) as string[];
    expect(words[0]).toBe('node');
    expectRoute(new URL(/http:[^`]*/.exec(words[2]!)![0].replaceAll(/\$\{.*?\}/g, '1')).pathname);
    let status = 200;
    const server = createServer((socket) => {
      socket.once('data', () =>
        socket.end(`HTTP/1.1 ${status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const check = (): Promise<number | null> =>
      new Promise((resolve) => {
        spawn(process.execPath, words.slice(1), {
          env: { GROUNDSWELL_HTTP_PORT: String(port) },
          stdio: 'ignore',
        }).on('close', resolve);
      });
    expect(await check()).toBe(0);
    status = 503;
    expect(await check()).toBe(1);
    await new Promise((resolve) => server.close(resolve));
    expect(await check()).toBe(1);
  });
});

interface Service {
  image: string;
  command: string[];
  environment: Record<string, string>;
  ports: string[];
  volumes: string[];
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  stop_grace_period: string;
  read_only: boolean;
  cap_drop: string[];
}

describe('compose.yaml', () => {
  const { services, volumes } = parseYaml(read('compose.yaml'), { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, unknown>;
  };
  const { node, nats } = services as { node: Service; nats: Service };

  it('publishes ports on this machine only', () => {
    const ports = Object.values(services).flatMap((service) => service.ports);
    expect(ports).toEqual(['127.0.0.1:4222:4222', `127.0.0.1:${PORT}:${PORT}`]);
  });

  it('gives its services no rights that they do not need', () => {
    for (const { read_only, cap_drop } of Object.values(services)) {
      expect(read_only).toBe(true);
      expect(cap_drop).toEqual(['ALL']);
    }
  });

  it('starts a node with a configuration that it understands, once the server answers', async () => {
    const password = { NATS_PASSWORD: 'secret' };
    const values = await expectUnderstood(node.command, {
      ...imageEnvironment(),
      ...node.environment,
      ...password,
    });
    expect(values).toMatchObject({
      region: 'sf',
      'nats.url': 'nats://nats:4222',
      'nats.user': 'groundswell',
    });
    expect(node.depends_on).toEqual({ nats: { condition: 'service_healthy' } });
    expect(nats.healthcheck!.test).toContain('http://127.0.0.1:8222/healthz?js-enabled-only=true');
    expect(read('config/nats/server.conf')).toContain('http: "127.0.0.1:8222"');
    expect(node.image).toBe(`groundswell:${PACKAGE.version}`);
  });

  it('names passwords that are asked for in its first lines, and no others', () => {
    const text = read('compose.yaml');
    const asked = [...text.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name);
    const [, users] = /for user in ([A-Z ]+);/.exec(text)!;
    expect([...new Set(asked)].sort()).toEqual(
      users!
        .trim()
        .split(' ')
        .map((user) => `NATS_${user}_PASSWORD`)
        .sort(),
    );
    expect(text.match(/\$\{/g)).toHaveLength(asked.length + 1);
    expect(node.environment['NATS_PASSWORD']).toMatch(/^\$\{NATS_ENGINE_PASSWORD:\?/);
    const wanted = ['single.conf', 'server.conf', 'accounts.conf'].flatMap((file) =>
      variablesOf(`config/nats/${file}`),
    );
    expect(Object.keys(nats.environment).sort()).toEqual([...new Set(wanted)].sort());
  });

  it('keeps what must last in volumes, and gives each service time to stop', () => {
    expect(node.volumes).toEqual([`node:${DATA}`]);
    expect(nats.volumes).toEqual([
      './config/nats:/etc/nats:ro',
      `nats:${nats.environment['NATS_STORE_DIR']!}`,
    ]);
    expect(Object.keys(volumes)).toEqual(['nats', 'node']);
    expect(existsSync(join(ROOT, 'config/nats', nats.command.at(-1)!.replace('/etc/nats/', '')))).toBe(true);
    for (const service of [node, nats])
      expect(parseDurationMs(service.stop_grace_period)).toBeGreaterThan(DRAIN_MS);
  });
});

function imageEnvironment(): Record<string, string> {
  return Object.fromEntries(Object.entries(imageEnv).filter(([name]) => name !== 'NODE_ENV'));
}

/** Variables of the environment that a configuration of nats-server reads. */
function variablesOf(file: string): string[] {
  return [
    ...read(file)
      .replaceAll(/#.*$/gm, '')
      .matchAll(/\$([A-Z_0-9]+)/g),
  ].map(([, name]) => name!);
}

describe('config/nats', () => {
  it('gives analysts what the embedded server gives them', () => {
    const text = read('config/nats/accounts.conf');
    for (const subject of ANALYST_SUBJECTS) {
      expect(text).toContain(`{ stream: "${subject}", accounts: [ANALYST] }`);
      expect(text).toContain(`{ stream: { account: ENGINE, subject: "${subject}" } }`);
    }
    expect(text.match(/accounts: \[ANALYST\]/g)).toHaveLength(ANALYST_SUBJECTS.length);
  });

  it('syncs every commit to the disk', () => {
    expect(read('config/nats/server.conf')).toMatch(/^ {2}sync_interval: always$/m);
  });

  it.each(['single.conf', 'cluster.conf'])('%s says at its top which variables it reads', (file) => {
    const top = read(`config/nats/${file}`)
      .split('\n')
      .filter((line) => line.startsWith('#'))
      .join('\n');
    const named = file === 'single.conf' ? top : top + read('config/nats/single.conf');
    for (const name of [
      ...variablesOf(`config/nats/${file}`),
      ...['server.conf', 'accounts.conf'].flatMap((one) => variablesOf(`config/nats/${one}`)),
    ])
      expect(named.replace('_1, _2, _3', '_1 NATS_ROUTE_2 NATS_ROUTE_3')).toContain(name);
  });
});

describe('the unit of systemd', () => {
  const text = read('deploy/systemd/groundswell@.service');
  const settings = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) =>
      value!.replaceAll('%i', 'sf').replaceAll('%S', '/var/lib'),
    );
  const setting = (name: string): string | undefined => settings(name)[0];

  it('starts a node of the region that it is named after', async () => {
    const [program, ...words] = setting('ExecStart')!.split(' ');
    expect(program).toMatch(/\/groundswell$/);
    const env = Object.fromEntries(
      settings('Environment').map((pair) => pair.split('=') as [string, string]),
    );
    expect(await expectUnderstood(words, env)).toMatchObject({
      region: 'sf',
      data: `/var/lib/${setting('StateDirectory')!}`,
    });
    expect(setting('WorkingDirectory')).toBe(`/var/lib/${setting('StateDirectory')!}`);
  });

  it('does not try again what a configuration forbids, and tries all else again', () => {
    expect(setting('Restart')).toBe('on-failure');
    expect(Number(setting('RestartPreventExitStatus'))).toBe(ERRORS.GS_CONFIG.exit);
  });

  it('lets a node drain, and its server outlive the drain', () => {
    expect(Number(setting('TimeoutStopSec')) * 1_000).toBeGreaterThan(DRAIN_MS);
    expect([setting('KillSignal'), setting('KillMode')]).toEqual(['SIGTERM', 'mixed']);
  });

  it('runs as a user of its own that sees its data and little else', () => {
    for (const [name, value] of [
      ['DynamicUser', 'yes'],
      ['ProtectSystem', 'strict'],
      ['ProtectHome', 'yes'],
      ['NoNewPrivileges', 'yes'],
      ['CapabilityBoundingSet', ''],
      ['StateDirectoryMode', '0700'],
    ] as const)
      expect([name, setting(name)]).toEqual([name, value]);
    // The engine that runs the program writes code: with this it would not start.
    expect(setting('MemoryDenyWriteExecute')).toBeUndefined();
  });
});

interface Manifest {
  kind: string;
  metadata: { name: string };
  data: Record<string, string>;
  spec: Record<string, unknown>;
}
interface Probe {
  httpGet: { path: string; port: string };
  periodSeconds: number;
  failureThreshold: number;
}
interface Container {
  image: string;
  args: string[];
  envFrom: { configMapRef: { name: string } }[];
  env: { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string } } }[];
  ports: { name: string; containerPort: number }[];
  volumeMounts: { name: string; mountPath: string }[];
  securityContext: Record<string, unknown>;
  resources: { requests: object; limits: object };
  startupProbe: Probe;
  livenessProbe: Probe;
  readinessProbe: Probe;
}
interface Pod {
  containers: [Container];
  securityContext: Record<string, unknown>;
  enableServiceLinks: boolean;
  terminationGracePeriodSeconds: number;
  volumes: { name: string }[];
}

describe('the manifest of Kubernetes', () => {
  const text = read('deploy/kubernetes/groundswell.yaml');
  const documents = parseAllDocuments(text);
  const manifests = documents.map((document) => document.toJS() as Manifest);
  const of = (kind: string): Manifest => manifests.find((manifest) => manifest.kind === kind)!;
  const set = of('StatefulSet').spec as {
    replicas: number;
    serviceName: string;
    selector: { matchLabels: object };
    template: { metadata: { labels: object }; spec: Pod };
    volumeClaimTemplates: { metadata: { name: string } }[];
  };
  const pod = set.template.spec;
  const [container] = pod.containers;

  it('is valid YAML, one document for each thing', () => {
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    expect(manifests.map(({ kind }) => kind)).toEqual([
      'ConfigMap',
      'Service',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'StatefulSet',
    ]);
  });

  it('starts nodes with a configuration that it understands', async () => {
    const given = { NATS_USER: 'u', NATS_PASSWORD: 'p', GROUNDSWELL_NAME: 'groundswell-sf-0' };
    expect(container.env.map(({ name }) => name).sort()).toEqual(Object.keys(given).sort());
    const values = await expectUnderstood(container.args, { ...of('ConfigMap').data, ...given });
    expect(values).toMatchObject({ region: 'sf', 'http.port': PORT, 'http.host': '0.0.0.0', data: DATA });
    expect(container.envFrom[0]!.configMapRef.name).toBe(of('ConfigMap').metadata.name);
    // Nodes of one region share it: one may go at a time, and a standby takes over.
    expect(set.replicas).toBe(3);
    expect(values).toMatchObject({ standbys: 1, weight: 1 });
    expect(of('PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1 });
    expect(container.image).toBe(`groundswell:${PACKAGE.version}`);
    // Otherwise the cluster itself sets variables that look like ours.
    expect(pod.enableServiceLinks).toBe(false);
  });

  it('takes passwords from a secret, and has none in it', () => {
    expect(Object.keys(of('ConfigMap').data).filter((name) => /PASSWORD|USER|CREDS/.test(name))).toEqual([]);
    for (const { name, value, valueFrom } of container.env.filter(({ name }) => name.startsWith('NATS_'))) {
      expect({ name, value }).toEqual({ name, value: undefined });
      expect(text).toContain(`kubectl create secret generic ${valueFrom!.secretKeyRef!.name} `);
    }
  });

  it('probes routes that there are, on the port that there is', () => {
    const { startupProbe, livenessProbe, readinessProbe } = container;
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path)).toEqual([
      '/healthz',
      '/healthz',
      '/readyz',
    ]);
    for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
      expectRoute(httpGet.path);
      expect(httpGet.port).toBe('http');
    }
    expect(container.ports).toEqual([{ name: 'http', containerPort: PORT }]);
    expect((of('Service').spec['ports'] as object[])[0]).toMatchObject({ port: PORT, targetPort: 'http' });
    // Recovery from a long journal is no reason to end a node.
    expect(startupProbe.periodSeconds * startupProbe.failureThreshold).toBeGreaterThanOrEqual(600);
    expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(DRAIN_MS);
    expect(text).toContain(`prometheus.io/port: '${PORT}'`);
    expectRoute('/metrics');
  });

  it('runs as the image’s user, with a file system that it cannot write but for its data', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toEqual([DATA, '/tmp']);
    const volumes = [
      ...set.volumeClaimTemplates.map(({ metadata }) => metadata.name),
      ...pod.volumes.map(({ name }) => name),
    ];
    expect(container.volumeMounts.map(({ name }) => name)).toEqual(volumes);
    expect(container.resources).toMatchObject({ requests: { memory: '1Gi' }, limits: { memory: '2Gi' } });
  });

  it('belongs together by its labels', () => {
    const labels = set.template.metadata.labels;
    expect(set.selector.matchLabels).toEqual(labels);
    expect(of('Service').spec['selector']).toEqual(labels);
    for (const kind of ['PodDisruptionBudget', 'NetworkPolicy'])
      expect(of(kind).spec[kind === 'NetworkPolicy' ? 'podSelector' : 'selector']).toEqual({
        matchLabels: labels,
      });
    expect(set.serviceName).toBe(of('Service').metadata.name);
  });
});
