/**
 * The host check: a node that only this machine can reach answers only to names of this machine. Without it a foreign
 * page could let its own name point here and read the answers as its own (DNS rebinding).
 */
import { HttpProblem } from './problem.js';

/** @throws HttpProblem 421 when a server on the loopback address is asked by another name */
export function expectKnownHost(header: string | undefined, boundTo: string): void {
  // Browsers always send it; a server for others has names that it does not know itself.
  if (header === undefined || !isLoopback(boundTo)) return;
  const name = hostName(header);
  if (name !== undefined && (isLoopback(name) || name === boundTo.toLowerCase())) return;
  throw new HttpProblem(421, 'GS_USAGE', `This node is not called "${header.slice(0, 80)}".`, {
    remedy: 'Ask for 127.0.0.1 or localhost; to serve other machines, start the node with --http-host.',
  });
}

export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name === '::1' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name);
}

/** The name of a Host header, in lower case and without its port; undefined when it is none. */
function hostName(header: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(:\d{1,5})?$/.exec(header.toLowerCase())?.[1];
}
