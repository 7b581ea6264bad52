/**
 * What one writes first: each event a message of its own, a JetStream consumer, state in LMDB, a transaction for each
 * message, an acknowledgement when the disk has it. Transactions are not waited for one by one: LMDB puts those that stand in
 * line into one commit.
 */
import { join } from 'node:path';
import { AckPolicy, type JetStreamClient, type JsMsg } from '@nats-io/jetstream';
import { nanos } from 'nats';
import { open, type Database, type RootDatabase } from 'lmdb';
import { systemClock } from '../../src/core/clock.js';
import {
  MINUTE_MS,
  minuteOf,
  newDriver,
  OUT_OF_ORDER_BOUND_MS,
  takePing,
  type DriverState,
  type JobPing,
  type JobRow,
  type Peer,
} from './job.js';
import { openJetStream } from './jetstream.js';
import { sendElsewhere, targetOf } from './remote-sender.js';
import { PATIENCE_MS } from './senders.js';

/** Messages delivered and not yet acknowledged. */
const IN_FLIGHT_MAX = 1_000;

interface Count {
  readonly pings: number;
  readonly drivers: number;
}

export const naive: Peer = {
  name: 'naive',
  what: 'one message per event, a JetStream consumer, an LMDB transaction each, acknowledged after it',
  guarantees:
    'state survives power loss, but at least once: a crash between the commit and its acknowledgement counts events twice or writes rows twice; a producer that sends again counts twice',
  eventsMax: 40_000,
  async run(size) {
    const stream = await openJetStream();
    const { js, jsm, folder } = stream;
    const root = open({ path: join(folder, 'state'), overlappingSync: false });
    try {
      await jsm.consumers.add('pings', {
        durable_name: 'counter',
        ack_policy: AckPolicy.Explicit,
        max_ack_pending: IN_FLIGHT_MAX,
        ack_wait: nanos(PATIENCE_MS),
      });
      const startedMs = systemClock.monotonic();
      const counter = new Counter(root, js);
      const target = targetOf(stream.server);
      await Promise.all([sendElsewhere({ how: 'messages', target, size }), counter.run(size.events)]);
      const seconds = (systemClock.monotonic() - startedMs) / 1000;
      return { events: size.events, seconds, rows: await stream.rows() };
    } finally {
      await root.close();
      await stream.close();
    }
  },
};

class Counter {
  readonly #root: RootDatabase;
  readonly #js: JetStreamClient;
  readonly #drivers: Database<DriverState, string>;
  readonly #cells: Database<Count, [minute: number, cell: string]>;
  #latestMs = 0;
  /** Start of the oldest minute whose rows are not written. */
  #openMinute = 0;

  constructor(root: RootDatabase, js: JetStreamClient) {
    this.#root = root;
    this.#js = js;
    this.#drivers = root.openDB({ name: 'drivers' });
    this.#cells = root.openDB({ name: 'cells' });
  }

  /** Takes so many messages, and then writes what rows are left. */
  async run(events: number): Promise<void> {
    const consumer = await this.#js.consumers.get('pings', 'counter');
    const messages = await consumer.consume({ max_messages: IN_FLIGHT_MAX });
    let line: Promise<unknown>[] = [];
    let taken = 0;
    for await (const message of messages) {
      const ping = message.json<JobPing>();
      if (this.#openMinute === 0) this.#openMinute = minuteOf(ping.ts);
      this.#latestMs = Math.max(this.#latestMs, ping.ts);
      line.push(this.#take(ping, message));
      taken += 1;
      const due = this.#latestMs - OUT_OF_ORDER_BOUND_MS >= this.#openMinute + MINUTE_MS;
      if (due || line.length >= IN_FLIGHT_MAX || taken === events) {
        await Promise.all(line);
        line = [];
      }
      if (due) await this.#writeBefore(minuteOf(this.#latestMs - OUT_OF_ORDER_BOUND_MS));
      if (taken === events) break;
    }
    await this.#writeBefore(Number.POSITIVE_INFINITY);
  }

  async #take(ping: JobPing, message: JsMsg): Promise<void> {
    await this.#root.transaction(() => {
      const state = this.#drivers.get(ping.driverId) ?? newDriver();
      const first = takePing(state, ping);
      this.#drivers.putSync(ping.driverId, state);
      if (first === undefined) return;
      const key: [number, string] = [minuteOf(ping.ts), ping.cell];
      const { pings, drivers } = this.#cells.get(key) ?? { pings: 0, drivers: 0 };
      this.#cells.putSync(key, { pings: pings + 1, drivers: drivers + first });
    });
    message.ack();
  }

  /** Writes the rows of minutes that start before a time, one message each, and forgets them. */
  async #writeBefore(untilMs: number): Promise<void> {
    const closed = [...this.#cells.getRange({ start: [0, ''], end: [untilMs, ''] })];
    const sent = closed.map(({ key: [start, cell], value: { pings, drivers } }) => {
      const row: JobRow = { cell, start, pings, drivers };
      return this.#js.publish('rows', JSON.stringify(row));
    });
    await Promise.all(sent);
    await this.#root.transaction(() => {
      for (const { key } of closed) this.#cells.removeSync(key);
    });
    this.#openMinute = untilMs;
  }
}
