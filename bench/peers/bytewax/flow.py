"""The job as a Bytewax dataflow: packed pings from JetStream, a driver's state per key, windows of a minute per cell, rows
back to JetStream, one message each. State goes into Bytewax's recovery store together with the place in the stream.

Run by bytewax.ts, with NATS_URL, NATS_USER and NATS_PASSWORD set.
"""

import asyncio
import json
import os
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
import bytewax.operators.windowing as win
import nats
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from nats.js.api import ConsumerConfig, DeliverPolicy

MINUTE = timedelta(minutes=1)
MINUTE_MS = 60_000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MESSAGES_AT_ONCE = 8
ROWS_AT_ONCE = 1_000
WAIT_S = 0.25
PATIENCE_S = 120

# One worker, one thread: source and sink share a loop, which runs while one of them waits for the server.
loop = asyncio.new_event_loop()
connection = None


def jetstream():
    global connection
    if connection is None:
        connection = loop.run_until_complete(
            nats.connect(
                os.environ["NATS_URL"],
                user=os.environ["NATS_USER"],
                password=os.environ["NATS_PASSWORD"],
            )
        )
    return connection.jetstream(timeout=PATIENCE_S)


class Pings(StatefulSourcePartition):
    """Messages of packed pings; an empty one is the last."""

    def __init__(self, resume_seq):
        self.next_seq = resume_seq or 1
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.next_seq,
            ack_policy="none",
            inactive_threshold=PATIENCE_S,
        )
        self.subscription = loop.run_until_complete(
            jetstream().pull_subscribe("pings", stream="pings", config=config)
        )
        self.fetched = []

    def next_batch(self):
        """One message: what is in one batch comes out of a stateful step driver by driver, not in the order of time."""
        if not self.fetched:
            try:
                self.fetched = loop.run_until_complete(
                    self.subscription.fetch(MESSAGES_AT_ONCE, timeout=WAIT_S)
                )
            except asyncio.TimeoutError:
                return []
        message = self.fetched.pop(0)
        pings = json.loads(message.data)
        if not pings:
            raise StopIteration()
        self.next_seq = message.metadata.sequence.stream + 1
        return pings

    def snapshot(self):
        return self.next_seq


class PingSource(FixedPartitionedSource):
    def list_parts(self):
        return ["pings"]

    def build_part(self, step_id, for_part, resume_state):
        return Pings(resume_state)


class Rows(StatefulSinkPartition):
    """Rows are sent while others are made; before a snapshot counts, the server has all that belong to it."""

    def __init__(self):
        self.sent = []

    def write_batch(self, rows):
        stream = jetstream()
        self.sent.extend(
            loop.create_task(stream.publish("rows", json.dumps(row).encode())) for row in rows
        )
        if len(self.sent) >= ROWS_AT_ONCE:
            self.settle()

    def snapshot(self):
        self.settle()

    def close(self):
        self.settle()

    def settle(self):
        if self.sent:
            loop.run_until_complete(asyncio.gather(*self.sent))
            self.sent = []


class RowSink(FixedPartitionedSink):
    def list_parts(self):
        return ["rows"]

    def build_part(self, step_id, for_part, resume_state):
        return Rows()


def take_ping(state, ping):
    """The driver's new state, and what the ping adds to its cell; None when it adds nothing."""
    _, lat, lon, ts, status, cell = ping
    minute, cells = (0, []) if state is None else state[4:]
    if status != "open":
        return (lat, lon, ts, status, minute, cells), None
    now = ts - ts % MINUTE_MS
    if minute != now:
        return (lat, lon, ts, status, now, [cell]), (cell, ts, 1)
    first = 0 if cell in cells else 1
    if first == 1:
        cells = [*cells, cell]
    return (lat, lon, ts, status, minute, cells), (cell, ts, first)


def row_of(closed):
    cell, (window, (pings, drivers)) = closed
    return cell, {"cell": cell, "start": window * MINUTE_MS, "pings": pings, "drivers": drivers}


# Time that passes on the machine's clock moves this watermark too: a busy machine must not make a replay late. And the times of
# a replay are no times of that clock: without the last line every key would be woken, as overdue, at every step.
clock = win.EventClock(
    ts_getter=lambda added: EPOCH + timedelta(milliseconds=added[1]),
    wait_for_system_duration=MINUTE,
    to_system_utc=lambda _: None,
)

flow = Dataflow("job")
pings = op.input("pings", flow, PingSource())
by_driver = op.key_on("by_driver", pings, lambda ping: ping[0])
taken = op.stateful_map("driver", by_driver, take_ping)
counted = op.filter_map("counted", taken, lambda keyed: keyed[1])
by_cell = op.key_on("by_cell", counted, lambda added: added[0])
closed = win.fold_window(
    "cell",
    by_cell,
    clock,
    win.TumblingWindower(align_to=EPOCH, length=MINUTE),
    lambda: (0, 0),
    lambda count, added: (count[0] + 1, count[1] + added[2]),
    lambda one, other: (one[0] + other[0], one[1] + other[1]),
)
op.output("rows", op.map("row", closed.down, row_of), RowSink())
