/**
 * A worker: a node process that its parent started (`start --workers`). It owns partitions and nothing else: no HTTP, no view,
 * no intake, so that the engine has a core for itself. It ends when its parent tells it to, or is gone.
 */
import type { Command } from 'commander';
import { GroundswellError, knownErrorOf } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import type { NodeObserver } from '../node/status.js';
import { openEngine } from './engine.js';
import { createLogger } from './log.js';
import { endAfter } from './stopping.js';
import { failedMessage, type FromWorker, type ToWorker, type WorkerStart } from './worker-messages.js';

/** Not in the help: people start parents. */
export function workerCommand(program: Command): void {
  program
    .command('worker', { hidden: true })
    .description('a node process of groundswell start --workers; started by that, never by hand')
    .action(worker);
}

async function worker(): Promise<void> {
  if (process.send === undefined)
    throw new GroundswellError(
      'GS_USAGE',
      'A worker is started by groundswell start --workers, not by hand.',
    );
  // Ctrl-C goes to all processes of a terminal: when to drain is the parent's word.
  process.on('SIGINT', () => undefined);
  const parent = new Parent();
  const start = await parent.start;
  if (start === undefined) return;
  const log = createLogger({ level: start.logLevel, format: 'json' });
  const logger = log.logger.child({ region: start.engine.region, node: start.engine.shared!.name });
  try {
    await run(start, parent, logger);
  } catch (error) {
    const known = knownErrorOf(error);
    logger.error({ error: known }, 'the worker ends');
    await tell(failedMessage(known));
    process.exitCode = known.exitCode;
  } finally {
    log.flush();
    // What still waits waits for nothing, and the channel alone would keep the process.
    if (process.connected) process.disconnect();
    process.exit();
  }
}

async function run({ engine: options }: WorkerStart, parent: Parent, logger: Logger): Promise<void> {
  let callOff = (): void => undefined;
  let waitsFor = (): string | undefined => 'its start';
  parent.end
    .then((why) => {
      logger.info({ why }, 'draining');
      callOff = endAfter(logger, () => waitsFor());
    })
    .catch(() => undefined);
  const engine = await openEngine({
    ...options,
    node: true,
    live: true,
    publishRows: true,
    logger,
    observer: observing(),
    // As of a node of its own: it waits for the server as long as it takes.
    limits: { commitAttemptsMax: Number.POSITIVE_INFINITY },
    onProgress: (line) => {
      logger.info({}, line);
    },
  });
  waitsFor = () => engine.closing;
  try {
    await tell({ kind: 'ready', id: engine.nodeId! });
    logger.info({ pid: process.pid }, 'the worker runs');
    await Promise.race([parent.end, engine.failed]);
    await engine.close();
  } catch (error) {
    callOff();
    callOff = endAfter(logger, waitsFor);
    await engine.close().catch(() => undefined);
    throw error;
  } finally {
    callOff();
  }
}

/** What the parent says. Silence is heard at once: the channel closes with it, however it ends. */
class Parent {
  readonly start: Promise<WorkerStart | undefined>;
  /** Why the worker is to end. */
  readonly end: Promise<string>;

  constructor() {
    let started: (start: WorkerStart | undefined) => void = () => undefined;
    this.start = new Promise((resolve) => {
      started = resolve;
    });
    this.end = new Promise((resolve) => {
      const end = (why: string): void => {
        started(undefined);
        resolve(why);
      };
      process.on('message', (message: ToWorker) => {
        if (message.kind === 'start') started(message);
        else end('the parent ends');
      });
      process.once('disconnect', () => {
        end('the parent is gone');
      });
      process.on('SIGTERM', () => {
        end('SIGTERM');
      });
    });
  }
}

/** Resolves when it is on its way, or cannot be. */
async function tell(message: FromWorker): Promise<void> {
  await new Promise<void>((resolve) => {
    if (!process.connected) resolve();
    else
      process.send!(message, undefined, undefined, () => {
        resolve();
      });
  });
}

function observing(): NodeObserver {
  const say = (message: FromWorker): void => {
    if (process.connected) process.send!(message, undefined, undefined, () => undefined);
  };
  return {
    committed: (batch) => {
      say({ kind: 'committed', batch });
    },
    snapshotWritten: (write) => {
      say({ kind: 'snapshot', write });
    },
  };
}
