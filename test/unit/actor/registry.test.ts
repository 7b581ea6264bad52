// Hunts: a region that starts with behaviours that can never work: windows that never close, messages to nobody, an
// event that goes to whoever was registered first.
import { describe, expect, it } from 'vitest';
import { defineActor, type Behaviour, type Send } from '../../../src/actor/behaviour.js';
import { Registry } from '../../../src/actor/registry.js';
import { GroundswellError } from '../../../src/core/errors.js';

function type(name: string, sends: readonly Send[] = [], events: readonly string[] = []): Behaviour {
  const handler = { key: 'id', handle: () => undefined };
  return defineActor<unknown>({
    type: name,
    sends,
    state: () => ({}),
    events: Object.fromEntries(events.map((event) => [event, handler])),
  });
}
const stages = (registry: Registry): Record<string, number> =>
  Object.fromEntries([...registry.types].map(([name, { stage }]) => [name, stage]));

function refusalOf(...behaviours: Behaviour[]): string {
  try {
    new Registry(behaviours);
  } catch (error) {
    expect(error).toBeInstanceOf(GroundswellError);
    expect((error as GroundswellError).code).toBe('GS_BEHAVIOUR');
    return (error as Error).message;
  }
  return 'not refused';
}

describe('Registry', () => {
  it('a stage is one more than the deepest sender’s, whatever the order of registration', () => {
    const types = [
      type('region'),
      type('gh4', ['region']),
      type('gh5', ['gh4']),
      type('cell', ['gh5']),
      type('driver', ['cell']),
      type('rider', ['cell', 'region']),
    ];
    const expected = { driver: 0, rider: 0, cell: 1, gh5: 2, gh4: 3, region: 4 };
    expect(stages(new Registry(types))).toEqual(expected);
    expect(stages(new Registry(types.reverse()))).toEqual(expected);
    expect(new Registry(types).stages).toBe(5);
  });

  it('types that send to nobody and hear from nobody are at stage 0', () => {
    expect(new Registry([type('a'), type('b')]).stages).toBe(1);
    expect(new Registry([]).stages).toBe(1);
  });

  it('refuses a cycle of timed sends, naming it in the order of the sends', () => {
    expect(refusalOf(type('a', ['b']), type('b', ['c']), type('c', ['a']))).toMatch(
      /a → b → c → a|b → c → a → b|c → a → b → c/,
    );
    expect(refusalOf(type('x', ['x']))).toContain('x → x');
  });

  it('names only the cycle, not the way to it', () => {
    const message = refusalOf(type('far', ['a']), type('a', ['b']), type('b', ['a']));
    expect(message).toMatch(/ (a → b → a|b → a → b) /);
    expect(message).not.toContain('far');
  });

  it('an async send may close a cycle, and gives no depth', () => {
    const registry = new Registry([type('a', ['b']), type('b', [{ to: 'a', async: true }])]);
    expect(stages(registry)).toEqual({ a: 0, b: 1 });
  });

  it('refuses a send to a type that is not registered, async or not, naming both', () => {
    expect(refusalOf(type('a', ['ghost']))).toMatch(/"a".*"ghost"/);
    expect(refusalOf(type('a', [{ to: 'ghost', async: true }]))).toMatch(/"a".*"ghost"/);
  });

  it('refuses an event at a stage above 0: events carry no marks', () => {
    const message = refusalOf(type('driver', ['cell']), type('cell', [], ['ride.requested']));
    expect(message).toMatch(/"cell".*"ride\.requested".*stage 1/);
  });

  it('refuses an event with two homes, naming both', () => {
    const message = refusalOf(type('rider', [], ['ride.requested']), type('audit', [], ['ride.requested']));
    expect(message).toMatch(/ride\.requested.*rider.*audit/);
  });

  it('refuses a type that is registered twice', () => {
    expect(refusalOf(type('cell'), type('cell'))).toMatch(/"cell".*twice/);
  });

  it.each(['', 'Cell', 'a/b', 'a.b', 'ä', 'x'.repeat(33)])('refuses the type name "%s"', (name) => {
    expect(refusalOf(type(name))).toContain(`"${name}"`);
  });

  it('an event goes to its type, by the field that holds the key', () => {
    const rider = defineActor({
      type: 'rider',
      sends: [],
      state: () => ({}),
      events: { 'session.opened': { key: 'riderId', handle: () => undefined } },
    });
    const route = new Registry([rider, type('driver')]).routes.get('session.opened');
    expect([route?.type.behaviour.type, route?.keyField]).toEqual(['rider', 'riderId']);
  });
});
