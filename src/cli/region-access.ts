/**
 * A region as the commands see it that take, restore and change it as a whole: its streams and its object store on a
 * nats-server, without a node of its own. With an embedded server that is started for it, on a data folder that no node
 * uses meanwhile.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { REGION_NAME } from '../core/ids.js';
import { connectNats, type NatsTarget } from '../log/nats/connect.js';
import { bucketStream } from '../log/nats/lease-bucket.js';
import { NatsLeases } from '../log/nats/nats-leases.js';
import { NatsLog } from '../log/nats/nats-log.js';
import { NatsObjects } from '../log/nats/nats-objects.js';
import { regionStreams, type RegionStreams } from '../log/nats/region-streams.js';
import { locateNatsServer } from '../log/nats/server/locate.js';
import { superviseServer } from '../log/nats/server/supervised.js';
import { infoOf } from '../log/nats/streams.js';
import { Subjects } from '../log/subjects.js';
import { openDataFolder } from '../node/data-folder.js';
import { decodeRecord } from '../node/membership/record.js';
import { LmdbStore } from '../state/lmdb/lmdb-store.js';
import { natsTarget } from './command.js';
import { Opened } from './opened.js';
import { note } from './screen.js';

export interface AccessOptions {
  readonly nats?: string;
  readonly data?: string;
}

type Connected = Awaited<ReturnType<typeof connectNats>>;

export class RegionAccess {
  readonly jsm: Connected['jsm'];
  /** A name that no two processes share. */
  readonly writer = randomUUID();
  /** Of the node, or of the workers, whose embedded server this is. */
  readonly #data: string | undefined;
  readonly #connection: Connected['connection'];
  readonly #opened: Opened;

  /** @throws GroundswellError GS_USAGE without a server, GS_DATA_LOCKED when a node uses the folder, and as a connection does */
  static async open(options: AccessOptions): Promise<RegionAccess> {
    const opened = new Opened();
    try {
      const elsewhere = natsTarget(options.nats);
      const own = elsewhere === undefined ? await embedded(options.data, opened) : undefined;
      const connected = await connectNats(elsewhere ?? own!.target, 'groundswell snapshot');
      opened.add('the connection to nats-server', () => connected.connection.close());
      return new RegionAccess(connected, opened, own?.data);
    } catch (error) {
      await opened.close().catch(() => undefined);
      throw error;
    }
  }

  private constructor({ connection, jsm }: Connected, opened: Opened, data: string | undefined) {
    this.#data = data;
    this.#connection = connection;
    this.jsm = jsm;
    this.#opened = opened;
  }

  log(stream: string): NatsLog {
    return new NatsLog(this.#connection, this.jsm, { stream, writer: this.writer });
  }

  objects(region: string): Promise<NatsObjects> {
    const bucket = new Subjects(region).baseBucket;
    return NatsObjects.open({ connection: this.#connection, jsm: this.jsm, bucket });
  }

  streams(region: string): Promise<RegionStreams> {
    return regionStreams(this.jsm, new Subjects(region));
  }

  /** A store that nobody else uses, in a folder that is removed at the end. */
  async scratch(region: string, partitions: number): Promise<LmdbStore> {
    const folder = await mkdtemp(join(tmpdir(), 'groundswell-'));
    this.#opened.add('a temporary folder', () => rm(folder, { recursive: true, force: true }));
    const store = await LmdbStore.open(folder, { region, partitions });
    this.#opened.add('its snapshots', () => store.close());
    return store;
  }

  /** @throws GroundswellError GS_BUSY naming the nodes that work on the region */
  async expectNoNodes(region: string): Promise<void> {
    const bucket = new Subjects(region).nodesBucket;
    if ((await infoOf(this.jsm, bucketStream(bucket))) === undefined) return;
    const leases = await new NatsLeases(this.#connection, this.jsm, { bucket }).list();
    const names = leases.map(({ name, value }) => {
      const said = decodeRecord(value);
      return said.kind === 'record' ? said.record.name : name;
    });
    if (names.length === 0) return;
    throw new GroundswellError('GS_BUSY', `Nodes of the region ${region} are at work: ${names.join(', ')}.`, {
      remedy: 'Stop them first; a node that was killed is forgotten after two seconds.',
    });
  }

  /** Removes the snapshots of the nodes on the data folder: they are of the region's former life. */
  async forgetLocal(): Promise<void> {
    if (this.#data === undefined) return;
    const workers = (await readdir(this.#data)).filter((name) => name.startsWith('worker-'));
    for (const folder of ['.', ...workers])
      await rm(join(this.#data, folder, 'snapshots'), { recursive: true, force: true });
  }

  close(): Promise<void> {
    return this.#opened.close();
  }
}

async function embedded(
  data: string | undefined,
  opened: Opened,
): Promise<{ target: NatsTarget; data: string }> {
  if (data === undefined) {
    throw new GroundswellError('GS_USAGE', 'No nats-server is given.', {
      remedy:
        'Give the one of the region with --nats or NATS_URL; or, for a region on an embedded server whose node is stopped, its --data folder.',
    });
  }
  const folder = await openDataFolder(resolve(data), randomUUID);
  opened.add('the data folder', () => folder.release());
  const { path: binary, version } = await locateNatsServer({ onProgress: note });
  const server = await superviseServer({ dataDir: folder.path, binary, version, clock: systemClock });
  opened.add('nats-server, which ends', () => server.stop());
  return { target: server, data: folder.path };
}

export function regionName(text: string): string {
  if (REGION_NAME.test(text)) return text;
  throw new GroundswellError('GS_USAGE', `"${text}" is no name of a region.`, {
    remedy: 'A name is 1 to 32 of a-z, 0-9, _ and -.',
  });
}
