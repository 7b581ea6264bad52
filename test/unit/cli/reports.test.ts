/**
 * What the commands that look inside print for people. Hunts warnings that cry wolf (a replay is no outage) or keep
 * silent, values under the wrong window, and text from outside that steers the terminal or floods it.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GroundswellError } from '../../../src/core/errors.js';
import type { DeadLetter } from '../../../src/cli/node-answers.js';
import { every, letterLines, listLines, replayAll, replayLines } from '../../../src/cli/dead.js';
import { quarantineLines, untilReleased } from '../../../src/cli/quarantine.js';
import { featureLines, parsePlace } from '../../../src/cli/get.js';
import { actorLines, parseActor } from '../../../src/cli/inspect.js';
import type { FeatureReport } from '../../../src/cli/node-answers.js';
import { readable } from '../../../src/cli/readable.js';
import { statusLines, unusual } from '../../../src/cli/status.js';
import { notes, rate, topLines } from '../../../src/cli/top.js';
import { liveLine, rowLine } from '../../../src/cli/watch.js';
import type { ActorView } from '../../../src/node/status.js';
import { cell, member, partition, regionPartition, report, row, T0 } from './fake-node.js';

const SF = 'America/Los_Angeles';
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

describe('status', () => {
  const ready = { ready: true, reasons: [] };

  it('shows the node, each partition with its owner, and what was counted', () => {
    const counters = {
      'refused.outside_region': 9,
      'refused.malformed': 3,
      late: 4,
      'late.driver.location': 4,
      duplicates: 5,
      missing: 2,
    };
    const text = statusLines(report({}, { counters }), ready, 'http://127.0.0.1:7380').join('\n');
    expect(text).toContain('sf-1 in sf: running for 2 h 5 min, ready');
    expect(text).toContain('nats://127.0.0.1:41234, version 2.15.1, embedded, connected');
    expect(text).toContain('2026-03-02 08:41:00 PST (16:41:00 UTC)');
    expect(text).toMatch(
      /^ +1 {2}sf-1 +– +1 +0 {2}08:40:54 +5\.2 s +http:sf-1:1a2b3c4d +1,234 {2}300 ms ago +4,321 {2}– +1,201$/m,
    );
    expect(text).toMatch(/events +1,160,979 /);
    expect(text).toMatch(/refused +12 {2}outside_region 9, malformed 3$/m);
    expect(text).toMatch(/late +4 {2}driver\.location 4$/m);
    expect(text).toMatch(/duplicates +5$/m);
    expect(text).toMatch(/missing +2 {2}that a producer left out$/m);
    expect(text).toMatch(/actors +2,402 {2}in memory; snapshot 40 MiB, 12 to be written$/m);
    expect(text).not.toContain('unusual');
  });

  it('says why a node is not ready', () => {
    const lines = statusLines(report(), { ready: false, reasons: ['the node is draining'] }, 'http://x');
    expect(lines[0]).toContain('not ready');
    expect(lines).toContain('  not ready: the node is draining');
  });

  it('works for a node before anything came', () => {
    const fresh = partition(0, {
      watermarkMs: 0,
      closedMs: [0],
      holder: undefined,
      committedAtMs: undefined,
    });
    const node = report({}, { partitions: [fresh] });
    expect(unusual(node)).toEqual([]);
    expect(statusLines(node, ready, 'http://x').join('\n')).toMatch(/0 {2}sf-1 +– +1 +0 {2}– +– +– /);
    expect(unusual(report({}, { partitions: [] }))).toEqual([]);
  });
});

describe('status of a region of several nodes', () => {
  const ready = { ready: true, reasons: [] };
  const second = member({
    id: 'ffee',
    name: 'sf-2',
    self: false,
    owned: [1],
    ready: [0],
    lastSeenMsAgo: 640,
  });
  const shown = (over: Parameters<typeof report>[0]): string =>
    statusLines(report(over), ready, 'http://x').join('\n');

  it('shows the nodes, and each partition with owner, standbys, epoch and base', () => {
    const base = { name: 'b', journalSeq: 1, madeAtMs: T0 - 120_000, bytes: 1 };
    const text = shown({
      nodes: [member({ owned: [0], ready: [1] }), second],
      partitions: [
        regionPartition(0, {
          standbys: [{ id: 'ffee', name: 'sf-2', ready: true, lagMessages: 0 }],
          status: partition(0, { epoch: 7, base }),
        }),
        regionPartition(1, {
          owner: { id: 'ffee', name: 'sf-2' },
          standbys: [{ id: 'x', name: 'sf-1', ready: false, lagMessages: 9_000 }],
        }),
      ],
    });
    expect(text).toMatch(/^ {2}sf-1 +ab12cd34 +alive +1 +1 {2}asked +http:\/\/127\.0\.0\.1:7380$/m);
    expect(text).toMatch(/^ {2}sf-2 +ffee +alive +1 +1 {2}640 ms ago/m);
    expect(text).toMatch(/^ +0 {2}sf-1 +sf-2 +7 +0 .* 4,321 {2}2 min old +1,201$/m);
    expect(text).toMatch(/^ +1 {2}sf-2 +sf-1 \(9,000 behind\) +1 /m);
  });

  it('says loudly what has no owner, and what of a silent node is not known', () => {
    const text = shown({
      nodes: [member({ owned: [] }), member({ ...second, state: 'silent', serving: null, events: null })],
      partitions: [
        regionPartition(0, { owner: null, status: null }),
        regionPartition(1, { owner: { id: 'ffee', name: 'sf-2' }, status: null, journalMessages: null }),
      ],
      alarms: [
        { kind: 'no-owner', partitions: [0], message: 'Partition 0 has no owner: …' },
        { kind: 'held', partitions: [0], message: 'told among what is unusual' },
      ],
    });
    expect(text).toContain('  ALARM: Partition 0 has no owner: …');
    expect(text).not.toContain('told among');
    expect(text).toMatch(/^ +0 {2}NOBODY +– /m);
    expect(text).toMatch(/^ +1 {2}sf-2 +– +\? +\? /m);
    expect(text).toMatch(/^ {2}sf-2 +ffee +silent/m);
  });

  it('tells a node whose lease is not fresh from one that works', () => {
    const text = shown({ nodes: [member(), member({ ...second, serving: false })] });
    expect(text).toMatch(/^ {2}sf-2 +ffee +lease not fresh/m);
  });
});

describe('the rate of a region', () => {
  const at = (nowMs: number, ...events: readonly (number | null)[]): ReturnType<typeof report> =>
    report({ nowMs, nodes: events.map((n, i) => member({ id: `n${i}`, events: n })) });

  it('is that of all nodes that were there before', () => {
    expect(rate(at(T0, 100, 200), at(T0 + 2_000, 300, 600))).toBe(300);
    expect(rate(at(T0, 100), at(T0 + 2_000, 300, 9_000))).toBe(100);
    expect(rate(at(T0, 100, 200), at(T0 + 1_000, 150, null))).toBe(50);
  });

  it('is not told at first, nor of nodes that began anew', () => {
    expect(rate(undefined, at(T0, 1))).toBeUndefined();
    const anew = report({ nowMs: T0 + 1_000, nodes: [member({ id: 'n0', startedAtMs: T0, events: 5 })] });
    expect(rate(at(T0, 100), anew)).toBeUndefined();
  });

  it('comes with what stands still', () => {
    const alarms = [
      { kind: 'no-owner', partitions: [3], message: 'Partition 3 has no owner.' },
      { kind: 'no-standby', partitions: [1], message: 'not here' },
    ] as const;
    expect(notes(report({ alarms }))).toEqual(['Partition 3 has no owner.']);
  });
});

describe('what is unusual', () => {
  it('is nothing while all goes well', () => {
    expect(unusual(report())).toEqual([]);
  });

  it('is a partition behind the clock, with the producer that holds it back', () => {
    const slow = partition(7, { watermarkMs: T0 - 40_000, holder: 'http:a' });
    expect(unusual(report({}, { partitions: [partition(0), slow] }))).toEqual([
      'partition 7 is 40 s behind the clock: producer http:a holds it back',
    ]);
  });

  it('is said once of all partitions that one producer holds back', () => {
    const slow = [0, 1, 2, 5].map((id) => partition(id, { watermarkMs: T0 - 40_000 - id, holder: 'a' }));
    expect(unusual(report({}, { partitions: [...slow, partition(6)] }))).toEqual([
      'partitions 0–2, 5 are up to 40 s behind the clock: producer a holds them back',
    ]);
  });

  it('is not the age of events that are replayed, but a partition behind the others then', () => {
    const replayed = Date.UTC(2008, 4, 21, 12);
    const partitions = [0, 1].map((id) => partition(id, { watermarkMs: replayed }));
    expect(unusual(report({}, { partitions }))).toEqual([
      'event time is 2008-05-21 05:00:00 PDT (12:00:00 UTC), not the clock’s: events are replayed',
    ]);
    const behind = partition(2, { watermarkMs: replayed - 3_600_000, holder: undefined });
    expect(unusual(report({}, { partitions: [...partitions, behind] }))[1]).toBe(
      'partition 2 is 1 h behind the foremost partition: no producer holds it back',
    );
  });

  it('is input, publishing, retention, clock and connection that fall behind', () => {
    const stats = { ...report().node.stats, retentionFailures: 1 };
    const sentences = unusual(
      report(
        {
          nats: { ...report().nats, connected: false },
          publisher: { published: 0, lagMessages: 5_000 },
        },
        { partitions: [partition(3, { lagMessages: 12_000 })], stats, clockBehindMs: 12_000 },
      ),
    );
    expect(sentences).toEqual([
      'the connection to nats-server at nats://127.0.0.1:41234 is down',
      'this machine’s clock is 12 s behind the last commit: live windows wait for it',
      'partition 3 has 12,000 messages still to take',
      'publishing is 5,000 messages behind what is committed',
      'old inputs could not be removed 1 time: the stream grows until they are',
    ]);
  });
});

describe('the features of a place', () => {
  const features: FeatureReport = {
    region: 'sf',
    level: 'cell',
    key: '9q8yyk',
    watermark: T0,
    rows: {
      '5m': row({ window: '5m', start: T0 - 300_000, features: { requests: 11, drivers_mean: 2.123456 } }),
      '1m': row({ rev: 2 }),
    },
    live: { minute: T0, open: 6, requests: 2 },
    stale: false,
  };

  it('stand under their windows, the shortest first, with local time and UTC', () => {
    const lines = featureLines(features, SF, false);
    expect(lines[0]).toBe('cell/9q8yyk in sf, final up to 2026-03-02 08:41:00 PST (16:41:00 UTC)');
    expect(lines).toContain('  window                1m        5m');
    expect(lines).toContain('  from (PST)      08:40:00  08:36:00');
    expect(lines).toContain('  from (UTC)      16:40:00  16:36:00');
    expect(lines).toContain('  corrected     revision 2');
    expect(lines.find((line) => line.startsWith('  requests'))).toMatch(/ 3 +11$/);
    expect(lines.find((line) => line.startsWith('  drivers_mean'))).toMatch(/ 2\.123$/);
    expect(lines.at(-1)).toBe('  surge × 1.2  score 1.174, model surge-linear@1');
  });

  it('now are only told when asked for, and as provisional', () => {
    expect(featureLines(features, SF, false).join('\n')).not.toContain('now');
    const text = featureLines(features, SF, true).join('\n');
    expect(text).toContain('now        open 6  enroute 0  busy 0');
    expect(text).toContain('so far in 08:41 PST (16:41 UTC), provisional:');
    expect(featureLines({ ...features, live: null }, SF, true).join('\n')).toContain('nothing is known');
  });

  it('come with a warning when they are stale', () => {
    const text = featureLines({ ...features, stale: true, watermark: T0 + 600_000 }, SF, false)[1];
    expect(text).toContain('stale: the newest row is 10 min older');
    expect(featureLines({ ...features, stale: true, rows: {}, watermark: null }, SF, true)[1]).toContain(
      'stale',
    );
  });

  it('of the last minutes are a line each', () => {
    const history = [1, 2].map((i) =>
      row({ start: T0 - i * 60_000, features: { requests: i, open_end: 0 } }),
    );
    const lines = featureLines({ ...features, rows: {}, history }, SF, false);
    expect(lines.slice(-3)).toEqual([
      '  minute (PST)  (UTC)  surge  requests  open_end',
      '  08:40         16:40  × 1.2         1         0',
      '  08:39         16:39  × 1.2         2         0',
    ]);
    expect(featureLines({ ...features, history: [] }, SF, false).at(-1)).toContain('no minutes');
  });

  it('are asked for by a place, and a mistyped one is told what was meant', () => {
    expect(parsePlace('cell/9q8yyk')).toEqual({ level: 'cell', key: '9q8yyk' });
    expect(parsePlace('region')).toEqual({ level: 'region', key: '' });
    expect(parsePlace('interest/9q8yy')).toEqual({ level: 'interest', key: '9q8yy' });
    for (const [text, told] of [
      ['9q8yyk', 'did you mean cell/9q8yyk?'],
      ['9q8y', 'did you mean gh4/9q8y?'],
      ['cell/9q8y', 'no geohash of 6 characters'],
      ['cell/9q8yya', 'no geohash of 6 characters'],
      ['gh5/9q8yyk', 'no geohash of 5 characters'],
      ['cell/', 'is no place'],
      ['', 'is no place'],
    ] as const)
      expect(() => parsePlace(text), text).toThrow(told);
  });
});

describe('a watched line', () => {
  it('of a row has its time, place, window, surge and what is not zero', () => {
    expect(rowLine(row(), SF)).toBe(
      '08:40–08:41  cell/9q8yyk    1m  × 1.2  requests 3  open_end 7  open_s 412  busy_s 180.5  drivers 9  pickups 2',
    );
    expect(rowLine(row({ level: 'region', key: 'sf', surge: undefined, rev: 1 }), 'UTC')).toContain(
      '16:40–16:41  sf             1m         revision 1  requests 3',
    );
  });

  it('of a live value says that it is of now', () => {
    const live = {
      kind: 'live',
      level: 'cell',
      key: '9q8yyk',
      values: { minute: T0, open: 3, busy: 0 },
      at: T0,
    } as const;
    expect(liveLine(live, SF)).toBe('08:41:00     cell/9q8yyk   now         open 3');
  });
});

describe('the top cells', () => {
  it('are a table with their half hour', () => {
    const lines = topLines(
      { watermark: T0, cells: [cell(), cell({ key: '9q8yym', multiplier: null, raw: null })] },
      SF,
    );
    expect(lines[2]).toMatch(/^9q8yyk {2}× 1\.2 {2}1\.17 +3 +7 +6 .*▁ ▁▂$/);
    expect(lines[3]).toMatch(/^9q8yym {2}– +– /);
    expect(topLines({ watermark: null, cells: [] }, SF)).toEqual([
      'No cell has a surge multiplier yet, final up to –',
    ]);
  });
});

describe('an actor', () => {
  const view = (over: Partial<ActorView>): ActorView => ({
    id: 'cell/9q8yyk' as ActorView['id'],
    type: 'cell',
    key: '9q8yyk',
    stage: 1,
    partition: 1,
    state: {},
    timers: {},
    seenIds: 0,
    resident: true,
    commit: 1_234,
    ...over,
  });

  it('with windows shows its panes, newest first, the counters by name', () => {
    const panes = Array.from({ length: 20 }, (_, i) => ({
      start: T0 - (20 - i) * 60_000,
      counters: { open_ms: 43_000, requests: i },
      ...(i === 19 ? { sketch: [1, 2, 3, 4] } : {}),
    }));
    const state = { panes, late: [T0], revisions: [1, 2, 3] };
    const lines = actorLines(view({ state, timers: { close: T0 } }), report(), false);
    const text = lines.join('\n');
    expect(text).toContain('  partition  1, owned by sf-1');
    expect(text).toContain('  stage      1, closed up to 2026-03-02 08:40:00 PST (16:40:00 UTC)');
    expect(text).toContain('  close  2026-03-02 08:41:00 PST (16:41:00 UTC)  in 1 min of event time');
    const due = actorLines(view({ state, timers: { close: T0 - 60_000 } }), report(), false).join('\n');
    expect(due).toContain('  close  2026-03-02 08:40:00 PST (16:40:00 UTC)  fires next');
    expect(text).toContain('  08:40       16:40  open_ms 43,000  requests 19  sketch of 2 bins');
    expect(text).toContain('… 5 older panes: --full shows them');
    expect(text).toContain('changed late: 08:41:00');
    expect(actorLines(view({ state }), report(), true).join('\n')).toContain('requests 0');
  });

  it('of another kind shows its state, with the times that it holds', () => {
    const state = { last: { ts: T0, status: 'open', cell: '9q8yyk' }, shown: true, minute: T0 };
    const text = actorLines(view({ state, resident: false, seenIds: 3 }), report(), false).join('\n');
    expect(text).toContain('passivated');
    expect(text).toContain('3 remembered');
    expect(text).toContain('last: {ts: 08:41:00, status: open, cell: 9q8yyk}');
    expect(text).toContain(`minute: ${T0} (08:41:00)`);
    expect(text).toContain('none: nothing of it waits');
  });

  it('is named by type and key, and a key may hold slashes', () => {
    expect(parseActor('driver/a/b')).toEqual({ type: 'driver', key: 'a/b' });
    for (const text of ['driver', 'driver/', '/x', '']) expect(() => parseActor(text)).toThrow('no address');
  });
});

describe('dead letters', () => {
  const letter = {
    seq: 1_041,
    atMs: T0,
    type: 'ride_requested',
    reason: 'outside_region',
    message: 'too far\u001b[2J',
    body: '{"lat": 1}',
  };

  it('are a line each, and the next page is a command away', () => {
    const lines = listLines({ items: [letter], more: true, before: 1_000 }, SF, {
      type: 'ride.requested',
      limit: 1,
    });
    expect(lines[1]).toMatch(
      /^1041 {2}2026-03-02 08:41:00 PST \(16:41:00 UTC\) {2}ride_requested {2}outside_region {2}too far/,
    );
    expect(lines.at(-1)).toBe(
      'There are more: groundswell dead list --type ride.requested --limit 1 --before 1000',
    );
    expect(listLines({ items: [], more: false }, SF, { limit: 1 })).toEqual(['No dead letters.']);
  });

  it('are shown whole, whatever is in them', () => {
    const text = letterLines({ ...letter, atMs: null, message: null, extra: { deep: [[[[1]]]] } }, SF).join(
      '\n',
    );
    expect(text).toContain('{"lat": 1}');
    expect(text).toContain('1');
  });

  it('never steer the terminal', () => {
    for (const lines of [
      listLines({ items: [letter], more: false }, SF, { limit: 1 }),
      letterLines(letter, SF),
    ])
      expect(lines.join('\n')).not.toMatch(CONTROL);
  });
});

describe('readable data', () => {
  it('is bounded in depth, length and width, and says what it left out', () => {
    const deep = { a: { b: { c: { d: { e: { f: [1, 2, 3] } } } } } };
    expect(readable(deep).join('\n')).toContain('d: (1 names)');
    expect(readable(deep, { full: true }).join('\n')).toContain('f: [1, 2, 3]');
    const long = { list: Array.from({ length: 1_000 }, (_, i) => ({ i, text: 'x'.repeat(500) })) };
    const lines = readable(long);
    expect(lines.length).toBeLessThan(60);
    expect(lines.join('\n')).toContain('… 988 more');
    for (const line of lines) expect(line.length).toBeLessThan(200);
  });

  it('of any value takes few lines and holds no control characters', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const lines = readable(value);
        expect(lines.join('\n')).not.toMatch(CONTROL);
        expect(lines.length).toBeLessThan(12 ** 4);
      }),
    );
  });

  it('shows empty things as such', () => {
    expect(readable({ a: [], b: {}, c: null })).toEqual(['a: []', 'b: {}', 'c: null']);
    expect(readable([])).toEqual(['(empty list)']);
    expect(readable('x')).toEqual(['x']);
  });
});

describe('a replay of dead letters', () => {
  it('takes all of a kind over their pages, the oldest first, and says what became of each', async () => {
    const asked: unknown[] = [];
    const seqs = await every(
      {
        deadLetters(ask) {
          asked.push(ask);
          return Promise.resolve(
            ask.before === undefined
              ? { items: [letter(9), letter(8)], more: true, before: 8 }
              : { items: [letter(3)], more: false },
          );
        },
      },
      { reason: 'threw' },
    );
    expect(seqs).toEqual([3, 8, 9]);
    expect(asked).toEqual([
      { reason: 'threw', limit: 500 },
      { reason: 'threw', limit: 500, before: 8 },
    ]);
    const report = await replayAll(
      {
        replayDead(seq) {
          if (seq === 3) return Promise.reject(new GroundswellError('GS_REPLAYED', 'before'));
          if (seq === 8) return Promise.reject(new GroundswellError('GS_USAGE', 'it is a message'));
          return Promise.resolve({ seq, type: 'ride.requested', id: `dead-${seq}` });
        },
      },
      seqs,
      false,
    );
    expect(report).toMatchObject({ before: [3], refused: [{ seq: 8 }], replayed: [{ seq: 9 }] });
    expect(replayLines(report)).toEqual([
      '9  ride.requested is in again, as dead-9',
      '3  was replayed before: --again brings it in once more',
      '8  it is a message',
    ]);
    expect(replayLines({ replayed: [], before: [], refused: [] })).toEqual(['There is nothing to replay.']);
  });

  it('ends with the first that the node cannot answer', async () => {
    const busy = new GroundswellError('GS_BUSY', 'full');
    await expect(replayAll({ replayDead: () => Promise.reject(busy) }, [1], false)).rejects.toBe(busy);
  });
});

describe('actors in quarantine', () => {
  const one = {
    actor: 'cell/9q8yyk' as ActorView['id'],
    sinceMs: T0,
    failures: 5,
    kept: 12,
    keptBytes: 9,
    commit: 3,
  };

  it('are a table; what is not known is said', () => {
    const lines = quarantineLines({ count: 3, actors: [one], silent: ['sf-2'] }, SF);
    expect(lines.join('\n')).toMatch(/sf-2 did not answer[^]*cell\/9q8yyk .*08:41:00 .* 5 +12[^]*2 more/);
    expect(quarantineLines({ count: 0, actors: [], silent: [] }, SF)).toEqual(['No actor is in quarantine.']);
  });

  it('a release waits until the actor goes on, or is back', async () => {
    const views = [{ quarantine: { sinceMs: T0, kept: 1, keptBytes: 1 } }, {}] as ActorView[];
    const client = (list: ActorView[]) => ({ actor: () => Promise.resolve(list.shift()!) });
    const of = { type: 'cell', key: '9q8yyk', sinceMs: T0 };
    const { signal } = new AbortController();
    expect(await untilReleased(client(views), of, signal)).toBe(false);
    const back = [{ quarantine: { sinceMs: T0 + 1, kept: 0, keptBytes: 0 } }] as ActorView[];
    expect(await untilReleased(client(back), of, signal)).toBe(true);
    const still = [{ quarantine: { sinceMs: T0, kept: 1, keptBytes: 1 } }] as ActorView[];
    await expect(untilReleased(client(still), of, AbortSignal.abort())).rejects.toMatchObject({
      code: 'GS_BUSY',
    });
  });
});

function letter(seq: number): DeadLetter {
  return { seq, type: 'ride.requested', reason: 'threw', atMs: T0, message: 'no luck' };
}
