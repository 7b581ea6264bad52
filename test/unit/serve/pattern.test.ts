/**
 * Watch patterns. Hunts a pattern that means other rows here than its subjects carry on the wire, one that is taken though
 * it can never match, and a refusal that does not say what to write instead.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GroundswellError } from '../../../src/core/errors.js';
import { Subjects } from '../../../src/log/subjects.js';
import { parsePattern } from '../../../src/serve/pattern.js';

const subjects = new Subjects('sf');

function refusal(text: string): GroundswellError {
  try {
    parsePattern(text);
  } catch (error) {
    if (error instanceof GroundswellError) return error;
    throw error;
  }
  throw new Error(`"${text}" was taken`);
}

/** How NATS matches a subject, from its documentation. */
function natsMatches(pattern: string, subject: string): boolean {
  const want = pattern.split('.');
  const have = subject.split('.');
  for (let i = 0; i < want.length; i++) {
    if (want[i] === '>') return have.length > i;
    if (have[i] === undefined || (want[i] !== '*' && want[i] !== have[i])) return false;
  }
  return want.length === have.length;
}

describe('a pattern', () => {
  it.each([
    ['cell/9q8yyk', 'cell', '9q8yyk', '1m', true],
    ['cell/9q8yyk', 'cell', '9q8yyk', '5m', true],
    ['cell/9q8yyk', 'cell', '9q8yym', '1m', false],
    ['cell/9q8y*', 'cell', '9q8yym', '1m', true],
    ['cell/9q8y*', 'gh5', '9q8yy', '1m', false],
    ['cell/9q8yyk*', 'cell', '9q8yyk', '1m', true],
    ['gh5/*', 'gh5', '9q8yy', '15m', true],
    ['region', 'region', 'sf', '1h', true],
    ['1m/region', 'region', 'sf', '1h', false],
    ['5m/cell/9q8y*', 'cell', '9q8yyk', '5m', true],
    ['5m/cell/9q8y*', 'cell', '9q8yyk', '1m', false],
    ['5m/*', 'region', 'sf', '5m', true],
    ['*', 'interest', '9q8yy', '1m', true],
    [' * ', 'region', 'sf', '1m', true],
    ['gs.sf.agg.1m.cell.9.q.8.>', 'cell', '9q8yyk', '1m', true],
    ['gs.sf.agg.1m.cell.9.q.8.>', 'cell', '9q9yyk', '1m', false],
    ['gs.sf.agg.*.cell.9.q.*.y.y.k', 'cell', '9q9yyk', '1h', true],
    ['gs.sf.agg.1m.region', 'region', 'sf', '1m', true],
    ['gs.sf.agg.>', 'region', 'sf', '1m', true],
    ['gs.sf.agg.1m.>', 'region', 'sf', '1m', true],
    ['gs.sf.agg.1m.*.>', 'region', 'sf', '1m', false],
  ])('%s and %s/%s of %s: %s', (text, level, key, window, expected) => {
    expect(parsePattern(text).matches(level, key, window)).toBe(expected);
  });

  it('means the same rows as its subjects', () => {
    const keyed = fc.constantFrom(
      ...['9q8yyk', '9q8yym', '9q9p01', 'dr5reg'].flatMap((key) => [
        ['cell', key],
        ['gh5', key.slice(0, 5)],
        ['gh4', key.slice(0, 4)],
      ]),
      ['region', 'sf'],
      ['interest', '9q8yy'],
      ['interest', '9q8'],
    );
    const texts = fc.constantFrom(
      ...[
        '*',
        'region',
        '5m/*',
        '1m/region',
        'cell/*',
        'cell/9*',
        'cell/9q8yyk',
        'cell/9q8yyk*',
        'gh5/9q8y*',
      ],
      ...['gh4/9q8y', '5m/gh4/9q8y*', 'interest/*', 'interest/9q8*', 'interest/9q8yy', 'gs.sf.agg.>'],
      ...[
        'gs.sf.agg.1m.>',
        'gs.sf.agg.*.cell.9.q.>',
        'gs.sf.agg.1m.*.>',
        'gs.sf.agg.1m.*',
        'gs.*.agg.5m.region',
      ],
      ...['gs.sf.agg.*.*.9.*.8.>', 'gs.sf.agg.*.*.9.*.8.y', 'gs.sf.agg.1m.cell.9.q.8.y.y.k'],
    );
    fc.assert(
      fc.property(texts, keyed, fc.constantFrom('1m', '5m', '1h'), (text, [level, key], window) => {
        const pattern = parsePattern(text, ['interest']);
        const subject = subjects.aggregate(window, level!, key!);
        expect(pattern.matches(level!, key!, window)).toBe(
          pattern.subjects('sf').some((one) => natsMatches(one, subject)),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps the region that its subject names', () => {
    expect(parsePattern('gs.nyc.agg.>').region).toBe('nyc');
    expect(parsePattern('gs.*.agg.>').region).toBeUndefined();
    expect(parsePattern('cell/*').region).toBeUndefined();
  });
});

describe('a wrong pattern', () => {
  it.each([
    ['', /empty/],
    ['cel/9q8yyk', /did you mean "cell"\?/],
    ['town/x', /there are cell, gh5, gh4, region/],
    ['cell', /cell\/\* is every one/],
    ['cell/', /says no key/],
    ['cell/9q8y', /For all that begin so: cell\/9q8y\*/],
    ['cell/9q8yyk5', /7 characters; a cell has 6/],
    ['cell/9Q8YYK', /"Q", which no geohash has/],
    ['cell/9q8ya*', /"a", which no geohash has/],
    ['cell/9*8yyk', /inside the key/],
    ['region/sf', /it has none/],
    ['1m/cell/9q8yyk/x', /too many parts/],
    ['hello world', /is no pattern/],
    ['gs', /names no region/],
    ['gs.sf.surge.9.q', /no subject of rows/],
    ['gs.sf.agg.soon.cell.>', /"soon".*no window/],
    ['gs.sf.agg.1m.cell.9q8.>', /one token per character/],
    ['gs.sf.agg.1m.>.cell', /not the last/],
    ['gs.sf.agg..cell', /empty token/],
    ['gs.sf.agg.1m', /ends before its level/],
    ['gs.sf.agg.1m.cell.9.q.8', /For all that begin so: gs\.sf\.agg\.1m\.cell\.9\.q\.8\.>/],
    ['x'.repeat(500), /longer than/],
  ])('%s is refused and says why', (text, why) => {
    const { code, message, remedy } = refusal(text);
    expect(code).toBe('GS_USAGE');
    expect(message).toMatch(why);
    expect(remedy).toContain('cell/9q8y*');
  });

  it('is refused with a code, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `gs.sf.agg.${text}`),
        ),
        (text) => {
          try {
            parsePattern(text).matches('cell', '9q8yyk', '1m');
          } catch (error) {
            expect(error).toBeInstanceOf(GroundswellError);
          }
        },
      ),
    );
  });
});
