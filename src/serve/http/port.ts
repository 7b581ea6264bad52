/**
 * The address that HTTP will be served on, held from the beginning: the region's other nodes are told of it before anything
 * is served there, and a node that cannot have it shall fail before it takes partitions, not after.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { GroundswellError, messageOf } from '../../core/errors.js';

export interface HeldPort {
  readonly port: number;
  /** Where it will be answered, for whoever stands elsewhere too. */
  readonly url: string;
  /** Lets go of it, to be served by another listener at once. */
  release(): Promise<void>;
}

export interface HoldOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Name of this machine, for an address that stands for all of its addresses. */
  readonly machine: string;
  /** Further ports to try, one after the other, when it is in use. */
  readonly furtherPorts?: number;
}

/** @throws GroundswellError GS_HTTP_PORT when the address cannot be taken */
export async function holdPort(options: HoldOptions): Promise<HeldPort> {
  const { host, port, furtherPorts = 0 } = options;
  for (let further = 0; ; further++) {
    try {
      return await hold(options, port + further);
    } catch (error) {
      const inUse = (error as { code?: string }).code === 'EADDRINUSE';
      if (!inUse || further >= furtherPorts) throw cannotListen(host, port, error);
    }
  }
}

async function hold({ host, machine }: HoldOptions, port: number): Promise<HeldPort> {
  // Whoever asks now is asked to come again.
  const server = createServer((socket) => {
    socket.destroy();
  });
  server.listen({ host: listenHost(host), port });
  await once(server, 'listening');
  const address = server.address();
  const taken = typeof address === 'object' && address !== null ? address.port : port;
  return {
    port: taken,
    url: `http://${forUrl(/^(0\.0\.0\.0|::)$/.test(host) ? machine : listenHost(host))}:${taken}`,
    release: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
  };
}

/** By name, it could be listened on for one family and asked for over the other. */
export function listenHost(host: string): string {
  return host === 'localhost' ? '127.0.0.1' : host;
}

export function forUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

export function cannotListen(host: string, port: number, error: unknown): GroundswellError {
  const at = `${forUrl(host)}:${port}`;
  const refuse = (message: string, remedy?: string): GroundswellError =>
    new GroundswellError('GS_HTTP_PORT', message, {
      cause: error,
      ...(remedy === undefined ? {} : { remedy }),
    });
  const { code } = error as { code?: string };
  if (code === 'EADDRINUSE') {
    return refuse(
      `Port ${port} is in use: another program listens on ${at}.`,
      `Stop what uses port ${port}, or give another one with --http (0 takes any free one).`,
    );
  }
  if (code === 'EACCES') {
    return refuse(
      `Port ${port} may not be taken by this user.`,
      'Give a port above 1023 with --http, or the right to take this one.',
    );
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return refuse(
      `${host} is no address of this machine.`,
      'Give one with --http-host: 127.0.0.1 for this machine alone, 0.0.0.0 for all its addresses.',
    );
  }
  return refuse(`HTTP cannot be served on ${at}: ${messageOf(error)}.`);
}
