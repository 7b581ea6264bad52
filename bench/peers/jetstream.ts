/** A nats-server as Groundswell runs it, on a temporary folder, with a stream `pings` and a stream `rows`, for peers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, StorageType, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { systemClock } from '../../src/core/clock.js';
import { connectNats } from '../../src/log/nats/connect.js';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer } from '../../src/log/nats/server/locate.js';
import type { JobRow } from './job.js';
import { PATIENCE_MS } from './senders.js';

export interface JetStream {
  readonly server: EmbeddedServer;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** For files of the peer; goes with the rest. */
  readonly folder: string;
  /** All that is in `rows`, one a message. */
  rows(): Promise<JobRow[]>;
  close(): Promise<void>;
}

export async function openJetStream(): Promise<JetStream> {
  const folder = await mkdtemp(join(tmpdir(), 'groundswell-peer-'));
  const opened: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (let undo = opened.pop(); undo !== undefined; undo = opened.pop()) await undo();
  };
  try {
    const { path: binary } = await locateNatsServer({});
    const server = await startEmbeddedServer({ dataDir: folder, binary, clock: systemClock });
    opened.push(() => server.stop());
    const { connection, jsm } = await connectNats(server, 'groundswell peer');
    opened.push(() => connection.close());
    for (const name of ['pings', 'rows'])
      await jsm.streams.add({ name, subjects: [name], storage: StorageType.File });
    const rows = async (): Promise<JobRow[]> => {
      const { state } = await jsm.streams.info('rows');
      const found: JobRow[] = [];
      for (let seq = 1; seq <= state.last_seq; seq++)
        found.push((await jsm.streams.getMessage('rows', { seq }))!.json<JobRow>());
      return found;
    };
    const js = jetstream(connection, { timeout: PATIENCE_MS });
    return { server, js, jsm, folder, rows, close };
  } catch (error) {
    await close();
    throw error;
  }
}
