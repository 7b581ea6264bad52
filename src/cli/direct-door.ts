/**
 * A region asked over its nats-server, without the HTTP of any node: who is there is read from their leases, and each is asked
 * by itself. Takes part in nothing: it writes no lease and owns nothing.
 */
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { connectNats, type NatsTarget } from '../log/nats/connect.js';
import { NatsLeases } from '../log/nats/nats-leases.js';
import { NatsRequests } from '../log/nats/nats-requests.js';
import { Subjects } from '../log/subjects.js';
import { decodeRecord, type NodeRecord } from '../node/membership/record.js';
import type { MemberStatus, NodeStatus } from '../node/status.js';
import { Peers } from '../serve/nodes/peers.js';
import { oneOf } from '../serve/nodes/region-nodes.js';
import { regionStatus, type RegionStatus } from '../serve/nodes/region-status.js';
import { natsTarget } from './command.js';
import type { NodesDoor } from './nodes-door.js';

export class DirectDoor implements NodesDoor {
  readonly #region: string;
  readonly #leases: NatsLeases;
  readonly #peers: Peers;
  readonly #close: () => Promise<void>;

  /** @throws GroundswellError as a connection does */
  static async open(url: string, region: string): Promise<DirectDoor> {
    const { connection, jsm } = await connectNats(targetOf(url), `groundswell drain ${region}`);
    const subjects = new Subjects(region);
    const leases = new NatsLeases(connection, jsm, { bucket: subjects.nodesBucket });
    const peers = new Peers({ requests: new NatsRequests(connection), subjects });
    return new DirectDoor(region, leases, peers, () => connection.close());
  }

  private constructor(region: string, leases: NatsLeases, peers: Peers, close: () => Promise<void>) {
    this.#region = region;
    this.#leases = leases;
    this.#peers = peers;
    this.#close = close;
  }

  /** As the nodes say of themselves. Standbys and watermarks are not judged here: only nodes know what is configured. */
  async status(): Promise<RegionStatus> {
    const members = await this.#members();
    const statuses = new Map<string, NodeStatus>();
    await Promise.all(
      members.map((member) =>
        this.#peers.status(member).then(
          (status) => statuses.set(member.id, status),
          // Silent: its record is all that is known of it.
          () => undefined,
        ),
      ),
    );
    const partitionCount = Math.max(0, ...[...statuses.values()].map((status) => status.partitionCount));
    return regionStatus({ partitionCount, standbys: 0, nowMs: systemClock.now(), members, statuses });
  }

  async drain(nameOrId: string, on: boolean): Promise<{ id: string; name: string }> {
    const members = await this.#members();
    const node = oneOf(members, nameOrId);
    if (on && !members.some(({ id, draining }) => id !== node.id && !draining))
      throw new GroundswellError(
        'GS_NO_SUCCESSOR',
        `Node ${node.name} cannot be drained: no other node of the region could take its partitions.`,
      );
    await this.#peers.drain(node, on);
    return node;
  }

  close(): Promise<void> {
    return this.#close();
  }

  /** Whose lease has not run out. */
  async #members(): Promise<MemberStatus[]> {
    const leases = await this.#leases.list().catch((error: unknown) => {
      if (error instanceof GroundswellError && error.code === 'GS_STREAM_LOST')
        throw new GroundswellError('GS_NOT_FOUND', `No node of region ${this.#region} was ever there.`, {
          cause: error,
        });
      throw error;
    });
    const records = leases.flatMap((lease): NodeRecord[] => {
      const decoded = decodeRecord(lease.value);
      return decoded.kind === 'record' ? [decoded.record] : [];
    });
    return records.map((record) => ({ ...record, alive: true, self: false, lastSeenMsAgo: 0 }));
  }
}

/** Who is asking may stand in the URL, or where `start` looks for it too. */
function targetOf(url: string): NatsTarget {
  const target = natsTarget(url)!;
  const { NATS_USER: user, NATS_PASSWORD: password, NATS_CREDS: credentials } = process.env;
  if (target.user !== undefined) return target;
  if (user !== undefined && user !== '') return { ...target, user, password };
  return credentials === undefined || credentials === '' ? target : { ...target, credentials };
}
