/**
 * The server itself. Hunts answers that are no JSON with a code, a node that a foreign page can read through a name of its
 * own, words of requests in the log, a port conflict that nobody understands, and an end that hangs on an open connection.
 */
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/core/clock.js';
import { ERRORS, type GroundswellError } from '../../../../src/core/errors.js';
import { silent, type Logger } from '../../../../src/core/logger.js';
import type { RoutePlugin } from '../../../../src/serve/http/facts.js';
import { ROUTES } from '../../../../src/serve/http/routes.js';
import { startHttp } from '../../../../src/serve/http/server.js';
import { openStream } from '../../../../src/serve/http/sse.js';
import { until } from '../../../support/until.js';
import { problemOf, startNode, type TestNode } from './node.js';
import { exchange, statusOf } from './raw.js';

/** Lines that were logged: level, fields, message. */
const lines: [level: string, fields: object, message: string][] = [];
const logger: Logger = {
  debug: (fields, message) => lines.push(['debug', fields, message]),
  info: (fields, message) => lines.push(['info', fields, message]),
  warn: (fields, message) => lines.push(['warn', fields, message]),
  error: (fields, message) => lines.push(['error', fields, message]),
  child: () => logger,
};

let slowRequests = 0;
const faulty: RoutePlugin = (app) => {
  app.get('/v1/faulty/:name', (request) => {
    throw new TypeError(`no ${(request.params as { name: string }).name} here`);
  });
  app.get('/v1/slow', () => {
    slowRequests++;
    return new Promise(() => undefined);
  });
};

let node: TestNode;
beforeAll(async () => {
  node = await startNode({ logger, routes: [...ROUTES, faulty] });
});
afterAll(() => node.close());

describe('every answer', () => {
  it('carries the headers that keep a page in its place, errors included', async () => {
    for (const path of ['/healthz', '/nothing', '/v1/dead?limit=x', '/%zz']) {
      const { headers } = await fetch(node.url + path);
      expect(headers.get('content-security-policy'), path).toMatch(/^default-src 'self';/);
      expect(headers.get('x-content-type-options'), path).toBe('nosniff');
      expect(headers.get('x-frame-options'), path).toBe('DENY');
      expect(headers.get('cache-control'), path).toBe('no-store');
      expect(headers.get('access-control-allow-origin'), path).toBeNull();
    }
  });

  it('from 400 on is JSON with a code of the catalogue, a message and what to do', async () => {
    const post = (headers: Record<string, string>, body: string | Uint8Array): RequestInit => ({
      method: 'POST',
      headers,
      body,
    });
    const json = { 'content-type': 'application/json' };
    const asked: [status: number, path: string, init?: RequestInit][] = [
      [404, '/nothing'],
      [405, '/healthz', { method: 'DELETE' }],
      [400, '/%zz'],
      [400, '/v1/dead?limit=0'],
      [400, '/v1/status?pretty=1'],
      [400, '/v1/actors/drivr/d-1'],
      [404, '/v1/actors/driver/d-1'],
      [400, '/v1/events', post(json, '{')],
      [415, '/v1/events', post({}, new Uint8Array(3))],
      [415, '/v1/events', post({ ...json, 'content-encoding': 'br' }, 'x')],
      [413, '/v1/events', post(json, Buffer.alloc(8 * 1024 * 1024 + 1, ' '))],
      [500, '/v1/faulty/thing'],
    ];
    for (const [status, path, init] of asked) {
      const response = await fetch(node.url + path, init);
      expect(response.headers.get('content-type'), path).toBe('application/json; charset=utf-8');
      const problem = await problemOf(response);
      expect(problem.status, path).toBe(status);
      expect(Object.keys(ERRORS), path).toContain(problem.code);
      expect(problem.message, path).toMatch(/^[A-Z"/].{5,}[.?]$/s);
      expect(problem.remedy, path).toMatch(/^[A-Z].*\.$/s);
    }
  });

  it('to bytes that are no request is JSON too', async () => {
    const garbage: [bytes: string, status: number][] = [
      ['GET\r\n\r\n', 400],
      ['\x16\x03\x01\x02\x00\x01', 400],
      [`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
      ['GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nhost: localhost\r\nexpect: tea\r\n\r\n', 417],
      [
        'POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
        400,
      ],
    ];
    for (const [bytes, status] of garbage) {
      const text = await exchange(node.url, bytes);
      expect(statusOf(text), JSON.stringify(bytes.slice(0, 30))).toBe(status);
      expect(JSON.parse(/\{.*\}/s.exec(text)![0])).toMatchObject({
        error: {
          code: 'GS_USAGE',
          message: expect.any(String) as string,
          remedy: expect.any(String) as string,
        },
      });
    }
  });
});

describe('a path that is not there', () => {
  it.each([
    ['/v1/statsu', '/v1/status'],
    ['/v1/actor/driver/d-1', '/v1/actors/:type/*'],
    ['/v1/deads', '/v1/dead'],
    ['/healthy', '/healthz'],
  ])('%s: names the nearest that is', async (path, near) => {
    const problem = await problemOf(await fetch(node.url + path));
    expect(problem).toMatchObject({ status: 404, code: 'GS_NOT_FOUND' });
    expect(problem.message).toContain(`did you mean ${near}?`);
  });

  it('lists all when none is near', async () => {
    const problem = await problemOf(await fetch(`${node.url}/favicon.something/else`));
    expect(problem.remedy).toMatch(/\/healthz.*\/v1\/status/);
  });

  it('is answered before its body is read', async () => {
    const head = 'POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n';
    const text = await exchange(node.url, head, { enough: (text) => text.includes('GS_NOT_FOUND') });
    expect(statusOf(text)).toBe(404);
  });
});

describe('a method that a path does not take', () => {
  it.each([
    ['PUT', '/v1/events', 'POST'],
    ['OPTIONS', '/v1/events', 'POST'],
    ['POST', '/v1/actors/driver/a/b', 'GET, HEAD'],
    ['DELETE', '/metrics', 'GET, HEAD'],
  ])('%s %s is 405, with those that it takes', async (method, path, allow) => {
    const response = await fetch(node.url + path, { method });
    expect(response.headers.get('allow')).toBe(allow);
    expect(await problemOf(response)).toMatchObject({ status: 405, remedy: `It takes ${allow}.` });
  });

  it('HEAD is taken where GET is', async () => {
    const response = await fetch(`${node.url}/healthz`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});

describe('a node on the loopback address', () => {
  const ask = (host: string): Promise<string> =>
    exchange(node.url, `GET /v1/status HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);

  it.each(['127.0.0.1', '127.0.0.1:7380', 'localhost', 'LOCALHOST:1', '[::1]', '[::1]:7380', '127.8.8.8'])(
    'answers to %s',
    async (host) => {
      expect(statusOf(await ask(host))).toBe(200);
    },
  );

  it.each([
    'attacker.example',
    'localhost.attacker.example',
    '127.0.0.1.attacker.example:80',
    'attacker.example:7380',
    '10.0.0.7',
    '[::2]',
    'a@localhost',
    '127.0.0.1:80:80',
    '',
  ])('does not answer to "%s"', async (host) => {
    expect(statusOf(await ask(host))).toBe(421);
  });

  it('answers to all names when it is bound to an address that others reach', async () => {
    const open = await startNode({ host: '0.0.0.0' });
    const url = open.url.replace('0.0.0.0', '127.0.0.1');
    const text = await exchange(
      url,
      'GET /healthz HTTP/1.1\r\nhost: node-7.example\r\nconnection: close\r\n\r\n',
    );
    expect(statusOf(text)).toBe(200);
    await open.close();
  });
});

describe('the log', () => {
  it('has a line for each request at debug alone, without the path’s names, and says faults without their message', async () => {
    lines.length = 0;
    await fetch(`${node.url}/v1/actors/driver/secret-driver`);
    await fetch(`${node.url}/v1/faulty/secret-thing`);
    await fetch(`${node.url}/v1/secret-path?x=secret-value`);
    const requests = (): typeof lines => lines.filter(([, , message]) => message === 'request');
    await until('all requests are told', () => requests().length === 3);
    expect(requests().map(([level]) => level)).toEqual(['debug', 'debug', 'debug']);
    expect(requests().map(([, fields]) => fields)).toMatchObject([
      { method: 'GET', route: '/v1/actors/:type/*', status: 404 },
      { method: 'GET', route: '/v1/faulty/:name', status: 500 },
      { method: 'GET', route: 'unmatched', status: 404 },
    ]);
    expect(JSON.stringify(requests())).not.toContain('secret');
    const above = lines.filter(([level]) => level !== 'debug');
    expect(above).toEqual([['error', expect.objectContaining({ code: 'GS_INTERNAL' }), 'a request failed']]);
    expect(JSON.stringify(above)).not.toContain('secret');
  });
});

describe('a port that cannot be taken', () => {
  const start = async (host: string, port: number): Promise<GroundswellError> =>
    (await startHttp({ host, port, logger: silent, clock: systemClock, facts: node.facts, routes: [] }).then(
      () => undefined,
      (error: unknown) => error,
    )) as GroundswellError;

  it('because it is in use is named, with what to do', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const error = await start('127.0.0.1', port);
    expect(error).toMatchObject({ code: 'GS_HTTP_PORT', exitCode: 2, retry: true });
    expect(error.message).toContain(`Port ${port} is in use`);
    expect(error.remedy).toContain('--http');
    other.close();
  });

  it('because the address is another machine’s is told so', async () => {
    expect(await start('192.0.2.1', 0)).toMatchObject({
      code: 'GS_HTTP_PORT',
      message: '192.0.2.1 is no address of this machine.',
    });
  });
});

describe('P8: a connection', () => {
  const limits = { headersMs: 150, requestMs: 300, keepAliveMs: 100, idleMs: 400, checkEveryMs: 50 };

  it.each([
    ['whose headers do not end', 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n', 408],
    [
      'whose body does not come',
      'POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{',
      408,
    ],
    ['that is kept and not used', 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n', 200],
    ['that says nothing', '', 408],
  ])('%s is ended by the server', async (_what, bytes, status) => {
    const own = await startNode({ limits });
    const startedMs = performance.now();
    const text = await exchange(own.url, bytes, { deadlineMs: 20_000 });
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(statusOf(text)).toBe(status);
    expect(await (await fetch(`${own.url}/healthz`)).json()).toEqual({ status: 'alive' });
    await own.close();
  });

  it('beyond the number that may be is not taken, and those that are there go on', async () => {
    const own = await startNode({ limits: { connectionsMax: 3 } });
    const { port } = new URL(own.url);
    const sockets = Array.from({ length: 3 }, () => connect(Number(port), '127.0.0.1'));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    expect(await exchange(own.url, 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n')).toBe('');
    sockets[0]!.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    const [chunk] = (await once(sockets[0]!, 'data')) as [Buffer];
    expect(statusOf(chunk.toString())).toBe(200);
    for (const socket of sockets) socket.destroy();
    await own.close();
  });
});

describe('close', () => {
  it('ends within a second though connections are idle, streams open, answers due and requests half sent', async () => {
    const streaming: RoutePlugin = (app) => {
      app.get('/stream', (_request, reply) => {
        openStream(reply, { heartbeatMs: 15_000, maxQueuedBytes: 1_000, clock: systemClock });
      });
    };
    const own = await startNode({ routes: [streaming, faulty] });
    const { port } = new URL(own.url);
    const idle = connect(Number(port), '127.0.0.1');
    const half = connect(Number(port), '127.0.0.1');
    for (const socket of [idle, half]) socket.on('error', () => undefined);
    half.write('POST /v1/slow HTTP/1.1\r\nhost: localhost\r\n');
    await once(idle, 'connect');
    const agent = new Agent({ keepAlive: true });
    const kept = get(`${own.url}/nothing`, { agent });
    const [answer] = (await once(kept, 'response')) as [NodeJS.ReadableStream];
    answer.resume();
    const stream = await fetch(`${own.url}/stream`);
    const slow = fetch(`${own.url}/v1/slow`).catch(() => 'cut off');
    await until('the slow request has come', () => slowRequests === 1);
    const startedMs = performance.now();
    await own.http.close();
    expect(performance.now() - startedMs).toBeLessThan(1_200);
    expect(await stream.text()).toContain('event: end\ndata: {"reason":"closing"}');
    expect(await slow).toBe('cut off');
    await expect(fetch(`${own.url}/healthz`)).rejects.toThrow();
    agent.destroy();
    await own.close();
  });
});
