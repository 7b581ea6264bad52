// Hunts: rows that are published twice, or never, because the stream did not answer; a publisher that ends when its server
// is away, or goes on when its stream is gone.
import { beforeEach, describe, expect, it } from 'vitest';
import { GroundswellError, type ErrorCode } from '../../../src/core/errors.js';
import type { AppendOutcome, LogEntry, LogMessage } from '../../../src/log/log.js';
import { MemoryLog } from '../../../src/log/memory/memory-log.js';
import { Subjects } from '../../../src/log/subjects.js';
import { encodeOutput } from '../../../src/partition/output.js';
import { OwnOutputs } from '../../../src/serve/own-outputs.js';
import { Publisher, sideTarget } from '../../../src/serve/publisher.js';
import { EagerClock } from '../../support/eager-clock.js';
import { until } from '../../support/until.js';

const subjects = new Subjects('x');
const UNKNOWN: AppendOutcome = { outcome: 'unknown', cause: 'test' };

/** A stream that says nothing for a while: appends are stored or not, and nobody is told. */
class SilentLog extends MemoryLog {
  /** What happens to the next appends, unheard. */
  fates: ('stored' | 'lost')[] = [];
  /** How the next questions fail. */
  failures: ErrorCode[] = [];

  override append(entries: readonly LogEntry[]): Promise<AppendOutcome> {
    const fate = this.fates.shift();
    if (fate === undefined) return super.append(entries);
    if (fate === 'stored') this.appendNow(entries);
    return Promise.resolve(UNKNOWN);
  }

  override last(subject: string): Promise<LogMessage | undefined> {
    const code = this.failures.shift();
    return code === undefined ? super.last(subject) : Promise.reject(new GroundswellError(code, 'test'));
  }
}

let source: MemoryLog;
let target: SilentLog;
beforeEach(() => {
  source = new MemoryLog();
  target = new SilentLog();
});

function say(n: number): void {
  const sides = [{ kind: 'late' as const, type: 'driver.location', body: { n } }];
  const [payload] = encodeOutput({ progress: null, blocks: [], sides, shown: [] }, 100_000);
  source.appendNow([{ subject: subjects.out(0), payload: payload! }]);
}

async function publisher(): Promise<Publisher> {
  const clock = new EagerClock();
  const outputs = new OwnOutputs(source);
  const made = new Publisher({
    outputs,
    target: sideTarget(target, subjects),
    subjects,
    partition: 0,
    clock,
  });
  await made.start();
  return made;
}

async function published(): Promise<number[]> {
  const reader = await target.read(subjects.side('late', 'driver.location'), 1, () => undefined);
  const text = new TextDecoder();
  return reader
    .take(Number.POSITIVE_INFINITY)
    .map(({ payload }) => (JSON.parse(text.decode(payload)) as { n: number }).n);
}

describe('Publisher', () => {
  it.each([
    ['lost', ['lost', 'lost', 'lost'], []],
    ['lost, and nobody answers', ['lost', 'lost', 'lost'], ['GS_LOG', 'GS_LOG']],
    ['stored unheard', ['stored'], []],
    ['stored unheard, and nobody answers', ['stored', 'lost'], ['GS_LOG', 'GS_LOG']],
    ['stored at the second try, and nobody answers', ['lost', 'stored'], ['GS_LOG', 'GS_LOG']],
  ] as [string, ('stored' | 'lost')[], ErrorCode[]][])(
    'P3 P6 a batch that is %s goes out once',
    async (_, fates, failures) => {
      const one = await publisher();
      target.fates = [...fates];
      target.failures = [...failures];
      say(1);
      await until('it is out', () => one.published === 1);
      say(2);
      await until('the next one, too', () => one.published === 2);
      expect(await published()).toEqual([1, 2]);
      await one.stop();
    },
  );

  it.each([1, 2, 3])(
    'P3 one that is stopped while nothing is taken leaves nothing out: the next one publishes it, in order (%i lost)',
    async (lost) => {
      const one = await publisher();
      target.fates = new Array<'lost'>(10_000).fill('lost');
      say(1);
      await until('it tries', () => target.fates.length < 9_990);
      say(2);
      // From here on a few more are lost, and then all is well again.
      source.last = (subject) => {
        target.fates = new Array<'lost'>(lost).fill('lost');
        return MemoryLog.prototype.last.call(source, subject);
      };
      await one.stop();
      target.fates = [];
      const next = await publisher();
      await until('all is out', async () => (await published()).length >= 2);
      await next.stop();
      expect(await published()).toEqual([1, 2]);
    },
  );

  it('fails with GS_STREAM_LOST when its stream is gone', async () => {
    const one = await publisher();
    target.fates = ['lost'];
    target.failures = ['GS_STREAM_LOST'];
    say(1);
    await expect(one.finished).rejects.toMatchObject({ code: 'GS_STREAM_LOST' });
    await expect(one.stop()).rejects.toMatchObject({ code: 'GS_STREAM_LOST' });
  });

  it('ends when it is told to, though the stream does not answer', async () => {
    const one = await publisher();
    source.last = () => Promise.reject(new GroundswellError('GS_LOG', 'test'));
    await expect(one.stop()).rejects.toMatchObject({ code: 'GS_LOG' });
    await one.finished;
  });
});
