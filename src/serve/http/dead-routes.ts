/**
 * The dead letters: listing them, showing one, and bringing the event of one in again. What was brought in again is marked
 * in the side stream, so that it is not done twice by mistake; and the event has an id, so that doing it twice counts once.
 */
import type { ActorEvent } from '../../actor/behaviour.js';
import type { Subjects } from '../../log/subjects.js';
import { deadAt, newestDead, type DeadLetter } from './dead-letters.js';
import type { HttpFacts, RoutePlugin } from './facts.js';
import { bringIn } from './intake.js';
import { jsonBody } from './json-body.js';
import { badRequest, busy, HttpProblem, notFound } from './problem.js';
import { Query } from './query.js';

const LIMIT_MAX = 500;
const LIMIT = 50;
const REMEDY = 'Send {} as application/json, or {"again":true} for one that was replayed before.';

interface BySeq {
  Params: { seq: string };
}

export const deadRoutes: RoutePlugin = (app, facts) => {
  app.get('/v1/dead', (request) => {
    const query = new Query(request, ['type', 'reason', 'since', 'limit', 'before']);
    return newestDead(facts.side, deadSubject(facts.subjects, query.text('type')), {
      limit: query.whole('limit', 1, LIMIT_MAX) ?? LIMIT,
      before: query.whole('before', 1, Number.MAX_SAFE_INTEGER),
      reason: query.text('reason'),
      sinceMs: query.whole('since', 1, Number.MAX_SAFE_INTEGER),
    });
  });

  app.get<BySeq>('/v1/dead/:seq', async (request) => {
    new Query(request, []);
    const letter = await letterAt(request.params.seq, facts);
    const replayedAtMs = await replayedAt(letter.seq, facts);
    return replayedAtMs === undefined ? letter : { ...letter, replayedAtMs };
  });

  app.post<BySeq>('/v1/dead/:seq/replay', async (request) => {
    new Query(request, []);
    const { again = false } = jsonBody(request, REMEDY);
    const letter = await letterAt(request.params.seq, facts);
    if (again !== true) {
      const replayedAtMs = await replayedAt(letter.seq, facts);
      if (replayedAtMs !== undefined)
        throw new HttpProblem(
          409,
          'GS_REPLAYED',
          `Dead letter ${letter.seq} was replayed before, at ${new Date(replayedAtMs).toISOString()}.`,
        );
    }
    const event = eventOf(letter, facts);
    await bringIn(event, facts);
    await mark(letter.seq, facts);
    return { seq: letter.seq, type: event.type, id: event.id };
  });
};

/** Dead letters of all types, or of one as events (`ride.requested`) or subjects (`ride_requested`) call it. */
function deadSubject(subjects: Subjects, type: string | undefined): string {
  if (type === undefined) return `gs.${subjects.region}.dead.>`;
  if (!/^[a-z0-9_.-]{1,64}$/.test(type))
    throw badRequest(
      `"${type.slice(0, 40)}" is no type of events.`,
      'Give one such as ride.requested, or unknown.',
    );
  return subjects.side('dead', type);
}

async function letterAt(seq: string, { side, subjects }: HttpFacts): Promise<DeadLetter> {
  const number = /^\d{1,16}$/.test(seq) ? Number(seq) : 0;
  if (number < 1 || !Number.isSafeInteger(number))
    throw badRequest(`"${seq.slice(0, 40)}" is no sequence.`, 'Give one that /v1/dead lists.');
  const letter = await deadAt(side, deadSubject(subjects, undefined), number);
  if (letter === undefined)
    throw notFound(
      `No dead letter has the sequence ${number}.`,
      'List them with /v1/dead; old ones are removed.',
    );
  return letter;
}

/**
 * The event of a letter, checked like any other that comes in, with an id of its own or one made of the letter's sequence.
 * A message or a timer has none: what it would say belongs to a step that is over.
 */
function eventOf(letter: DeadLetter, { checker }: HttpFacts): ActorEvent {
  const refuse = (why: string): HttpProblem =>
    new HttpProblem(400, 'GS_USAGE', `Dead letter ${letter.seq} cannot be replayed: ${why}.`, {
      remedy: 'Send the event again from where it came, put right, if it shall still count.',
    });
  if (letter.call !== undefined && letter.call !== 'event')
    throw refuse(`it is a ${letter.call} of an actor, not an event from outside`);
  // A behaviour that refused it has taken it already.
  if (letter.call === undefined && typeof letter.body !== 'string')
    throw refuse('its actor has taken the event, and refused it');
  const checked = checker.check(typeof letter.body === 'string' ? parsed(letter.body, refuse) : letter.body);
  if (checked.outcome === 'refused') throw refuse(`its event would be refused again: ${checked.message}`);
  const event = checked.event as ActorEvent;
  return event.id === undefined ? { ...event, id: `dead-${letter.seq}` } : event;
}

function parsed(body: string, refuse: (why: string) => HttpProblem): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw refuse('its body is no JSON, or only the beginning of it was kept');
  }
}

/** Wall time at which a letter was last replayed. */
async function replayedAt(seq: number, { side, subjects }: HttpFacts): Promise<number | undefined> {
  const message = await side.next(subjects.replayed(seq), 1);
  if (message === undefined) return undefined;
  try {
    const { atMs } = JSON.parse(new TextDecoder().decode(message.payload)) as { atMs?: unknown };
    return typeof atMs === 'number' ? atMs : 0;
  } catch {
    return 0;
  }
}

async function mark(seq: number, { side, subjects, clock }: HttpFacts): Promise<void> {
  const payload = new TextEncoder().encode(JSON.stringify({ seq, atMs: Math.floor(clock.now()) }));
  const outcome = await side.append([{ subject: subjects.replayed(seq), payload }]);
  if (outcome.outcome !== 'committed')
    throw busy(
      `The event is in, but that could not be noted: ${outcome.cause}`,
      1,
      'Ask again: an event with this id counts once.',
    );
}
