/**
 * The node of an engine, in this process, with what goes with it: publishers of what it commits, the word that other nodes
 * of the region get of it, and what keeps its stream within bounds. Owns in which order they begin: they end in the opposite
 * one.
 */
import type { Registry } from '../actor/registry.js';
import { systemClock } from '../core/clock.js';
import { silent } from '../core/logger.js';
import { SteadyClock } from '../core/steady-clock.js';
import type { RegionConfig } from '../ingest/region.js';
import { ensureLeases } from '../log/nats/lease-bucket.js';
import { NatsLeases } from '../log/nats/nats-leases.js';
import type { NatsLog } from '../log/nats/nats-log.js';
import { NatsObjects } from '../log/nats/nats-objects.js';
import type { Requests } from '../log/requests.js';
import type { Subjects } from '../log/subjects.js';
import type { BasesOptions } from '../node/bases.js';
import type { DataFolder } from '../node/data-folder.js';
import { VmGuard } from '../node/handler-guard.js';
import { InputHold } from '../node/input-hold.js';
import { Node, type MembershipOptions } from '../node/node.js';
import { untilClaimed } from '../serve/nodes/first-share.js';
import { answerPeers } from '../serve/nodes/peer-server.js';
import { aggregateTarget, sideTarget, type PublishTarget } from '../serve/publisher.js';
import { Publishers } from '../serve/publishers.js';
import type { LmdbStore } from '../state/lmdb/lmdb-store.js';
import { openSnapshots } from '../state/lmdb/open-snapshots.js';
import type { Connected } from './engine-connection.js';
import type { EngineOptions } from './engine-options.js';
import type { Opened } from './opened.js';
import { OutputRetention } from './output-retention.js';
import { packageVersion } from './package-root.js';

/** What the engine has opened by then. */
export interface NodeParts {
  readonly config: RegionConfig;
  readonly registry: Registry;
  readonly subjects: Subjects;
  readonly store: LmdbStore;
  readonly nodeId: string;
  readonly connected: Connected;
  readonly log: NatsLog;
  readonly logOf: (stream: string) => NatsLog;
  readonly requests: Requests;
  readonly writer: string;
  readonly onMembers: () => void;
}

/** The node's snapshots, and the thread that writes them. */
export async function openStore(
  { logger = silent }: EngineOptions,
  { snapshots }: DataFolder,
  { name, partitions }: RegionConfig,
  opened: Opened,
): Promise<LmdbStore> {
  const store = await openSnapshots({
    folder: snapshots,
    identity: { region: name, partitions },
    clock: systemClock,
    onLost: (why) => {
      logger.warn({}, why);
    },
  });
  opened.add('the file of snapshots', () => store.close());
  store.expectWrites();
  return store;
}

/** Resolves when the node works on what is its own. */
export async function openNode(
  options: EngineOptions,
  parts: NodeParts,
  opened: Opened,
  fail: (error: unknown) => void,
): Promise<{ node: Node; publishers: Publishers }> {
  const { requests, subjects } = parts;
  const publishers = openPublishers(options, parts, fail);
  // Closed after the node: its last commit is published too.
  opened.add('rows that are to be published', () => publishers.close());
  const membership = await membershipOf(options, parts);
  const bases = await basesOf(options, parts);
  const node = newNode(options, parts, { publishers, membership, bases });
  if (membership !== undefined) {
    const { id, name } = membership;
    const answering = await answerPeers({
      ...{ requests, subjects, id, name, node },
      publisher: () => ({ published: publishers.published, lagMessages: publishers.lagMessages }),
    });
    // Closed after the node: it tells how its draining goes.
    opened.add('answers to other nodes', () => answering.close());
  }
  opened.add('the last commits, hand-overs and snapshots', () => node.stop());
  await node.start();
  node.finished.catch(fail);
  // Ready is who has what is its own: as a node that is alone, which owns all when it has started.
  await untilClaimed(node, systemClock);
  const hold = holdInputs(options, parts, node);
  opened.add('the word to producers', () => hold.stop());
  const outputs = retainOutputs(options, parts, publishers);
  if (outputs !== undefined) opened.add('the removal of old outputs', () => outputs.stop());
  return { node, publishers };
}

function openPublishers(
  { publishRows }: EngineOptions,
  { subjects, log, logOf }: NodeParts,
  fail: (error: unknown) => void,
): Publishers {
  const targets: PublishTarget[] = [sideTarget(logOf(subjects.sideStream), subjects)];
  if (publishRows) targets.push(aggregateTarget(logOf(subjects.aggregateStream), subjects));
  return new Publishers({ source: log, targets, subjects, clock: systemClock, onFailure: fail });
}

/** How the node finds the others; undefined when it is alone. */
async function membershipOf(
  { shared, replicas }: EngineOptions,
  { config, subjects, connected, nodeId }: NodeParts,
): Promise<MembershipOptions | undefined> {
  if (shared === undefined) return undefined;
  const { connection, jsm } = connected;
  await ensureLeases(jsm, subjects, replicas === undefined ? {} : { replicas });
  return {
    leases: new NatsLeases(connection, jsm, { bucket: subjects.nodesBucket }),
    id: nodeId,
    name: shared.name,
    weight: shared.weight,
    standbys: shared.standbys ?? config.standbys,
    version: packageVersion(),
    ...(shared.http === undefined ? {} : { http: shared.http }),
  };
}

/** Where base snapshots are kept; undefined when there are to be none. */
async function basesOf(
  { bases, replicas }: EngineOptions,
  { subjects, connected }: NodeParts,
): Promise<BasesOptions | undefined> {
  if (bases === undefined) return undefined;
  const objects = await NatsObjects.open({
    ...connected,
    bucket: subjects.baseBucket,
    ...(replicas === undefined ? {} : { replicas }),
  });
  return { ...bases, objects };
}

function newNode(
  options: EngineOptions,
  { config, registry, subjects, log, store, writer, onMembers }: NodeParts,
  {
    publishers,
    membership,
    bases,
  }: {
    publishers: Publishers;
    membership: MembershipOptions | undefined;
    bases: BasesOptions | undefined;
  },
): Node {
  const { limits } = config;
  const { logger = silent, observer } = options;
  return new Node({
    ...{ registry, subjects, log, store, onMembers },
    temporary: options.dataDir === undefined,
    ...(bases === undefined ? {} : { bases }),
    clock: new SteadyClock(systemClock),
    partitions: config.partitions,
    partition: {
      writer,
      time: {
        outOfOrderBoundMs: config.outOfOrderBoundMs,
        idleTimeoutMs: config.idleTimeoutMs,
        forgetAfterMs: config.historyMs,
        clockToleranceMs: config.clockToleranceMs,
      },
      paneMs: config.windowsMs[0]!,
      duplicateWindowMs: config.duplicateWindowMs,
      poison: {
        actorStateBytesMax: limits.actorStateBytesMax,
        handlerTimeMaxMs: limits.handlerTimeMaxMs,
        quarantineAfter: limits.quarantineAfter,
        quarantineKeepMax: limits.quarantineKeepMax,
      },
      guard: new VmGuard(),
    },
    limits: {
      turnBytes: limits.turnBytes,
      uncommittedEventsMax: limits.stepEvents,
      batchBytesMax: limits.commitBytes,
      residentActorsMax: limits.residentActors,
      historyMs: config.historyMs,
      ...options.limits,
    },
    ...(observer === undefined ? {} : { observer }),
    ...(membership === undefined ? {} : { membership }),
    logger,
    ...publishers.nodeHooks,
    onRetry: (cause, attempt) => {
      logger.warn({ cause, attempt }, 'a commit was not taken yet, and is tried again');
    },
  });
}

/** Asks producers to wait while the node is far behind. */
function holdInputs(
  { logger = silent }: EngineOptions,
  { config, subjects, log }: NodeParts,
  node: Node,
): InputHold {
  const hold = new InputHold({
    log,
    subjects,
    clock: systemClock,
    partitions: config.partitions,
    lagMessagesMax: config.limits.lagMessages,
    lags: () => node.status().partitions,
    onFailure: (cause) => {
      logger.warn({ cause }, 'whether producers are to wait could not be told now');
    },
  });
  hold.start();
  return hold;
}

/** Removes outputs that are published and old; undefined when they are to stay. */
function retainOutputs(
  { retention, logger = silent }: EngineOptions,
  { subjects, log }: NodeParts,
  publishers: Publishers,
): OutputRetention | undefined {
  if (retention === undefined) return undefined;
  const outputs = new OutputRetention({
    log,
    subjects,
    clock: systemClock,
    publishers: () => publishers.all,
    keepMs: retention.outputsMs,
    onFailure: (error) => {
      logger.warn({ err: error }, 'old outputs could not be removed now');
    },
  });
  outputs.start();
  return outputs;
}
