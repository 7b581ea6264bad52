/** The small body of a request that asks for something to be done. */
import type { FastifyRequest } from 'fastify';
import { HttpProblem } from './problem.js';

/**
 * Its fields. As JSON and of no other type: a page in a browser cannot send that without asking us first.
 * @throws HttpProblem 400, with what to send
 */
export function jsonBody(
  { headers, body }: FastifyRequest,
  remedy: string,
): Readonly<Record<string, unknown>> {
  const refuse = (message: string): HttpProblem => new HttpProblem(400, 'GS_HTTP_BODY', message, { remedy });
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    throw refuse('The body of the request is not said to be application/json.');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.isBuffer(body) ? body.toString() : '') as unknown;
  } catch {
    throw refuse('The body of the request is no JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse('The body of the request is no JSON object.');
  return value as Readonly<Record<string, unknown>>;
}
