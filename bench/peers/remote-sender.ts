/** Has the workload sent by another process. */
import { once } from 'node:events';
import { forkSibling } from '../sibling-program.js';
import type { Sending } from './senders.js';

/** Resolves when all of it has been taken. */
export async function sendElsewhere(sending: Sending): Promise<void> {
  const child = forkSibling(import.meta.url, 'sender-process');
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
