/** Has the workload sent by another process. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Sending } from './senders.js';

const HERE = fileURLToPath(import.meta.url);
const AS_WRITTEN = HERE.endsWith('.ts');
const PROGRAM = fileURLToPath(
  new URL(AS_WRITTEN ? 'sender-process.ts' : 'sender-process.js', import.meta.url),
);

/** Resolves when all of it has been taken. */
export async function sendElsewhere(sending: Sending): Promise<void> {
  const execArgv = AS_WRITTEN ? ['--import', 'tsx'] : ['--max-semi-space-size=64'];
  const child = fork(PROGRAM, { execArgv });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  child.send(sending);
  const [code, signal] = await ended;
  if (code !== 0) throw new Error(`the sender’s process ended early (${String(signal ?? code)})`);
}

/** What another process needs to know of a nats-server. */
export function targetOf({ url, user, password }: { url: string; user: string; password: string }): {
  url: string;
  user: string;
  password: string;
} {
  return { url, user, password };
}
