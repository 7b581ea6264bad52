/**
 * Messages that a step has said and not yet sent. Merges what may be merged (`combine`) before anything leaves, so
 * that an actor, however hot, gets at most one message per partition, commit, name and time.
 */
import type { ActorId } from '../core/ids.js';
import { partitionOf } from '../core/hash.js';
import type { MailMessage } from './frame.js';

/** What the outbox needs to know of a message's receiver. */
export interface Mergeable {
  combine?(into: unknown, from: unknown): unknown;
}

/** A message that others may still be merged into. */
type Open = [...MailMessage];

export class Outbox {
  readonly #messages = new Map<ActorId, Open[]>();
  /** A merge has failed on the way: what is here cannot be relied on. */
  broken = false;

  get size(): number {
    return this.#messages.size;
  }

  put(to: ActorId, name: string, atMs: number, body: unknown, receiver: Mergeable | undefined): void {
    const open = this.#messages.get(to);
    if (open !== undefined && receiver?.combine !== undefined) {
      for (const message of open) {
        if (message[2] !== atMs || message[1] !== name) continue;
        try {
          message[3] = receiver.combine(message[3], body);
        } catch (error) {
          this.broken = true;
          throw error;
        }
        return;
      }
    }
    this.#add(to, open, [to, name, atMs, body]);
  }

  /**
   * Puts a message that may not merge: it then goes by itself, and both are as they were.
   * @param merge calls the receiver's `combine` on copies; undefined when that failed
   */
  putCarefully(
    to: ActorId,
    name: string,
    atMs: number,
    body: unknown,
    merge: ((into: unknown, from: unknown) => { readonly body: unknown } | undefined) | undefined,
  ): void {
    const open = this.#messages.get(to);
    const same = merge === undefined ? undefined : open?.find((one) => one[2] === atMs && one[1] === name);
    const merged = same === undefined ? undefined : merge!(same[3], body);
    if (merged === undefined) this.#add(to, open, [to, name, atMs, body]);
    else same![3] = merged.body;
  }

  /** Takes all messages, in order of their first being said per actor. */
  take(): MailMessage[] {
    const messages: MailMessage[] = [];
    for (const open of this.#messages.values()) for (const message of open) messages.push(message);
    this.#messages.clear();
    return messages;
  }

  /** Takes all messages, by destination partition. */
  takeByPartition(partitions: number): Map<number, MailMessage[]> {
    const mail = new Map<number, MailMessage[]>();
    for (const message of this.take()) {
      const partition = partitionOf(message[0], partitions);
      const list = mail.get(partition);
      if (list === undefined) mail.set(partition, [message]);
      else list.push(message);
    }
    return mail;
  }

  #add(to: ActorId, open: Open[] | undefined, message: Open): void {
    if (open === undefined) this.#messages.set(to, [message]);
    else open.push(message);
  }
}
