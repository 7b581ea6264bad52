/**
 * The public door's producer: what a program needs to bring events into a region, wherever it runs. Wires ingest to a
 * nats-server, as the command line does. What it must know of the region it reads from the region's card.
 */
import { randomUUID } from 'node:crypto';
import { systemClock, type Clock } from './core/clock.js';
import { GroundswellError, messageOf } from './core/errors.js';
import { Cover } from './core/geohash.js';
import { REGION_NAME, type WallTimeMs } from './core/ids.js';
import { SteadyClock } from './core/steady-clock.js';
import { EventChecker } from './ingest/check.js';
import { EventProducer } from './ingest/event-producer.js';
import { LiveProducer } from './ingest/live-producer.js';
import { Producer } from './ingest/producer.js';
import { CARD_KEY, parseCard, type RegionCard } from './ingest/region-card.js';
import { apiFailureOf } from './log/nats/api-error.js';
import { connectNats, withoutSecrets } from './log/nats/connect.js';
import { NatsLog } from './log/nats/nats-log.js';
import { PRODUCER_INBOX, PRODUCER_USER } from './log/nats/server/server-config.js';
import { Subjects } from './log/subjects.js';

export interface ProducerConfig {
  /** Of nats-server, `nats://host:port`; several of a cluster with commas between. */
  readonly url: string;
  /** Name of the region; a node of it must have been started once. */
  readonly region: string;
  /**
   * Names this producer, 1 to 64 of `A-Z a-z 0-9 _ . : -`. One process at a time uses an id: who opens it fences off whoever had
   * it before, which then ends with GS_FENCED.
   */
  readonly id: string;
  /** The embedded server of a node has the user `producer` for this. */
  readonly user?: string;
  readonly password?: string;
  /** A credentials file, in the place of user and password. */
  readonly credentials?: string;
  /** Where answers come, for a user that may not subscribe to all of `_INBOX.>`. The user `producer` needs none given. */
  readonly inboxPrefix?: string;
  /**
   * `live`, by default: events happen about now, and windows close by the wall clock when nothing comes. `replay`: time is
   * that of the events alone, and holds the whole region back until `close`.
   */
  readonly mode?: 'live' | 'replay';
  /** Most events that are taken and not yet in the region's stream: then there is no room. 100,000 by default. */
  readonly queueEventsMax?: number;
  /** How long events gather before they are sent together, ms. 10 by default. */
  readonly lingerMs?: number;
}

type Connected = Awaited<ReturnType<typeof connectNats>>;

export type {
  DeliveryReport,
  EventProducer,
  ProducedEvent,
  ProducerStats,
  Refused,
} from './ingest/event-producer.js';

const ID = /^[\w.:-]{1,64}$/;
/** The pump of raw events; and those of a node are `http:…`. */
const OTHERS = /^(ingest$|http:)/;

/**
 * Opens a producer of a region.
 *
 * What happens after a crash: a **replay** opened again under its id is to be given the same events in the same order from the
 * beginning; those that the region has are passed over, and the rest goes on, so each takes effect once. A **live** producer
 * opened again under its id goes on behind what the region has: everything it is given is new. Events for which no
 * `delivered` was seen before the crash may or may not be in the region. Sent again, they count a second time, unless they
 * carry an `id`: an event with an id counts once within the region's `duplicateWindow` (15 minutes unless configured).
 *
 * @throws GroundswellError GS_NATS_CONNECT, GS_NATS_AUTH, GS_NATS_OLD: no such server, or not for this user;
 *   GS_REGION_UNKNOWN: no node of the region was ever started there; GS_DATA_NEWER: its nodes are of a later version;
 *   GS_USAGE: an id or region that cannot be one, or the id of a producer of the other mode; GS_LOG: the stream did not answer
 *
 * @example
 * import { openProducer } from 'groundswell';
 *
 * const producer = await openProducer({ url: 'nats://127.0.0.1:4222', region: 'sf', id: 'dispatch-1' });
 * const report = await producer.send({
 *   type: 'driver.location',
 *   driverId: 'd-17',
 *   lat: 37.7749,
 *   lon: -122.4194,
 *   ts: Date.now(),
 *   status: 'open',
 * });
 * if (report.outcome === 'refused') console.error(report.reason, report.message);
 *
 * // Many events: take them as fast as there is room, and look once in a while whether they are there.
 * for (let i = 0; i < 1_000; i++) {
 *   const event = { type: 'session.opened', riderId: `r-${i}`, lat: 37.77, lon: -122.42, ts: Date.now() };
 *   while (producer.offer(event) === 'full') await producer.room();
 * }
 * await producer.flush();
 * await producer.close();
 */
export async function openProducer(config: ProducerConfig): Promise<EventProducer> {
  const { id, url, region, user, password, credentials, mode = 'live', queueEventsMax, lingerMs } = config;
  if (!ID.test(id) || OTHERS.test(id)) {
    throw new GroundswellError('GS_USAGE', `"${id}" cannot be the id of a producer.`, {
      remedy:
        'Take 1 to 64 letters, digits and _ . : - but not "ingest", and nothing that begins with "http:".',
    });
  }
  if (!REGION_NAME.test(region))
    throw new GroundswellError('GS_USAGE', `"${region}" cannot be a region’s name.`);
  const inboxPrefix = config.inboxPrefix ?? (user === PRODUCER_USER ? PRODUCER_INBOX : undefined);
  const target = { url, user, password, credentials, inboxPrefix };
  const { connection, jsm } = await connectNats(target, `groundswell producer ${id}`);
  try {
    const subjects = new Subjects(region);
    const card = await readCard(jsm, subjects, url);
    const log = new NatsLog(connection, jsm, { stream: subjects.engineStream, writer: randomUUID() });
    const producer = new Producer({ ...card, log, gauge: log, subjects, clock: systemClock, id, mode });
    await producer.resume();
    await producer.look();
    const time = timeOf(producer);
    const checker = new EventChecker({
      cover: new Cover(card.cover),
      nowMs: () => time.now(),
      ...(mode === 'live' ? { aheadMs: card.clockToleranceMs } : {}),
    });
    const live = new LiveProducer({
      producer,
      clock: new SteadyClock(time),
      outOfOrderBoundMs: card.outOfOrderBoundMs,
      ...(queueEventsMax === undefined ? {} : { queueEventsMax }),
      ...(lingerMs === undefined ? {} : { lingerMs }),
    });
    live.start();
    return new EventProducer(live, checker, () => connection.close());
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** The region's time as its stream tells it: this machine's clock may be wrong, and must not tell it to the region. */
function timeOf(producer: Producer): Clock {
  return {
    now: () => (systemClock.now() + producer.streamAheadMs) as WallTimeMs,
    monotonic: () => systemClock.monotonic(),
    after: (delayMs, callback) => systemClock.after(delayMs, callback),
  };
}

async function readCard(jsm: Connected['jsm'], subjects: Subjects, url: string): Promise<RegionCard> {
  const where = withoutSecrets(url);
  const info = await jsm.streams.info(subjects.engineStream).catch((error: unknown) => {
    const failure = apiFailureOf(error);
    if (failure === 'no-stream') return undefined;
    throw new GroundswellError(
      failure === 'denied' ? 'GS_NATS_AUTH' : 'GS_LOG',
      `The card of region ${subjects.region} at ${where} could not be read: ${messageOf(error)}.`,
      { cause: error },
    );
  });
  const text = info?.config.metadata?.[CARD_KEY];
  if (text !== undefined) return parseCard(text);
  throw new GroundswellError('GS_REGION_UNKNOWN', `There is no region "${subjects.region}" at ${where}.`, {
    remedy: `Start a node of it there first: groundswell start --region ${subjects.region}.`,
  });
}
