/** Looking inside: `/v1/status`, one actor as it was committed, and the dead letters. */
import { actorId } from '../../core/ids.js';
import { nearest } from '../../core/nearest.js';
import { deadAt, newestDead } from './dead-letters.js';
import type { HttpFacts, RoutePlugin } from './facts.js';
import { badRequest, notFound } from './problem.js';
import { Query } from './query.js';

const KEY_CHARS_MAX = 256;
const DEAD_LIMIT_MAX = 500;
const DEAD_LIMIT = 50;

export const statusRoutes: RoutePlugin = (app, facts) => {
  app.get('/v1/status', (request) => {
    new Query(request, []);
    return statusOfNode(facts, app.streams.size);
  });

  app.get<{ Params: { type: string; '*': string } }>('/v1/actors/:type/*', async (request, reply) => {
    new Query(request, []);
    const { type, '*': key } = request.params;
    expectType(type, [...facts.registry.types.keys()]);
    if (key === '' || key.length > KEY_CHARS_MAX)
      throw badRequest('The key of the actor is missing or too long.', `Ask for /v1/actors/${type}/<key>.`);
    const view = await facts.node.inspect(actorId(type, key));
    if (view === undefined)
      throw notFound(
        `No ${type} has the key "${key.slice(0, 80)}", or it has no state.`,
        'Check the key; an actor has state from its first message on, until it forgets.',
      );
    return reply.type('application/json; charset=utf-8').send(JSON.stringify(view, plain));
  });

  app.get('/v1/dead', (request) => {
    const query = new Query(request, ['type', 'limit', 'before']);
    const limit = query.whole('limit', 1, DEAD_LIMIT_MAX) ?? DEAD_LIMIT;
    const before = query.whole('before', 1, Number.MAX_SAFE_INTEGER);
    return newestDead(facts.side, deadSubject(facts, query.text('type')), { limit, before });
  });

  app.get<{ Params: { seq: string } }>('/v1/dead/:seq', async (request) => {
    new Query(request, []);
    const { seq } = request.params;
    const number = /^\d{1,16}$/.test(seq) ? Number(seq) : 0;
    if (number < 1 || !Number.isSafeInteger(number))
      throw badRequest(`"${seq.slice(0, 40)}" is no sequence.`, 'Give one that /v1/dead lists.');
    const letter = await deadAt(facts.side, deadSubject(facts, undefined), number);
    if (letter === undefined)
      throw notFound(
        `No dead letter has the sequence ${number}.`,
        'List them with /v1/dead; old ones are removed.',
      );
    return letter;
  });
};

function statusOfNode(facts: HttpFacts, subscribers: number): object {
  const { producer, region, metrics } = facts;
  const nats = facts.nats();
  return {
    version: facts.version,
    name: facts.name,
    region: region.name,
    timezone: region.timezone,
    startedAtMs: facts.startedAtMs,
    nowMs: Math.floor(facts.clock.now()),
    node: facts.node.status(),
    nats: { ...nats, url: nats.url.replace(/\/\/[^@/]*@/, '//') },
    http: { subscribers },
    publisher: facts.publisher(),
    ingest: {
      queued: producer.queued,
      free: producer.free.events,
      ...metrics.intake,
      failure: producer.failure?.message ?? null,
    },
  };
}

function expectType(type: string, known: readonly string[]): void {
  if (known.includes(type)) return;
  const near = nearest(type.slice(0, 64), known);
  throw badRequest(
    `No actor type is called "${type.slice(0, 40)}"${near === undefined ? '.' : `; did you mean "${near}"?`}`,
    `There are ${known.join(', ')}.`,
  );
}

/** Dead letters of all types, or of one as events (`ride.requested`) or subjects (`ride_requested`) call it. */
function deadSubject({ subjects }: HttpFacts, type: string | undefined): string {
  if (type === undefined) return `gs.${subjects.region}.dead.>`;
  if (!/^[a-z0-9_.-]{1,64}$/.test(type))
    throw badRequest(
      `"${type.slice(0, 40)}" is no type of events.`,
      'Give one such as ride.requested, or unknown.',
    );
  return subjects.side('dead', type);
}

/** What a state may hold and JSON does not know. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>);
  if (value instanceof Set) return [...(value as Set<unknown>)];
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return [...(value as Uint8Array)];
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value;
}
