/**
 * Errors as HTTP answers: which status a code of the catalogue has, and the body that all of them share. A route throws a
 * GroundswellError, or an HttpProblem where the code alone does not say the status.
 */
import type { FastifyReply } from 'fastify';
import { type ErrorCode, GroundswellError, messageOf } from '../../core/errors.js';

/** An error with a status and headers of its own: 413, 429 with `retry-after`, 405 with `allow`. */
export class HttpProblem extends GroundswellError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    options: { remedy?: string; headers?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.name = 'HttpProblem';
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

/** 503 with the time after which to try again: the node, or the stream behind it, cannot answer now. */
export function busy(message: string, retryAfterS: number, remedy?: string): HttpProblem {
  return new HttpProblem(503, 'GS_BUSY', message, {
    headers: { 'retry-after': String(retryAfterS) },
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** 429: nothing was taken, and the same request may succeed in a moment. */
export function tooMany(message: string): HttpProblem {
  return new HttpProblem(429, 'GS_BUSY', message, {
    remedy: 'Send the same again after the time that retry-after names.',
    headers: { 'retry-after': '1' },
  });
}

/** 404 for a thing that is not there, in the words of the route. */
export function notFound(message: string, remedy?: string): HttpProblem {
  return new HttpProblem(404, 'GS_NOT_FOUND', message, remedy === undefined ? {} : { remedy });
}

/** 400 for a wrong path, query or header. */
export function badRequest(message: string, remedy: string): HttpProblem {
  return new HttpProblem(400, 'GS_USAGE', message, { remedy });
}

/** Status of a code that was thrown without one; all others are 500, for no request can cause them. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  GS_USAGE: 400,
  GS_HTTP_BODY: 400,
  GS_NOT_FOUND: 404,
  GS_REGION_UNKNOWN: 404,
  GS_NO_SUCCESSOR: 409,
  // What the node stands on is away, or the node is going: another try, or another node, may succeed.
  GS_BUSY: 503,
  GS_LOG: 503,
  GS_FENCED: 503,
  GS_NATS_CONNECT: 503,
  GS_STREAM_LOST: 503,
};

/** Anything that was thrown, as a problem. Faults that fastify finds in a request are the requester's. */
export function problemOf(thrown: unknown): HttpProblem {
  if (thrown instanceof HttpProblem) return thrown;
  if (thrown instanceof GroundswellError) {
    const { code, message, remedy } = thrown;
    const status = STATUS[code] ?? 500;
    const headers: Record<string, string> = status === 503 ? { 'retry-after': '1' } : {};
    return new HttpProblem(status, code, message, { remedy, headers, cause: thrown });
  }
  const { statusCode: status, code } = thrown as { statusCode?: unknown; code?: unknown };
  if (code === 'FST_ERR_BAD_URL')
    return badRequest(
      'The address is no valid URL.',
      'Encode what stands behind a % as two hexadecimal digits.',
    );
  if (typeof status === 'number' && status >= 400 && status < 500) {
    const ofBody = status === 413 || status === 415 || String(code).startsWith('FST_ERR_CTP');
    return ofBody
      ? new HttpProblem(status, 'GS_HTTP_BODY', sentence(messageOf(thrown)))
      : new HttpProblem(status, 'GS_USAGE', sentence(messageOf(thrown)), {
          remedy: 'Correct the address and the headers of the request.',
        });
  }
  return new HttpProblem(500, 'GS_INTERNAL', sentence(`The request failed: ${messageOf(thrown)}`), {
    cause: thrown,
  });
}

export function problemBody({ code, message, remedy }: GroundswellError): string {
  return JSON.stringify({ error: { code, message, remedy } });
}

export function sendProblem(reply: FastifyReply, problem: HttpProblem): FastifyReply {
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .type('application/json; charset=utf-8')
    .send(problemBody(problem));
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
