// Hunts: an event that is lost or taken twice by being put in order; two events of one actor that change places.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineActor, type ActorEvent } from '../../../src/actor/behaviour.js';
import { Registry } from '../../../src/actor/registry.js';
import { actorOrder } from '../../../src/partition/actor-order.js';
import { encodeEventFrame, openEventFrame } from '../../../src/partition/frame.js';

const handle = (): void => undefined;
const { routes } = new Registry([
  defineActor({
    type: 'driver',
    sends: [],
    state: () => ({}),
    events: { ping: { key: 'driverId', handle } },
  }),
  defineActor({
    type: 'rider',
    sends: [],
    state: () => ({}),
    events: { asked: { key: 'riderId', handle }, left: { key: 'riderId', handle } },
  }),
]);

const key = fc.constantFrom('a', 'b', 'c');
const ping = fc.record({ type: fc.constant('ping'), driverId: key, ts: fc.nat() });
const asked = fc.record({ type: fc.constant('asked'), riderId: key, ts: fc.nat(), lat: fc.double() });
const left = fc.record({ type: fc.constant('left'), riderId: key, ts: fc.nat() });

function orderOf(events: readonly ActorEvent[]): number[] | undefined {
  const bytes = encodeEventFrame({ producer: 'p', mode: 'live', seq: 0, watermarkMs: 0, end: false, events });
  const frame = openEventFrame(bytes);
  const order = actorOrder(frame.events, frame.count, routes);
  return order && [...order];
}

const actorOf = (event: ActorEvent): string =>
  `${event['driverId'] ? 'driver' : 'rider'} ${String(event['driverId'] ?? event['riderId'])}`;

describe('actorOrder', () => {
  it('property: takes each event once, actor by actor, and those of an actor as they stand, whatever their types', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(ping, asked, left), { minLength: 1, maxLength: 60 }), (events) => {
        const order = orderOf(events);
        const actors = new Set(events.map(actorOf));
        if (order === undefined) {
          expect(actors.size).toBeGreaterThan(events.length * 0.75);
          return;
        }
        expect(order.toSorted((a, b) => a - b)).toEqual(events.map((_, i) => i));
        const inOrder = order.map((i) => actorOf(events[i]!));
        // Each actor's events stand together.
        expect(inOrder.filter((actor, i) => actor !== inOrder[i - 1]).length).toBe(actors.size);
        for (const actor of actors)
          expect(order.filter((i) => actorOf(events[i]!) === actor)).toEqual(
            events.flatMap((event, i) => (actorOf(event) === actor ? [i] : [])),
          );
      }),
      { numRuns: 500 },
    );
  });

  it('leaves as they stand events of few that come again, of a type that nobody takes, and without a key', () => {
    const pings = (keys: readonly unknown[]): ActorEvent[] =>
      keys.map((driverId, i) => ({ type: 'ping', driverId, ts: i }));
    expect(orderOf(pings(['a', 'b', 'c', 'd']))).toBeUndefined();
    expect(orderOf(pings(['a', 'b', 'a', 'b']))).toEqual([0, 2, 1, 3]);
    expect(
      orderOf([...pings(['a', 'a']), { type: 'ghost', ts: 1 }, { type: 'ghost', ts: 2 }]),
    ).toBeUndefined();
    expect(orderOf(pings([1, 1, 1, 1]))).toBeUndefined();
    expect(orderOf([])).toBeUndefined();
  });
});
