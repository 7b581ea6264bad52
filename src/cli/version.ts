/** `groundswell version`: everything whose version matters when something is wrong. Fetches nothing, starts nothing. */
import type { Command } from 'commander';
import { messageOf } from '../core/errors.js';
import { NATS_VERSION_MIN, STREAM_FORMAT } from '../log/nats/connect.js';
import { LOCAL_WAYS, locateNatsServer } from '../log/nats/server/locate.js';
import { FRAME_FORMAT } from '../partition/frame.js';
import { JOURNAL_FORMAT } from '../partition/journal.js';
import { OUTPUT_FORMAT } from '../partition/output.js';
import { STORE_FORMAT } from '../state/store.js';
import { packageVersion } from './package-root.js';
import { colors, say, table } from './screen.js';

interface Versions {
  readonly groundswell: string;
  readonly node: string;
  readonly platform: string;
  readonly natsServer:
    { readonly path: string; readonly version: string; readonly way: string } | { readonly missing: string };
  /** Oldest nats-server that will do. */
  readonly natsServerMin: string;
  /** Versions of what is written: to the streams, the frames in them, and the snapshots. */
  readonly formats: Readonly<Record<'stream' | 'frame' | 'journal' | 'output' | 'snapshot', number>>;
}

export function versionCommand(program: Command): void {
  program
    .command('version')
    .description('show the versions of groundswell, Node, nats-server and the formats that are written')
    .option('--json', 'as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell version --json')
    .action(async ({ json }: { json: boolean }) => {
      const versions = await gather();
      if (json) say(JSON.stringify(versions));
      else for (const line of versionLines(versions)) say(line);
    });
}

async function gather(): Promise<Versions> {
  const named = process.env['GROUNDSWELL_NATS_SERVER'];
  const natsServer = await locateNatsServer({ ways: LOCAL_WAYS }).catch((error: unknown) => ({
    missing:
      named === undefined || named === ''
        ? `none on this machine: ${NATS_VERSION_MIN} or newer is fetched when it is needed`
        : messageOf(error),
  }));
  return {
    groundswell: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    natsServer,
    natsServerMin: NATS_VERSION_MIN,
    formats: {
      stream: STREAM_FORMAT,
      frame: FRAME_FORMAT,
      journal: JOURNAL_FORMAT,
      output: OUTPUT_FORMAT,
      snapshot: STORE_FORMAT,
    },
  };
}

export function versionLines({ groundswell, node, platform, natsServer, formats }: Versions): string[] {
  const server =
    'version' in natsServer
      ? `${natsServer.version}, ${natsServer.path} (${natsServer.way})`
      : colors.yellow(natsServer.missing);
  return table([
    ['groundswell', groundswell],
    ['node', `${node}, ${platform}`],
    ['nats-server', server],
    [
      'formats',
      Object.entries(formats)
        .map(([what, version]) => `${what} ${version}`)
        .join(', '),
    ],
  ]);
}
