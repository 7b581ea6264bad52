/**
 * Requests at random, from a seed: whole ones, damaged ones and bytes that are none. Every route is met with what it takes
 * as well as with what it does not.
 */
import { gzipSync } from 'node:zlib';
import { seededRandom, type Random } from '../../src/core/random.js';

export interface Shot {
  readonly bytes: Buffer;
  /** Requests in it, as far as it was meant. */
  readonly requests: number;
  /** Whole, as far as is known here: the server answers and closes by itself. */
  readonly whole: boolean;
  /** Broken off behind this many bytes, without a word. */
  readonly cutAt?: number;
}

const PATHS = [
  '/healthz',
  '/readyz',
  '/metrics',
  '/v1/events',
  '/v1/features',
  '/v1/features/region',
  '/v1/features/cell/9q8yyk',
  '/v1/features/gh5/9q8yy',
  '/v1/features/cell/zzzzzz',
  '/v1/watch',
  '/v1/watch?pattern=cell/9q8y*&live=1',
  '/v1/map',
  '/v1/map/stream',
  '/v1/top',
  '/v1/status',
  '/v1/actors/driver/d-1',
  '/v1/actors/cell/9q8yyk',
  '/v1/dead',
  '/v1/dead/1',
  '/v1/quarantine',
  '/',
  '/page.js',
  '/style.css',
  '/icon.svg',
];
/** Whole requests that have an answer. */
const GOOD = [
  ...PATHS,
  '/v1/features?level=cell&prefix=9q8y&window=5m&limit=10',
  '/v1/features/cell/9q8yyk?window=1m&history=60',
  '/v1/features/region?history=10',
  '/v1/watch?pattern=*',
  '/v1/watch?pattern=gs.sf.agg.1m.cell.9.q.%3E',
  '/v1/top?n=3',
  '/v1/dead?limit=20&before=90',
  '/v1/dead?type=unknown&limit=500',
  '/v1/dead?type=ride.requested',
  '/v1/dead/17',
  '/v1/actors/driver/a%2Fb',
];
const SEGMENTS = [
  'v1', 'features', 'cell', 'gh4', 'gh5', 'region', 'watch', 'map', 'stream', 'top', 'status', 'actors', 'driver', 'rider',
  'live', 'dead', 'events', '9q8yyk', '9q8y', 'sf', '..', '.', '%2e%2e', '%2F', '%00', '%', '%zz', '%E2%82', '%F0%9F%9A%95',
  '__proto__', 'constructor', 'toString', '*', ':key', ' ', '9'.repeat(30), '-1', '\u00ff', '\x7f', 'x'.repeat(300), '',
]; // prettier-ignore
const QUERIES: readonly (readonly [string, readonly string[]])[] = [
  ['level', ['cell', 'gh5', 'region', 'live', 'x', '']],
  ['prefix', ['9q8', '9q8yyk', 'a', '*', '9'.repeat(400)]],
  ['window', ['1m', '5m', '1h', '7m', '__proto__']],
  ['limit', ['1', '100', '0', '-1', '1e3', '999999999999999999999', 'NaN', '']],
  ['after', ['9q8yyk', '\u0000', 'z']],
  ['history', ['1', '60', '61', 'x']],
  [
    'pattern',
    ['*', 'cell/*', 'cell/9q8y*', '5m/region', 'gs.sf.agg.1m.cell.9.>', 'gs.>', '(((', '[', '%5B', '\\', '>'],
  ],
  ['live', ['1', '0', 'yes', '']],
  ['n', ['1', '100', '101', '-0']],
  ['type', ['ride.requested', 'unknown', 'a b', '>', '*', '__proto__']],
  ['before', ['1', '9007199254740991', '9007199254740993', '0']],
  ['__proto__', ['1']],
  ['x', ['1']],
];
const METHODS = [
  'GET',
  'GET',
  'GET',
  'GET',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'PROPFIND',
  'BREW',
  'get',
];
const TYPES = [
  'application/json', 'application/x-ndjson', 'application/json; charset=utf-8', 'application/x-ndjson;charset=utf-8',
  'application/json; charset=utf-16', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x',
  '', ';', '/', 'application/json;;;=', '\u00ff/\u00fe', 'a'.repeat(2_000),
]; // prettier-ignore
const HEADERS = [
  'accept: */*', 'accept-encoding: gzip, br', 'expect: 100-continue', 'expect: nothing', 'range: bytes=0-1', 'if-none-match: *',
  'connection: upgrade\r\nupgrade: websocket', 'connection: keep-alive', 'cookie: a=b', 'origin: http://attacker.example',
  'x-forwarded-for: 1.2.3.4', 'transfer-encoding: gzip', 'te: trailers', 'accept-version: 9', 'content-encoding: gzip',
  'content-encoding: br', 'content-encoding: identity', 'host: attacker.example', 'content-length: 5', 'x: \u0000', 'bad header',
  ': empty', `x: ${'y'.repeat(9_000)}`, 'last-event-id: 7', 'sec-fetch-site: cross-site', 'http2-settings: AAMAAABkAAQAAP__',
]; // prettier-ignore

export class RequestMill {
  readonly #random: Random;
  /** Nothing was put into the requests of this shot that makes their end uncertain. */
  #framed = true;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  shot(): Shot {
    if (this.#chance(0.02)) return { bytes: this.#noise(1 + this.#below(400)), requests: 1, whole: false };
    this.#framed = true;
    const count = this.#chance(0.15) ? 2 + this.#below(4) : 1;
    const requests = Array.from({ length: count }, (_, i) => this.#request(i === count - 1));
    let bytes: Buffer = Buffer.concat(requests);
    const whole = this.#framed && !this.#chance(0.08);
    if (!whole) bytes = this.#mutated(bytes);
    if (this.#chance(0.08)) return { bytes, requests: count, whole, cutAt: this.#below(bytes.length) };
    return { bytes, requests: count, whole };
  }

  #request(last: boolean): Buffer {
    const events = this.#chance(0.35);
    const method = events
      ? this.#chance(0.95)
        ? 'POST'
        : this.#one(METHODS)
      : this.#chance(0.8)
        ? 'GET'
        : this.#one(METHODS);
    const target = events && this.#chance(0.97) ? '/v1/events' : this.#target();
    const version = this.#chance(0.01)
      ? this.#one(['HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9', 'HTTPS/1.1', ''])
      : 'HTTP/1.1';
    const headers = [
      `host: ${this.#chance(0.02) ? this.#one(['', 'x y', 'attacker.example', '[::1']) : 'localhost'}`,
    ];
    while (this.#chance(0.15)) {
      headers.push(this.#one(HEADERS));
      this.#framed = false;
    }
    let body: Buffer = Buffer.alloc(0);
    if (events || this.#chance(0.05)) {
      body = this.#body();
      if (this.#chance(0.1)) {
        headers.push('content-encoding: gzip');
        if (this.#chance(0.8)) body = gzipSync(body);
        if (this.#chance(0.2)) body = body.subarray(0, this.#below(body.length + 1));
      }
      if (this.#chance(0.98))
        headers.push(`content-type: ${this.#one(this.#chance(0.85) ? TYPES.slice(0, 4) : TYPES)}`);
      if (this.#chance(0.2)) {
        headers.push('transfer-encoding: chunked');
        body = this.#chunked(body);
      } else if (this.#chance(0.97)) headers.push(`content-length: ${body.length}`);
      else {
        headers.push(
          `content-length: ${this.#one(['-1', 'x', '99999999999', String(body.length + 7), '1'])}`,
        );
        this.#framed = false;
      }
    }
    if (last) headers.push('connection: close');
    const head = `${method} ${target} ${version}\r\n${headers.join('\r\n')}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head, 'latin1'), body]);
  }

  #target(): string {
    if (this.#chance(0.45)) return this.#one(GOOD);
    const path = this.#chance(0.6)
      ? this.#one(PATHS)
      : `/${Array.from({ length: this.#below(6) }, () => this.#one(SEGMENTS)).join('/')}`;
    const query: string[] = [];
    while (this.#chance(0.4)) {
      const [name, values] = this.#one(QUERIES);
      query.push(`${name}=${this.#one(values)}`);
    }
    const target = path + (query.length > 0 ? (path.includes('?') ? '&' : '?') + query.join('&') : '');
    if (this.#chance(0.03))
      return this.#one([
        '*',
        `http://localhost${target}`,
        '',
        target + '#f',
        `${target}${'a'.repeat(17_000)}`,
      ]);
    return this.#chance(0.06) ? this.#mutated(Buffer.from(target)).toString('latin1') : target;
  }

  #body(): Buffer {
    const lines = Array.from({ length: this.#below(12) }, () => this.#item());
    const text = this.#one([
      () => lines.join('\n'),
      () => `${lines.join('\r\n')}\r\n\n`,
      () => `[${lines.join(',')}]`,
      () => this.#item(),
      () => '['.repeat(this.#below(20_000)),
      () => `[${'0,'.repeat(this.#below(200))}0]`,
    ])();
    const bytes = Buffer.from(text);
    return this.#chance(0.15) ? this.#mutated(bytes) : bytes;
  }

  #item(): string {
    const number = (): unknown => this.#one([0, -1, 91, 37.7749, -122.4194, 1e21, null, '7', [], {}, true]);
    const event: Record<string, unknown> = {
      type: this.#one([
        'driver.location',
        'ride.requested',
        'ride.accepted',
        'session.opened',
        'x',
        7,
        '__proto__',
      ]),
      driverId: this.#one(['d-1', 'd-2', '', '\u0000', '\ud800', 'x'.repeat(200), 7]),
      riderId: this.#one(['r-1', '🚕', 'a/b']),
      rideId: `q-${this.#below(50)}`,
      lat: this.#chance(0.8) ? 37.7749 : number(),
      lon: this.#chance(0.8) ? -122.4194 : number(),
      ts: this.#chance(0.8) ? Date.now() - this.#below(60_000) : number(),
      status: this.#one(['open', 'ontrip', 'enroute', 'offline', 'x', null]),
    };
    if (this.#chance(0.2)) event['id'] = `e-${this.#below(100)}`;
    if (this.#chance(0.1)) event[`f${this.#below(1_000)}`] = { a: [1, { b: 'c' }] };
    const text = JSON.stringify(event);
    const last = this.#below(60);
    if (last === 0) return text.replace(/}$/, ',"__proto__":{"polluted":1}}');
    if (last === 1) return text.replace(/}$/, `,"deep":${'['.repeat(5_000)}${']'.repeat(5_000)}}`);
    if (last === 2) return text.replace(/}$/, ',"lat":1e999,"lat":2}');
    if (last === 3) return text.slice(0, this.#below(text.length));
    if (last === 4) return this.#one(['NaN', 'null', '""', '{}', '[]', '-', '1e400', 'x'.repeat(70_000)]);
    return text;
  }

  #chunked(body: Buffer): Buffer {
    const parts: Buffer[] = [];
    for (let at = 0; at < body.length;) {
      const chunk = body.subarray(at, at + 1 + this.#below(2_000));
      let size = chunk.length.toString(16);
      if (this.#chance(0.02)) {
        size = this.#one(['-1', 'zz', 'ffffffffff', '']);
        this.#framed = false;
      }
      const extension = this.#chance(0.03) ? `;x=${'y'.repeat(this.#below(300))}` : '';
      parts.push(Buffer.from(`${size}${extension}\r\n`), chunk, Buffer.from('\r\n'));
      at += chunk.length;
    }
    parts.push(Buffer.from(this.#chance(0.95) ? '0\r\n\r\n' : '0\r\nx: y\r\n\r\n'));
    return Buffer.concat(parts);
  }

  /** A few bytes flipped, left out or put in. */
  #mutated(bytes: Buffer): Buffer {
    let mutated = Buffer.from(bytes);
    for (let i = 1 + this.#below(3); i > 0 && mutated.length > 0; i--) {
      const at = this.#below(mutated.length);
      const what = this.#below(3);
      if (what === 0) mutated[at] = this.#below(256);
      else if (what === 1)
        mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + 1 + this.#below(8))]);
      else
        mutated = Buffer.concat([
          mutated.subarray(0, at),
          this.#noise(1 + this.#below(8)),
          mutated.subarray(at),
        ]);
    }
    return mutated;
  }

  #noise(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#below(256)));
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!;
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }
}
