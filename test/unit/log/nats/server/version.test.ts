// Hunts: 2.9 taken for newer than 2.14, a pre-release taken for its release, any program taken for nats-server.
import { describe, expect, it } from 'vitest';

import { compareVersions, isNewEnough, parseVersion } from '../../../../../src/log/nats/server/version.js';

describe('versions of nats-server', () => {
  it('are read from what the program prints', () => {
    expect(parseVersion('nats-server: v2.15.1\n')).toBe('2.15.1');
    expect(parseVersion('nats-server: v2.15.0-RC.2')).toBe('2.15.0-RC.2');
    expect(parseVersion('bash: no version here')).toBeUndefined();
  });

  it('are ordered by number, not by letter, and a pre-release stands before its release', () => {
    const ordered = [
      '2.9.25',
      '2.10.29',
      '2.14.4',
      '2.14.5-RC.1',
      '2.14.5',
      '2.15.0-preview.1',
      '2.15.0',
      '2.15.1',
      '2.100.0',
      '10.0.0',
    ];
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries())
        expect(Math.sign(compareVersions(a, b)), `${a} and ${b}`).toBe(Math.sign(i - j));
    }
  });

  it('are new enough from 2.14.5 on', () => {
    expect(['2.10.29', '2.14.4', '2.14.5-RC.1'].map(isNewEnough)).toEqual([false, false, false]);
    expect(['2.14.5', '2.15.0-RC.2', '2.15.1', '3.0.0'].map(isNewEnough)).toEqual([true, true, true, true]);
  });
});
