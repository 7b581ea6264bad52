/**
 * `POST /v1/events`: events in over HTTP. Owns the order of things: the body is read whole, each item judged, all of them
 * taken or none (a full queue takes nothing), and the answer waits until the stream has acknowledged them. Refused items
 * are answered, and kept as dead letters by the same way. While the region is overloaded nothing is taken.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ActorEvent } from '../../actor/behaviour.js';
import { messageOf } from '../../core/errors.js';
import { EVENT_BYTES_MAX, eventBytes } from '../../ingest/event-size.js';
import type { RefusedEvent } from '../../partition/frame.js';
import { turn } from '../turn.js';
import { BodyBudget, Turnstile } from './body-budget.js';
import { bodyKind, isGzip, type Item, itemsOf, unpacked } from './event-body.js';
import type { HttpFacts, RoutePlugin } from './facts.js';
import { IdempotencyKey } from './idempotency.js';
import { busy, HttpProblem, tooMany } from './problem.js';
import { within } from './within.js';

export type ItemResult =
  | { readonly outcome: 'accepted' }
  | {
      readonly outcome: 'refused';
      readonly reason: string;
      readonly message: string;
      /** The configured region that covers the point, where one does. */
      readonly region?: string;
    };

/** How long the stream may take to acknowledge. */
const ACK_MS = 10_000;
/** Items that are judged before others get a turn. */
const SLICE = 1_000;
/** Requests that are unpacked and held as objects, many times their bytes, before they are in the queue (P8). */
const AT_WORK = 2;
/** When to come again: nodes that are behind catch up; a stream that is full is made room in by time. */
const COME_AGAIN_S = { behind: 5, full: 30 } as const;
const ACCEPTED: ItemResult = { outcome: 'accepted' };
const UNKNOWN_OUTCOME =
  'Whether they were taken is not known. Events with an id, or a request with an idempotency-key, may be sent again: what was taken is not taken twice.';

export const eventRoutes: RoutePlugin = (app, facts) => {
  const bodies = new BodyBudget();
  const atWork = new Turnstile(AT_WORK);
  app.post('/v1/events', {
    onRequest: (request, _reply, done) => {
      expectTaking(facts);
      if (facts.producer.free.events <= 0) throw tooMany('The queue is full: nothing was taken.');
      bodyKind(request.headers['content-type']);
      isGzip(request.headers['content-encoding']);
      keyOf(request);
      bodies.reserve(request);
      done();
    },
    // Also after an error while the body was read.
    onSend: (request, _reply, _payload, done) => {
      bodies.release(request);
      done();
    },
    handler: async (request, reply) => {
      const results = await atWork.pass(() => taken(request, facts));
      bodies.release(request);
      if (results.length > 0) await acknowledged(facts);
      return answer(results, facts, reply, keyOf(request) !== undefined);
    },
  });
};

/** Takes what a request brought, and lets go of its bytes. */
async function taken(request: FastifyRequest, facts: HttpFacts): Promise<ItemResult[]> {
  const sent = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  request.body = undefined;
  const { 'content-type': type, 'content-encoding': encoding } = request.headers;
  const body = isGzip(encoding) ? await unpacked(sent) : sent;
  const judged = await judgeAll(itemsOf(body, bodyKind(type)), facts);
  const key = keyOf(request);
  return take(key === undefined ? judged : judged.map((item, index) => keyed(item, index, key)), facts);
}

function keyed(item: Judged, index: number, key: IdempotencyKey): Judged {
  return 'event' in item ? { ...item, event: key.identified(item.event, index) } : item;
}

function keyOf(request: FastifyRequest): IdempotencyKey | undefined {
  return IdempotencyKey.of(request.headers['idempotency-key']);
}

/** An item and what was said of it: an event for its actor, or a refusal for the dead letters. */
type Judged =
  | { readonly event: ActorEvent; readonly text: () => string }
  | { readonly refusal: RefusedEvent; readonly region?: string };

/** In slices: a large body takes a good part of a second, and the node has other work. */
async function judgeAll(items: Iterable<Item>, facts: HttpFacts): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const item of items) {
    judged.push(judge(item, facts));
    if (judged.length % SLICE === 0) await turn();
  }
  return judged;
}

/** All of them or none, without a turn for anybody between the look at the room and the last one. */
function take(judged: readonly Judged[], facts: HttpFacts): ItemResult[] {
  // It may have begun to stop while the body came.
  expectTaking(facts);
  expectRoom(judged, facts);
  return judged.map((item) => handOn(item, facts));
}

function answer(
  results: readonly ItemResult[],
  { metrics, region }: HttpFacts,
  reply: FastifyReply,
  hasKey: boolean,
): FastifyReply {
  const accepted = results.reduce((count, { outcome }) => count + (outcome === 'accepted' ? 1 : 0), 0);
  const refused = results.length - accepted;
  metrics.intake.accepted += accepted;
  metrics.intake.refused += refused;
  const idempotent = hasKey ? { idempotencyWindowMs: region.duplicateWindowMs } : {};
  return reply
    .type('application/json; charset=utf-8')
    .send(JSON.stringify({ accepted, refused, ...idempotent, results }));
}

function judge(item: Item, facts: HttpFacts): Judged {
  if ('malformed' in item)
    return { refusal: refusal(facts, 'unknown', 'malformed', item.malformed, item.text()) };
  const verdict = facts.checker.check(item.raw);
  if (verdict.outcome === 'accepted') return { event: verdict.event as ActorEvent, text: item.text };
  const { type, reason, message } = verdict;
  const region = reason === 'outside_region' ? regionOf(item.raw, facts) : undefined;
  const refused = refusal(facts, type, reason, message, item.text());
  return region === undefined ? { refusal: refused } : { refusal: refused, region };
}

function refusal(
  { clock }: HttpFacts,
  claimed: string,
  reason: string,
  message: string,
  body: string,
): RefusedEvent {
  return { type: 'refused', ts: Math.floor(clock.now()), claimed, reason, message, body };
}

/** Hands a judged item to the producer. There is room for all of them, so a queue that is full here is a fault. */
function handOn(item: Judged, facts: HttpFacts): ItemResult {
  const { producer } = facts;
  if ('event' in item) {
    const taken = producer.offer(item.event);
    if (taken === 'taken') return ACCEPTED;
    if (taken === 'full') throw partlyTaken();
    const { type } = item.event;
    const message = `no behaviour receives ${type}`;
    return handOn({ refusal: refusal(facts, type, 'unneeded', message, item.text()) }, facts);
  }
  if (producer.refuse(item.refusal) === 'full') throw partlyTaken();
  const { reason, message } = item.refusal;
  return {
    outcome: 'refused',
    reason,
    message,
    ...(item.region === undefined ? {} : { region: item.region }),
  };
}

/** Resolves when the stream has what was handed on. */
async function acknowledged({ producer, clock }: HttpFacts): Promise<void> {
  const stored = producer.flushed().then(() => true);
  const inTime = await within(clock, ACK_MS, stored).catch((error: unknown) => {
    throw busy(`The stream did not take the events: ${messageOf(error)}`, 5, UNKNOWN_OUTCOME);
  });
  if (inTime === undefined)
    throw busy(`The stream did not acknowledge the events within ${ACK_MS / 1_000} s.`, 5, UNKNOWN_OUTCOME);
}

function regionOf(raw: unknown, facts: HttpFacts): string | undefined {
  const { lat, lon } = raw as { lat?: unknown; lon?: unknown };
  return typeof lat === 'number' && typeof lon === 'number' ? facts.regionOf(lat, lon) : undefined;
}

function expectTaking(facts: HttpFacts): void {
  if (facts.draining())
    throw busy('The node is draining: nothing was taken.', 5, 'Send the events again later.');
  if (facts.producer.failure !== undefined)
    throw busy('The stream does not take events now: nothing was taken.', 5);
  const { overload } = facts.producer;
  if (overload === undefined) return;
  facts.producer.turnedAway();
  throw new HttpProblem(
    overload.why === 'full' ? 503 : 429,
    'GS_OVERLOAD',
    `${overload.message} Nothing was taken.`,
    {
      remedy: 'Send the same again after the time that retry-after names.',
      headers: { 'retry-after': String(COME_AGAIN_S[overload.why]) },
    },
  );
}

/** All items or none: whoever is told 429 may send the same again. */
function expectRoom(judged: readonly Judged[], { producer }: HttpFacts): void {
  const { queued, free } = producer;
  const count = judged.length;
  const eventsMax = queued + free.events;
  if (count > eventsMax && free.events > 0) {
    throw new HttpProblem(
      413,
      'GS_HTTP_BODY',
      `The queue holds ${eventsMax} events, and these are ${count}.`,
      {
        remedy: `Send at most ${eventsMax} events with a request.`,
      },
    );
  }
  let bytes = 0;
  for (const item of judged) {
    const event = 'event' in item ? item.event : { ...item.refusal };
    // Over the limit by its cell alone, which was added after it was checked.
    bytes += Math.min(eventBytes(event), EVENT_BYTES_MAX);
  }
  if (count > free.events || bytes > free.bytes)
    throw tooMany(`${queued} events wait to be sent, and there is no room for these: nothing was taken.`);
}

function partlyTaken(): HttpProblem {
  return busy('The queue filled up while the events were taken.', 1, UNKNOWN_OUTCOME);
}
