/** A pull consumer on the server: how it is made, and how the server is told to forget it. */
import { AckPolicy, DeliverPolicy, type ConsumerInfo, type JetStreamManager } from '@nats-io/jetstream';
import { nanos } from 'nats';
import type { Clock } from '../../core/clock.js';
import type { ConnectionWatch } from './connection-watch.js';

/** The server forgets a consumer that nobody asks; a reader that is full for longer makes a new one. */
const INACTIVE_MS = 5 * 60_000;
const DELETE_TIMEOUT_MS = 1_000;

/** A consumer of one subject from a sequence on, in memory on one server, that waits for no acknowledgement. */
export function createConsumer(
  jsm: JetStreamManager,
  stream: string,
  name: string,
  subject: string,
  fromSeq: number,
): Promise<ConsumerInfo> {
  return jsm.consumers.add(stream, {
    name,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: fromSeq,
    filter_subject: subject,
    inactive_threshold: nanos(INACTIVE_MS),
    mem_storage: true,
    num_replicas: 1,
  });
}

/** Best effort: resolves within a second, and a consumer that stays is forgotten by itself after a while. */
export function deleteConsumer(
  watch: ConnectionWatch,
  jsm: JetStreamManager,
  clock: Clock,
  stream: string,
  name: string,
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      resolve();
    };
    const cancel = clock.after(DELETE_TIMEOUT_MS, resolve);
    watch.untilLost(jsm.consumers.delete(stream, name)).then(done, done);
  });
}
