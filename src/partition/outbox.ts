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

interface Slot {
  readonly name: string;
  readonly atMs: number;
  body: unknown;
}

export class Outbox {
  readonly #slots = new Map<ActorId, Slot[]>();
  /** A merge has failed on the way: what is here cannot be relied on. */
  broken = false;

  get size(): number {
    return this.#slots.size;
  }

  put(to: ActorId, name: string, atMs: number, body: unknown, receiver: Mergeable | undefined): void {
    const slots = this.#slotsOf(to);
    if (receiver?.combine !== undefined) {
      for (const slot of slots) {
        if (slot.atMs !== atMs || slot.name !== name) continue;
        try {
          slot.body = receiver.combine(slot.body, body);
        } catch (error) {
          this.broken = true;
          throw error;
        }
        return;
      }
    }
    slots.push({ name, atMs, body });
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
    const slots = this.#slotsOf(to);
    const slot =
      merge === undefined ? undefined : slots.find((known) => known.atMs === atMs && known.name === name);
    const merged = slot === undefined ? undefined : merge!(slot.body, body);
    if (merged === undefined) slots.push({ name, atMs, body });
    else slot!.body = merged.body;
  }

  /** Takes all messages, in order of their first being said per actor. */
  take(): MailMessage[] {
    const messages: MailMessage[] = [];
    for (const [to, slots] of this.#slots)
      for (const { name, atMs, body } of slots) messages.push([to, name, atMs, body]);
    this.#slots.clear();
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

  #slotsOf(to: ActorId): Slot[] {
    let slots = this.#slots.get(to);
    if (slots === undefined) this.#slots.set(to, (slots = []));
    return slots;
  }
}
