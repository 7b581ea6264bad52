// Hunts: an actor that comes back from its record as another than the one that was stored.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RegisteredType } from '../../../src/actor/registry.js';
import type { ActorId } from '../../../src/core/ids.js';
import { Times } from '../../../src/core/times.js';
import {
  decodeActor,
  encodeActor,
  encodeState,
  newResident,
  restoreState,
  type Resident,
} from '../../../src/partition/actor-record.js';
import { EventIds } from '../../../src/partition/event-ids.js';
import type { Trouble } from '../../../src/partition/quarantine.js';

const type = { behaviour: {} } as RegisteredType;

function actor(parts: Partial<Resident>): Resident {
  return { ...newResident('cell/9q8yyk' as ActorId, type), ...parts };
}

const times = fc.option(
  fc
    .array(fc.tuple(fc.string({ unit: 'binary' }), fc.double({ noNaN: true })), {
      minLength: 1,
      maxLength: 20,
    })
    .map((pairs) => new Map(pairs)),
  { nil: undefined },
);
const state = fc.oneof(
  fc.uint8Array({ maxLength: 2_000 }),
  // msgpackr gives this name another letter, so that nobody changes what all objects have.
  fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__')),
  fc.record({ bytes: fc.uint8Array(), n: fc.double({ noNaN: true }) }),
);
const plain = (value: unknown): unknown => (value instanceof Uint8Array ? [...value] : value);

describe('the record of an actor', () => {
  it('P5 property: gives back state, timers and event ids as they were', () => {
    fc.assert(
      fc.property(state, times, times, (state, timers, seen) => {
        const record = decodeActor(
          encodeActor(
            actor({ state, timers: timers && new Times(timers), seen: seen && new EventIds(seen) }),
          ).take(),
        );
        expect(record.timers && new Map(record.timers)).toEqual(timers);
        expect(record.seen && new Map(record.seen)).toEqual(seen);
        expect(record.trouble).toBeUndefined();
        if (state instanceof Uint8Array) expect(plain(record.state)).toEqual(plain(state));
        else expect(JSON.stringify(record.state)).toBe(JSON.stringify(state));
      }),
    );
  });

  it('P5 has what is wrong with an actor, and goes back to state and timers alone', () => {
    const trouble: Trouble = { failures: 2, quarantine: undefined };
    const stored = actor({ state: { n: 1 }, timers: new Times([['wake', 5]]), trouble });
    expect(decodeActor(encodeActor(stored).take()).trouble).toEqual(trouble);
    const before = encodeState(stored);
    stored.state = { n: 2 };
    stored.timers = undefined;
    stored.forgotten = true;
    restoreState(stored, before);
    expect(stored).toMatchObject({
      state: { n: 1 },
      timers: new Times([['wake', 5]]),
      trouble,
      forgotten: false,
    });
  });

  it('writes the same after one that could not be stored', () => {
    const good = actor({ state: { n: 1 }, timers: new Times([['wake', 5]]) });
    const before = encodeActor(good);
    const endless: { self?: unknown } = {};
    endless.self = endless;
    expect(() => encodeActor(actor({ state: endless, timers: new Times([['x', 1]]) }))).toThrow();
    expect(encodeActor(good)).toEqual(before);
  });

  it('that is cut short is an error, not another actor', () => {
    const bytes = encodeActor(actor({ state: { n: 1 }, timers: new Times([['wake', 5]]) })).take();
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeActor(bytes.subarray(0, length)), `${length} bytes`).toThrow();
  });
});
