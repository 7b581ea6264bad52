/** Bytes to a port and back, as no well-behaved client would send them. */
import { connect } from 'node:net';

/** Sends text, and gives all that comes until the other side closes, `enough` says so, or time is up. */
export function exchange(
  url: string,
  bytes: string | Buffer,
  options: { enough?: (text: string) => boolean; halfClose?: boolean; deadlineMs?: number } = {},
): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let text = '';
    const timer = setTimeout(() => socket.destroy(), options.deadlineMs ?? 10_000);
    socket.on('connect', () => {
      if (options.halfClose) socket.end(bytes);
      else socket.write(bytes);
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (options.enough?.(text)) socket.destroy();
    });
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'ECONNREFUSED') reject(error);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
  });
}

export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
}
