/** The thread's end of `ReplayThread`: one replay of a file, and what it says of it. */
import { parentPort, workerData } from 'node:worker_threads';
import { knownErrorOf } from '../core/errors.js';
import type { FileReplayOptions } from './file-replay.js';
import { giveWay } from './give-way.js';
import type { FromReplayThread, ToReplayThread } from './replay-thread-messages.js';

const port = parentPort!;
const say = (message: FromReplayThread): void => {
  port.postMessage(message);
};

// Before it loads anything: the engine starts beside it, and is what there is to wait for, then and later.
giveWay();

const opening = import('./file-replay.js').then(({ FileReplay }) =>
  FileReplay.open(workerData as FileReplayOptions),
);
opening.then(() => {
  say({ kind: 'opened' });
}, failed);

port.on('message', (message: ToReplayThread) => {
  if (message.kind === 'stop') stop().then(end, end);
  else run(message).catch(failed);
});

async function run({ nats }: Extract<ToReplayThread, { kind: 'run' }>): Promise<void> {
  const replay = await opening;
  const summary = await replay.run(nats, {
    onProgress: (progress) => {
      say({ kind: 'progress', progress });
    },
    onNote: (line) => {
      say({ kind: 'note', line });
    },
  });
  say({ kind: 'done', summary });
}

async function stop(): Promise<void> {
  const replay = await opening;
  await replay.close();
}

/** Of what still waits, nothing is waited for. */
function end(): void {
  process.exit();
}

function failed(error: unknown): void {
  const known = knownErrorOf(error);
  say({ kind: 'failed', code: known.code, remedy: known.remedy, error: known });
}
