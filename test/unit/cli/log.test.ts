/**
 * What the node says of itself. Hunts: a password or a driver's name in a log, the last line before an exit that never
 * came, escape codes in a file, and a node that dies because nobody reads its log.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { createLogger, type LogOptions } from '../../../src/cli/log.js';
import { GroundswellError } from '../../../src/core/errors.js';
import type { Logger } from '../../../src/core/logger.js';

type Line = Record<string, unknown>;

function lines(say: (logger: Logger) => void, options: Partial<LogOptions> = {}, isTTY = false): string[] {
  const written: string[] = [];
  const stream = { isTTY, write: (text: string) => written.push(text) };
  say(createLogger({ level: 'info', format: 'auto', stream, ...options }).logger);
  return written;
}
const json = (say: (logger: Logger) => void, options?: Partial<LogOptions>): Line[] =>
  lines(say, options).map((line) => JSON.parse(line) as Line);

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('a line', () => {
  it('is one JSON object where nobody watches: level, time, fields, message', () => {
    const [line, ...rest] = lines((logger) => {
      logger.info({ region: 'sf', partitions: 16 }, 'node is running');
    });
    expect(rest).toEqual([]);
    expect(line).toMatch(/^\{.*\}\n$/);
    const { time, ...fields } = JSON.parse(line!) as Line;
    expect(fields).toEqual({ level: 'info', region: 'sf', partitions: 16, msg: 'node is running' });
    expect(new Date(time as string).toISOString()).toBe(time);
  });

  it('comes for its level and those above', () => {
    const all = (logger: Logger): void => {
      for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level]({}, level);
    };
    for (const [level, expected] of [
      ['debug', ['debug', 'info', 'warn', 'error']],
      ['info', ['info', 'warn', 'error']],
      ['warn', ['warn', 'error']],
      ['error', ['error']],
    ] as const)
      expect(json(all, { level }).map((line) => line['msg'])).toEqual(expected);
  });

  it('of a child carries its fields', () => {
    const [line] = json((logger) => {
      logger.child({ region: 'sf' }).child({ partition: 7 }).warn({ lag: 3 }, 'behind');
    });
    expect(line).toMatchObject({ level: 'warn', region: 'sf', partition: 7, lag: 3, msg: 'behind' });
  });
});

describe('what is never said', () => {
  const secret = {
    url: 'nats://us:s3cret@h:1',
    password: 's3cret',
    deep: { pass: 's3cret', list: [{ token: 's3cret', credentials: 's3cret' }] },
  };
  const person = { driverId: 'd-17', ride: { riderId: 'r-4' } };

  it('are secrets, at any level, however deep, and in children', () => {
    for (const say of [
      (logger: Logger) => {
        logger.debug(secret, 'x');
      },
      (logger: Logger) => {
        logger.error(secret, 'x');
      },
      (logger: Logger) => {
        logger.child(secret).info({}, 'x');
      },
      (logger: Logger) => {
        logger.error({ error: new Error('no nats://us:s3cret@h:1 there') }, 'x');
      },
      (logger: Logger) => {
        logger.error({ err: new Error('x', { cause: 'nats://us:s3cret@h:1' }) }, 'x');
      },
    ]) {
      const [line] = lines(say, { level: 'debug' });
      expect(line).toContain('…');
      expect(line).not.toMatch(/s3cret|us:/);
    }
  });

  it('is who drives or rides, but for lines of debug', () => {
    const say = (logger: Logger): void => {
      logger.debug(person, 'seen');
      logger.info(person, 'seen');
      logger.child(person).warn({}, 'seen');
    };
    const hidden = { driverId: '…', ride: { riderId: '…' } };
    expect(json(say, { level: 'debug' })).toMatchObject([person, hidden, hidden]);
    expect(json(say, { level: 'info' })).toMatchObject([hidden, hidden]);
  });

  it('leaves the caller’s object as it is', () => {
    const fields = structuredClone(secret);
    lines((logger) => {
      logger.info(fields, 'x');
    });
    expect(fields).toEqual(secret);
  });

  it('a field that goes round in a circle ends', () => {
    const round: Line = { a: 1 };
    round['round'] = round;
    expect(
      json((logger) => {
        logger.info(round, 'x');
      })[0],
    ).toMatchObject({ a: 1, msg: 'x' });
  });
});

describe('an error', () => {
  const error = new GroundswellError('GS_LOG', 'The stream did not answer.', {
    cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
  });

  it('has its code, its remedy and its causes', () => {
    const [line] = json((logger) => {
      logger.error({ error }, 'commit failed');
    });
    expect(line!['error']).toEqual({
      code: 'GS_LOG',
      message: 'The stream did not answer.',
      remedy: error.remedy,
      causes: [{ name: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }],
    });
  });

  it('that nobody foresaw has its stack, also when it is given bare', () => {
    const [line, bare] = json((logger) => {
      logger.error({ err: new TypeError('x is undefined') }, 'failed');
      logger.error(new TypeError('x is undefined'), 'failed');
    });
    const expected = {
      name: 'TypeError',
      message: 'x is undefined',
      stack: expect.stringContaining('log.test') as string,
    };
    expect(line!['err']).toEqual(expected);
    expect(bare).toMatchObject({ msg: 'failed', error: expected });
  });

  it('may be anything that was thrown, or its own cause', () => {
    const own = new Error('own');
    own.cause = own;
    for (const thrown of ['text', 42, null, { odd: true }, own]) {
      const [line] = json((logger) => {
        logger.error({ error: thrown }, 'failed');
      });
      expect(line!['error']).toHaveProperty('message');
    }
  });

  it('is on lines of its own on a terminal, and does not steer it', () => {
    vi.stubEnv('NO_COLOR', '1');
    const [text] = lines(
      (logger) => {
        logger.error({ error: new Error('a\u001b[2Jb', { cause: error }) }, 'failed');
      },
      {},
      true,
    );
    expect(text).toMatch(/ERROR: failed/);
    expect(text).toContain('because: The stream did not answer. (GS_LOG)');
    expect(text).toContain(`→ ${error.remedy}`);
    expect(text).not.toContain('\u001b');
  });
});

describe('on a terminal', () => {
  const say = (logger: Logger): void => {
    logger.warn({ region: 'sf' }, 'behind');
  };
  const escapes = /\u001b/;

  it('lines are readable and coloured, and without colours under NO_COLOR', () => {
    vi.stubEnv('NO_COLOR', undefined);
    expect(lines(say, {}, true)[0]).toMatch(escapes);
    vi.stubEnv('NO_COLOR', '1');
    const [plain] = lines(say, {}, true);
    expect(plain).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: behind \{"region":"sf"\}\n$/);
    expect(plain).not.toMatch(escapes);
  });

  it('JSON stays JSON when it is asked for, and pretty in a file has no colours', () => {
    vi.stubEnv('NO_COLOR', undefined);
    expect(JSON.parse(lines(say, { format: 'json' }, true)[0]!)).toMatchObject({ level: 'warn' });
    const [inFile] = lines(say, { format: 'pretty' }, false);
    expect(inFile).toContain('WARN: behind');
    expect(inFile).not.toMatch(escapes);
  });
});

describe('a process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gs-log-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const LOG = fileURLToPath(new URL('../../../src/cli/log.ts', import.meta.url));

  /** Runs a script with a logger; its standard error is a pipe, or a file. */
  function run(script: string, stderr: 'pipe' | number) {
    const child = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        `import { createLogger } from ${JSON.stringify(LOG)};\nconst { logger } = createLogger({ level: 'info', format: 'json' });\n${script}`,
      ],
      { stdio: ['ignore', 'pipe', stderr], env: { ...process.env, NODE_OPTIONS: '' } },
    );
    let out = '';
    child.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const ended = new Promise<{ code: number | null; out: string }>((resolve) => {
      child.on('close', (code) => {
        resolve({ code, out });
      });
    });
    return { child, ended };
  }

  it('has all its lines in the file when it exits right after them', async () => {
    const file = join(folder, 'node.log');
    const fd = openSync(file, 'w');
    const { ended } = run(
      `for (let i = 0; i < 20_000; i++) logger.info({ i }, 'last words'); process.exit(3);`,
      fd,
    );
    expect((await ended).code).toBe(3);
    closeSync(fd);
    const written = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(written).toHaveLength(20_000);
    expect(JSON.parse(written.at(-1)!)).toMatchObject({ i: 19_999, msg: 'last words' });
  });

  it('has them in a pipe, too, that holds less than they are', async () => {
    const { child, ended } = run(
      `process.stderr; for (let i = 0; i < 5_000; i++) logger.info({ i }, 'last words'); process.exit(0);`,
      'pipe',
    );
    let text = '';
    child.stderr!.on('data', (chunk: Buffer) => (text += chunk.toString()));
    expect((await ended).code).toBe(0);
    const written = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    expect(written.map((line) => line['i'])).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
  });

  it('goes on when the reader of its log has left', async () => {
    const { child, ended } = run(
      `let n = 0;
       const timer = setInterval(() => {
         logger.info({ n }, 'still here');
         process.stderr.write('a word of another part\\n');
         if (++n === 20) { clearInterval(timer); console.log('went on'); process.exit(0); }
       }, 5);`,
      'pipe',
    );
    child.stderr!.destroy();
    expect(await ended).toEqual({ code: 0, out: 'went on\n' });
  });
});
