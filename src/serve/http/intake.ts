/** Single events that the node itself brings in: for a release, for a dead letter that is tried again. */
import type { ActorEvent } from '../../actor/behaviour.js';
import { messageOf } from '../../core/errors.js';
import type { HttpFacts } from './facts.js';
import { busy, HttpProblem, tooMany } from './problem.js';
import { within } from './within.js';

const ACK_MS = 10_000;

/** Resolves when the stream has the event. @throws HttpProblem 503, 429, or 400 when no behaviour receives such */
export async function bringIn(event: ActorEvent, facts: HttpFacts): Promise<void> {
  const { producer, clock } = facts;
  if (facts.draining()) throw busy('The node is draining: nothing was taken.', 5, 'Ask again later.');
  if (producer.failure !== undefined)
    throw busy('The stream does not take events now: nothing was taken.', 5);
  const taken = producer.offer(event);
  if (taken === 'full') throw tooMany('The queue is full: nothing was taken.');
  if (taken === 'unneeded')
    throw new HttpProblem(400, 'GS_USAGE', `No behaviour of the region receives ${event.type}.`);
  const stored = producer.flushed().then(() => true);
  const remedy = 'Whether it was taken is not known. Ask again: it takes effect once.';
  const inTime = await within(clock, ACK_MS, stored).catch((error: unknown) => {
    throw busy(`The stream did not take the event: ${messageOf(error)}`, 5, remedy);
  });
  if (inTime === undefined)
    throw busy(`The stream did not acknowledge the event within ${ACK_MS / 1_000} s.`, 5, remedy);
}
