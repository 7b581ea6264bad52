/**
 * `Idempotency-Key`: a request that is sent again has no second effect. Owns what a key may be, and the ids that it gives to
 * events which have none. The memory is the region's, not the node's: an event with an id takes effect once per driver or rider
 * within the duplicate window, whichever node takes the request, and whatever crashes in between.
 */
import { createHash } from 'node:crypto';
import type { ActorEvent } from '../../actor/behaviour.js';
import { fnv1a32 } from '../../core/hash.js';
import { badRequest, type HttpProblem } from './problem.js';

const KEY_CHARS_MAX = 255;
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;
/** Characters of the key's digest in an id, 6 bits each: ids are kept with the state of each driver and rider. */
const DIGEST_CHARS = 16;

/** A request's key, as the ids of its events begin. */
export class IdempotencyKey {
  readonly #prefix: string;

  /**
   * @param header the header as it came: the key itself, or in quotes as a structured field writes it
   * @returns undefined when there is none
   * @throws HttpProblem 400 for what cannot be a key
   */
  static of(header: string | string[] | undefined): IdempotencyKey | undefined {
    if (header === undefined) return undefined;
    if (typeof header !== 'string') throw notAKey('it is given more than once');
    const key = unquoted(header.trim());
    if (key.length === 0) throw notAKey('it is empty');
    if (key.length > KEY_CHARS_MAX) throw notAKey(`it has ${key.length} characters`);
    if (!VISIBLE_ASCII.test(key)) throw notAKey('it has other characters than visible ASCII');
    return new IdempotencyKey(key);
  }

  private constructor(key: string) {
    this.#prefix = `~${createHash('sha256').update(key).digest('base64url').slice(0, DIGEST_CHARS)}`;
  }

  /**
   * The event with an id, its own if it has one. Ours is made of the key, the place in the body and what the event says: so two equal
   * events of one body both count, and another event under a key that was used before is not taken for the first.
   */
  identified(event: ActorEvent, index: number): ActorEvent {
    if (event.id !== undefined) return event;
    const said = fnv1a32(JSON.stringify(event)).toString(36);
    return { ...event, id: `${this.#prefix}:${index.toString(36)}:${said}` };
  }
}

function unquoted(text: string): string {
  const inner = /^"(.*)"$/s.exec(text)?.[1];
  return inner === undefined ? text : inner.replace(/\\(["\\])/g, '$1');
}

function notAKey(why: string): HttpProblem {
  return badRequest(
    `The header idempotency-key is no key: ${why}.`,
    `Give 1 to ${KEY_CHARS_MAX} visible ASCII characters, such as a UUID, with or without quotes.`,
  );
}
