/**
 * The HTTP server: limits, time-outs, who may ask (the host check), the headers and errors that all answers share, and a
 * bounded end. What is answered is the routes' business.
 */
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Clock } from '../../core/clock.js';
import type { Logger } from '../../core/logger.js';
import { answerToGarbage, refuseExpectation } from './client-error.js';
import type { HttpFacts, RoutePlugin } from './facts.js';
import { expectKnownHost } from './host-check.js';
import { BODY_BYTES_MAX } from './limits.js';
import { cannotListen, forUrl, listenHost } from './port.js';
import { busy, problemOf, sendProblem } from './problem.js';
import { RouteTable } from './route-table.js';
import { StreamTable } from './sse.js';

export interface HttpServerOptions {
  /** Address to listen on; the loopback one unless others shall reach the node. */
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Lets go of the port when it was held until now: called right before it is listened on. */
  release?(): Promise<void>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly facts: HttpFacts;
  readonly routes: readonly RoutePlugin[];
  readonly limits?: Partial<HttpLimits>;
}

/** How long anybody may keep a connection without using it, and how many there may be (P8). */
export interface HttpLimits {
  readonly connectionsMax: number;
  /** For the headers of a request, and for all of it, ms. */
  readonly headersMs: number;
  readonly requestMs: number;
  /** Without a byte in either direction, ms; event streams move with each heartbeat. */
  readonly idleMs: number;
  /** Between two requests, ms. */
  readonly keepAliveMs: number;
  /** How often the two first are looked at, ms. */
  readonly checkEveryMs: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  connectionsMax: 1_024,
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
  keepAliveMs: 30_000,
  checkEveryMs: 5_000,
};

export interface HttpServer {
  /** Where it answers, with the port that was taken. */
  readonly url: string;
  /** Ends event streams, lets running answers finish for a moment, then closes all. Takes 1 s at most. */
  close(): Promise<void>;
}

const PARAM_CHARS_MAX = 2_048;
/** Time for answers that are under way when the server closes. */
const CLOSE_GRACE_MS = 700;

/** The page is served from here and nothing else is: no foreign scripts, no frames around it. */
const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

/** @throws GroundswellError GS_HTTP_PORT when the address cannot be taken */
export async function startHttp(options: HttpServerOptions): Promise<HttpServer> {
  const { app, close } = buildApp(options);
  // By name, fastify would open a second server for the other family, which nobody closes in time.
  const host = listenHost(options.host);
  try {
    // All that takes time is done before: nobody else shall find the port free.
    await app.ready();
    await options.release?.();
    await app.listen({ host, port: options.port });
  } catch (error) {
    await app.close().catch(() => undefined);
    throw cannotListen(host, options.port, error);
  }
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return { url: `http://${forUrl(host)}:${port}`, close };
}

function buildApp(options: HttpServerOptions): { app: FastifyInstance; close: () => Promise<void> } {
  const { facts, logger, clock } = options;
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const streams = new StreamTable();
  const routes = new RouteTable();
  let closing = false;
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    connectionTimeout: limits.idleMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    http: { headersTimeout: limits.headersMs, connectionsCheckingInterval: limits.checkEveryMs },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_CHARS_MAX },
    clientErrorHandler: (error, socket) => {
      const status = answerToGarbage(error, socket);
      if (status !== undefined) facts.metrics.requestEnded('unparsed', status, undefined);
    },
    frameworkErrors: (error, _request, reply) => {
      const problem = problemOf(error);
      facts.metrics.requestEnded('unparsed', problem.status, undefined);
      void sendProblem(reply.headers(SECURITY_HEADERS), problem);
    },
  });
  app.server.maxConnections = limits.connectionsMax;
  app.server.on('checkExpectation', refuseExpectation);
  app.decorate('streams', streams);
  app.addHook('onRoute', (route) => {
    routes.add(route);
  });
  // Every body comes as bytes; a route that takes one says what they are.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  app.addHook('onRequest', (request, reply, done) => {
    observe(request, reply, facts, clock, logger);
    reply.headers(SECURITY_HEADERS);
    expectKnownHost(request.headers.host, options.host);
    if (closing) {
      throw busy('The node is stopping.', 5, 'Try again once it is back.');
    }
    // Before its body is read.
    if (request.is404) throw routes.missing(request.method, request.raw.url ?? '/');
    done();
  });
  app.setNotFoundHandler((request) => {
    throw routes.missing(request.method, request.raw.url ?? '/');
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem.status >= 500) tellFault(logger, request, problem);
    return sendProblem(reply, problem);
  });
  for (const addTo of options.routes) addTo(app, facts);

  const close = async (): Promise<void> => {
    closing = true;
    streams.closeAll();
    const cancel = clock.after(CLOSE_GRACE_MS, () => {
      app.server.closeAllConnections();
    });
    try {
      await app.close();
    } finally {
      cancel();
    }
  };
  return { app, close };
}

/** Counts a request when its answer is out or its sender gone. The path is told by its pattern alone: it may hold names. */
function observe(
  request: FastifyRequest,
  reply: FastifyReply,
  facts: HttpFacts,
  clock: Clock,
  logger: Logger,
): void {
  const route = request.is404 ? 'unmatched' : (request.routeOptions.url ?? 'unmatched');
  const startedMs = clock.monotonic();
  reply.raw.once('close', () => {
    const seconds = (clock.monotonic() - startedMs) / 1_000;
    const isStream = String(reply.raw.getHeader('content-type')).startsWith('text/event-stream');
    const status = reply.raw.headersSent ? reply.raw.statusCode : 'aborted';
    facts.metrics.requestEnded(route, status, isStream ? undefined : seconds);
    logger.debug({ method: request.method, route, status, seconds }, 'request');
  });
}

/** A fault of ours, or of what the node stands on. The message may quote the request, so only `debug` has it. */
function tellFault(
  logger: Logger,
  request: FastifyRequest,
  { status, code, message, cause }: ReturnType<typeof problemOf>,
): void {
  const route = request.routeOptions.url ?? 'unmatched';
  if (status === 500) logger.error({ route, code, at: placeOf(cause) }, 'a request failed');
  logger.debug({ route, code, status, message }, 'a request failed');
}

/** The frames of a stack, without the message above them. */
function placeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  return thrown.stack
    ?.split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 4)
    .map((line) => line.trim())
    .join(' < ');
}
