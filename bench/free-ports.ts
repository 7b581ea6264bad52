/**
 * Ports for servers that are told theirs before they start. They lie below those that a system gives to outgoing connections
 * (Linux: from 32,768 on), of which there are many at work: nobody but a listener can take one before its server does.
 */
import { createServer } from 'node:net';

const LOWEST = 10_000;
const HIGHEST = 32_000;

/** Ports on loopback that nobody has at this moment, each another. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
