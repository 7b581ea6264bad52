import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GroundswellError } from '../../../src/core/errors.js';
import { LINE_BYTES_MAX, LineSplitter } from '../../../src/ingest/lines.js';
import { IDENTITY, parseMapping } from '../../../src/ingest/mapping.js';
import { openSource } from '../../../src/ingest/source.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gs-source-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const CSV = parseMapping(
  { format: 'csv', event: 'driver.location', fields: { driverId: 'cab', lat: 'lat', id: 'n-{row}' } },
  'm.yaml',
);
interface Read {
  rows: [line: number, raw: Record<string, unknown>][];
  bad: [line: number, message: string][];
  batches: number;
}
async function read(content: string | Buffer, mapping = CSV): Promise<Read> {
  const file = join(dir, 'f.data');
  await writeFile(file, content);
  const out: Read = { rows: [], bad: [], batches: 0 };
  const source = await openSource({ file, mapping });
  for await (const batch of source) {
    out.batches++;
    batch.raws.forEach((raw, i) => out.rows.push([batch.lines[i]!, raw as Record<string, unknown>]));
    for (const { line, message } of batch.malformed) out.bad.push([line, message]);
  }
  expect(source.bytesRead).toBe(source.bytesTotal);
  return out;
}
const cabs = (it: Read): unknown[] => it.rows.map(([line, raw]) => [line, raw.driverId, raw.id]);
async function failure(promise: Promise<unknown>): Promise<GroundswellError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (thrown instanceof GroundswellError) return thrown;
  throw new Error(`expected a GroundswellError, got ${String(thrown)}`);
}

describe('openSource refuses before anything is read', () => {
  it.each<[string, () => Promise<string>, RegExp]>([
    ['a missing file', () => Promise.resolve(join(dir, 'none.csv')), /none\.csv: there is no such file/],
    ['a directory', () => mkdir(join(dir, 'd')).then(() => join(dir, 'd')), /d: is a directory/],
    ['an empty file', () => put('e.csv', ''), /e\.csv: is empty/],
    ['a file of blank lines', () => put('b.csv', '\n\r\n\n'), /b\.csv: is empty/],
    ['an empty gzip', () => put('e.csv.gz', gzipSync('')), /is empty/],
    [
      'a damaged gzip',
      () => put('x.gz', Buffer.concat([gzipSync('').subarray(0, 10), Buffer.alloc(99, 7)])),
      /damaged at its start/,
    ],
    ['zstd', () => put('z.csv', Buffer.from('28b52ffd00', 'hex')), /compressed with zstd/],
    ['UTF-16', () => put('u.csv', Buffer.from('\ufeffcab,lat', 'utf16le')), /UTF-16/],
    [
      'a header with a name twice',
      () => put('t.csv', 'cab,lat,cab\n1,2,3\n'),
      /names the column "cab" twice/,
    ],
    ['a header that is no CSV', () => put('h.csv', 'cab,"lat\n1,2\n'), /no readable header/],
  ])('%s', async (_name, make, message) => {
    const thrown = await failure(openSource({ file: await make(), mapping: CSV }));
    expect(thrown.code).toBe('GS_SOURCE_FILE');
    expect(thrown.message).toMatch(message);
  });

  it.skipIf(process.getuid?.() === 0)('a file that may not be read (skipped for root, who may)', async () => {
    const file = await put('secret.csv', 'cab,lat\n');
    await chmod(file, 0);
    expect(await failure(openSource({ file, mapping: CSV }))).toMatchObject({ code: 'GS_SOURCE_FILE' });
  });

  it('a header that lacks a column, and a file without a header', async () => {
    for (const content of ['cab,latt\na,1\n', 'a,1\nb,2\n']) {
      const thrown = await failure(openSource({ file: await put('m.csv', content), mapping: CSV }));
      expect(thrown.code).toBe('GS_MAPPING');
      expect(thrown.message).toMatch(/m\.yaml: fields\.\w+: .*m\.csv has no column/);
    }
  });

  it('a CSV file without a mapping', async () => {
    expect(await failure(openSource({ file: await put('n.csv', 'a\n') }))).toMatchObject({
      code: 'GS_MAPPING',
    });
  });
});

describe('reading CSV', () => {
  it('gives rows with line numbers and row numbers', async () => {
    expect(cabs(await read('cab,lat\na,1\nb,2\n'))).toEqual([
      [2, 'a', 'n-1'],
      [3, 'b', 'n-2'],
    ]);
  });

  it('takes CRLF, a byte order mark, blank lines, spaces in the header and no final line end', async () => {
    const it = await read('\ufeff cab , lat\r\n\r\na,1\r\n\r\nb,2');
    expect(cabs(it)).toEqual([
      [3, 'a', 'n-1'],
      [5, 'b', 'n-2'],
    ]);
    expect(it.rows[0]![1].lat).toBe(1);
  });

  it('a header alone gives no rows', async () => {
    expect(await read('cab,lat')).toEqual({ rows: [], bad: [], batches: 0 });
  });

  it('reads quoted cells: delimiters, doubled quotes and line ends within', async () => {
    const it = await read('cab,"lat"\n"a,b","1"\n"say ""hi""",2\r\n"two\nlines",3\nc,4\n');
    expect(cabs(it)).toEqual([
      [2, 'a,b', 'n-1'],
      [3, 'say "hi"', 'n-2'],
      [4, 'two\nlines', 'n-3'],
      [6, 'c', 'n-4'],
    ]);
    expect(it.bad).toEqual([]);
  });

  it('a bad row costs its own line, and reading goes on', async () => {
    const it = await read(
      [
        'cab,lat',
        'a,1',
        'b',
        'c,3,4',
        '"d,5',
        'e,6',
        'f"g,7',
        '"h"i,8',
        'j,9',
        '"k",1,1',
        '"open',
        'l,11',
      ].join('\n'),
    );
    expect(cabs(it)).toEqual([
      [2, 'a', 'n-1'],
      [6, 'e', 'n-5'],
      [9, 'j', 'n-8'],
      [12, 'l', 'n-11'],
    ]);
    expect(it.bad).toEqual([
      [3, '1 column, but the header has 2'],
      [4, '3 columns, but the header has 2'],
      [5, expect.stringContaining('stray quote') as string],
      [7, expect.stringContaining('stray quote') as string],
      [8, expect.stringContaining('stray quote') as string],
      [10, '3 columns, but the header has 2'],
      [11, expect.stringContaining('stray quote') as string],
    ]);
  });

  it('a quote that is never closed costs one line, however long the file', async () => {
    const rows = Array.from({ length: 100_000 }, (_, i) => `cab${i},1`);
    rows[10] = '"stray,1';
    const it = await read(['cab,lat', ...rows].join('\n'));
    expect(it.bad).toEqual([[12, 'stray quote: opened and never closed']]);
    expect(it.rows).toHaveLength(99_999);
    expect(it.rows.at(-1)).toMatchObject([100_001, { driverId: 'cab99999', id: 'n-100000' }]);
    expect(it.batches).toBeGreaterThan(2);
  });

  it('takes another delimiter', async () => {
    const mapping = parseMapping(
      { format: 'csv', delimiter: ';', event: 'driver.location', fields: { driverId: 'cab' } },
      'm',
    );
    expect((await read('cab;lat\na,b;1\n"c;d";2\n', mapping)).rows.map(([, raw]) => raw.driverId)).toEqual([
      'a,b',
      'c;d',
    ]);
  });

  it('refuses a line that is too long or not UTF-8, and goes on', async () => {
    const long = 'x'.repeat(LINE_BYTES_MAX + 1);
    const it = await read(
      Buffer.concat([
        Buffer.from(`cab,lat\na,1\n${long}\nb,2\n`),
        Buffer.from([0xff, 0x2c, 0x31, 0x0a]),
        Buffer.from('ü,3\n'),
      ]),
    );
    expect(cabs(it)).toEqual([
      [2, 'a', 'n-1'],
      [4, 'b', 'n-3'],
      [6, 'ü', 'n-5'],
    ]);
    expect(it.bad).toEqual([
      [3, `longer than ${LINE_BYTES_MAX} bytes`],
      [5, 'not valid UTF-8'],
    ]);
  });

  it('gives the same records as went in, wherever the chunks end', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', 'ü', ' ', '1'), maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 30 }), async (cells) => {
        const quote = (text: string): string =>
          /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
        const { rows, bad } = await read(`cab,lat\n${cells.map((text) => `${quote(text)},1\n`).join('')}`);
        expect(bad).toEqual([]);
        expect(rows.map(([, raw]) => raw.driverId ?? '')).toEqual(cells);
      }),
      { numRuns: 200 },
    );
  });
});

describe('reading NDJSON', () => {
  it('gives each value as it is, and each line that is none as malformed', async () => {
    const it = await read('\ufeff{"a":1}\n\n{"a":\r\n[2]\nnull\n{"a":3}', IDENTITY);
    expect(it.rows).toEqual([
      [1, { a: 1 }],
      [4, [2]],
      [5, null],
      [6, { a: 3 }],
    ]);
    expect(it.bad).toEqual([[3, expect.stringContaining('not JSON') as string]]);
  });

  it('maps by key and by path, of own keys only', async () => {
    const fields = {
      driverId: 'who.id',
      rideId: 'constructor',
      ts: { column: 't', unit: 's' },
      id: 'n-{row}',
    };
    const mapping = parseMapping({ format: 'ndjson', event: 'driver.location', fields }, 'm');
    const it = await read('{"who":{"id":"d"},"t":5}\n7\n{"t":"x"}\n', mapping);
    expect(it.rows).toEqual([
      [1, { type: 'driver.location', driverId: 'd', ts: 5000, id: 'n-1' }],
      [3, { type: 'driver.location', ts: 'x', id: 'n-3' }],
    ]);
    expect(it.bad).toEqual([[2, 'not a JSON object']]);
  });
});

describe('gzip', () => {
  const many = `cab,lat\n${Array.from({ length: 200_000 }, (_, i) => `cab${(i * 7919) % 100_003},${i}\n`).join('')}`;

  it('is recognised by its first bytes, and its members are joined', async () => {
    const members = Buffer.concat([gzipSync('cab,lat\na,1\nb'), gzipSync(',2\n')]);
    expect(cabs(await read(members))).toEqual([
      [2, 'a', 'n-1'],
      [3, 'b', 'n-2'],
    ]);
    expect((await read(gzipSync(many))).rows).toHaveLength(200_000);
  });

  it.each([
    ['cut off', (whole: Buffer): Buffer => whole.subarray(0, whole.length >> 1)],
    [
      'damaged',
      (whole: Buffer): Buffer =>
        Buffer.concat([whole.subarray(0, whole.length >> 1), Buffer.alloc(5_000, 0xff)]),
    ],
  ])(
    'that is %s in the middle gives what came before, then GS_SOURCE_BROKEN with the place',
    async (_name, damage) => {
      const file = await put('broken.csv.gz', damage(gzipSync(many)));
      const source = await openSource({ file, mapping: CSV });
      let lastLine = 0;
      const thrown = await failure(
        (async () => {
          for await (const batch of source) lastLine = batch.lines.at(-1)!;
        })(),
      );
      expect(thrown.code).toBe('GS_SOURCE_BROKEN');
      expect(thrown.message).toContain(file);
      expect(thrown.message).toMatch(new RegExp(`line ${lastLine} \\(byte \\d+ of its content\\)`));
      expect(lastLine).toBeGreaterThan(1_000);
    },
  );

  it('can be left early, and closed unread', async () => {
    const file = await put('early.csv.gz', gzipSync(many));
    const source = await openSource({ file, mapping: CSV });
    for await (const batch of source) {
      expect(batch.lines[0]).toBe(2);
      break;
    }
    expect(source.bytesRead).toBeLessThanOrEqual(source.bytesTotal!);
    await (await openSource({ file, mapping: CSV })).close();
  });
});

describe('LineSplitter', () => {
  it('gives the same lines however the bytes are cut, and holds no long line whole', () => {
    const text = fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', '🚕', '\r', '"'), maxLength: 6 }), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, fc.array(fc.nat(40)), (lines, cuts) => {
        const bytes = Buffer.from(lines.join('\n'));
        const splitter = new LineSplitter();
        const got: string[] = [];
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          for (const block of splitter.push(bytes.subarray(at, at + cut))) got.push(...block.lines);
          at = Math.min(bytes.length, at + cut);
        }
        for (const block of splitter.end()) got.push(...block.lines);
        const expected = lines.map((line) => line.replace(/\r$/, ''));
        if (lines.at(-1) === '') expected.pop();
        expect(got).toEqual(expected);
      }),
    );
  });
});

async function put(name: string, content: string | Buffer): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, content);
  return file;
}
