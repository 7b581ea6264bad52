// Hunts: a node declared dead that lives, because the server was away or this process hung; one that stays alive for ever.
import { beforeEach, describe, expect, it } from 'vitest';
import { Members } from '../../../../src/node/membership/members.js';
import { recordOf } from './records.js';

const TTL_MS = 2_000;
let members: Members;
beforeEach(() => {
  members = new Members(TTL_MS);
});
const alive = (): string[] =>
  members
    .list()
    .filter((member) => member.alive)
    .map(({ record }) => record.id);

describe('M1 a node is alive while its lease is heard', () => {
  it('from the first on; what it says again is no news, what is different is', () => {
    expect(members.heard(recordOf('a'), 1, 0)).toBe(true);
    expect(members.heard(recordOf('a'), 2, 600)).toBe(false);
    expect(members.heard(recordOf('a', { owned: [1] }), 3, 1_200)).toBe(true);
    expect(members.heard(recordOf('a', { owned: [1], instance: 'a-2' }), 4, 1_300)).toBe(true);
    expect(alive()).toEqual(['a']);
  });

  it('and is dead after its time, when that is proved', () => {
    members.heard(recordOf('a'), 1, 0);
    members.heard(recordOf('b'), 2, 500);
    expect(members.nextSilenceMs()).toBe(2_000);
    expect(members.heardAllBefore(1_999)).toBe(false);
    expect(members.heardAllBefore(2_000)).toBe(true);
    expect(alive()).toEqual(['b']);
    expect(members.nextSilenceMs()).toBe(2_500);
  });

  it('a dead node that is heard again lives again', () => {
    members.heard(recordOf('a'), 1, 0);
    members.heardAllBefore(5_000);
    expect(members.heard(recordOf('a'), 2, 5_100)).toBe(true);
    expect(alive()).toEqual(['a']);
  });

  it('hearing the same write again is no sign of life', () => {
    members.heard(recordOf('a'), 7, 0);
    expect(members.heard(recordOf('a'), 7, 1_900)).toBe(false);
    expect(members.heard(recordOf('a', { owned: [3] }), 6, 1_900)).toBe(false);
    expect(members.heardAllBefore(2_000)).toBe(true);
    expect(members.list()[0]).toMatchObject({ alive: false, heardAtMs: 0, record: { owned: [] } });
  });
});

describe('M2 silence counts only with proof', () => {
  it('nobody dies by the clock alone, however long nothing is heard', () => {
    members.heard(recordOf('a'), 1, 0);
    // Whatever is said of its time, there is no write of ours that was heard after it.
    expect(members.heardAllBefore(1_500)).toBe(false);
    expect(members.heard(recordOf('b'), 2, 1_000_000)).toBe(true);
    expect(alive()).toEqual(['a', 'b']);
  });

  it('what had piled up while this process hung is heard before the proof', () => {
    members.heard(recordOf('a'), 1, 0);
    // It wakes after a minute: the last write that is proved is of before.
    expect(members.heardAllBefore(300)).toBe(false);
    members.heard(recordOf('a'), 90, 60_000);
    expect(members.heardAllBefore(60_001)).toBe(false);
    expect(alive()).toEqual(['a']);
  });
});

describe('M3 after trouble all have time to come back', () => {
  beforeEach(() => {
    members.heard(recordOf('a'), 1, 0);
    members.heard(recordOf('b'), 2, 0);
    members.troubled();
  });

  it('for one time to live, and no longer', () => {
    members.calm(10_000);
    expect(members.heardAllBefore(11_999)).toBe(false);
    members.heard(recordOf('a'), 3, 11_999);
    expect(members.heardAllBefore(12_000)).toBe(true);
    expect(alive()).toEqual(['a']);
  });

  it('leases that ran out meanwhile say nothing, whether they are told before or after', () => {
    expect(members.gone('a', 9_999)).toBe(false);
    members.calm(10_000);
    expect(members.gone('b', 10_001)).toBe(false);
    expect(alive()).toEqual(['a', 'b']);
    expect(members.gone('b', 12_000)).toBe(true);
  });

  it('every new trouble begins the time anew', () => {
    members.calm(10_000);
    members.troubled();
    members.calm(11_500);
    expect(members.heardAllBefore(13_000)).toBe(false);
    expect(members.heardAllBefore(13_500)).toBe(true);
  });
});

describe('M4 otherwise who is gone is gone', () => {
  it('at once, and once', () => {
    members.heard(recordOf('a'), 1, 0);
    expect(members.gone('a', 10)).toBe(true);
    expect(members.gone('a', 11)).toBe(false);
    expect(members.gone('nobody', 11)).toBe(false);
    expect(alive()).toEqual([]);
    expect(members.nextSilenceMs()).toBeUndefined();
  });
});

describe('P8 what is remembered is bounded', () => {
  it('the dead are forgotten after ten minutes', () => {
    members.heard(recordOf('a'), 1, 0);
    members.heardAllBefore(2_000);
    members.heardAllBefore(600_000);
    expect(members.list().length).toBe(1);
    members.heardAllBefore(600_001);
    expect(members.list()).toEqual([]);
  });

  it('and there are no more than 4,096', () => {
    for (let i = 0; i < 5_000; i++) members.heard(recordOf(`n${i}`), i + 1, 0);
    expect(members.list().length).toBe(4_096);
  });
});
