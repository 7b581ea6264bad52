/**
 * The body of a request → items. Owns what a body may be: its types, its encodings, how large it and how many its items
 * may be. What is wrong with a part is told of that item; what is wrong with the whole refuses it all.
 */
import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf } from '../../core/errors.js';
import { REFUSED_BODY_CHARS_MAX } from '../../ingest/event-frames.js';
import { eventBytes } from '../../ingest/event-size.js';
import { LineSplitter } from '../../ingest/lines.js';
import { BODY_BYTES_MAX } from './limits.js';
import { HttpProblem } from './problem.js';

export const ITEMS_MAX = 50_000;

export type BodyKind = 'ndjson' | 'json';

export type Item =
  | { readonly raw: unknown; readonly text: () => string }
  /** Not even a value: why, and what stood there. */
  | { readonly malformed: string; readonly text: () => string };

const REMEDY_TYPE =
  'Send application/x-ndjson (one event a line) or application/json (an array of events, or one).';

/** @throws HttpProblem 415 for any other type, or another charset than UTF-8 */
export function bodyKind(contentType: string | undefined): BodyKind {
  const [type, ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length);
  if (charset !== undefined && !/^"?utf-?8"?$/.test(charset))
    throw unsupported(`The charset ${charset.slice(0, 40)} is not read here.`, 'Send UTF-8.');
  if (type === 'application/x-ndjson') return 'ndjson';
  if (type === 'application/json') return 'json';
  const found = type === '' ? 'has no content-type' : `is of type ${type!.slice(0, 80)}`;
  throw unsupported(`The body ${found}.`, REMEDY_TYPE);
}

/** @throws HttpProblem 415 for any other encoding than gzip */
export function isGzip(encoding: string | undefined): boolean {
  const name = (encoding ?? 'identity').trim().toLowerCase();
  if (name === 'gzip' || name === 'x-gzip') return true;
  if (name === 'identity' || name === '') return false;
  throw new HttpProblem(415, 'GS_HTTP_BODY', `The encoding ${name.slice(0, 40)} is not read here.`, {
    remedy: 'Send the body as it is, or with gzip.',
    headers: { 'accept-encoding': 'gzip, identity' },
  });
}

/** @throws HttpProblem 413 when it unpacks to more than a body may be, 400 when it is damaged */
export async function unpacked(body: Buffer): Promise<Buffer> {
  try {
    return await promisify(gunzip)(body, { maxOutputLength: BODY_BYTES_MAX });
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE')
      throw new HttpProblem(413, 'GS_HTTP_BODY', `The body unpacks to more than ${BODY_BYTES_MAX} bytes.`);
    throw new HttpProblem(400, 'GS_HTTP_BODY', `The body is no gzip: ${messageOf(error)}.`, {
      remedy: 'Send a whole gzip file, or leave the header content-encoding out.',
    });
  }
}

/**
 * The items of a body, made as they are asked for.
 * @throws HttpProblem 400 for what is not JSON at all, 413 for too many items; before the first or on the way
 */
export function* itemsOf(body: Buffer, kind: BodyKind): Generator<Item> {
  let count = 0;
  for (const item of kind === 'ndjson' ? linesOf(body) : valuesOf(body)) {
    if (++count > ITEMS_MAX) throw tooManyItems();
    yield item;
  }
}

function tooManyItems(): HttpProblem {
  return new HttpProblem(413, 'GS_HTTP_BODY', `The body has more than ${ITEMS_MAX} events.`, {
    remedy: `Send at most ${ITEMS_MAX} events with a request.`,
  });
}

function* linesOf(body: Buffer): Generator<Item> {
  const splitter = new LineSplitter();
  for (const blocks of [splitter.push(body), splitter.end()]) {
    for (const { lines, faults } of blocks) {
      for (let i = 0; i < lines.length; i++) {
        const line = lines[i]!;
        const fault = faults.get(i);
        if (fault !== undefined) yield { malformed: fault, text: () => shortened(line) };
        else if (line.trim() !== '') yield lineItem(line);
      }
    }
  }
}

function lineItem(line: string): Item {
  const text = (): string => shortened(line);
  try {
    return { raw: JSON.parse(line) as unknown, text };
  } catch (error) {
    return { malformed: `not JSON: ${messageOf(error)}`, text };
  }
}

function* valuesOf(body: Buffer): Generator<Item> {
  if (!isUtf8(body)) throw notJson('it is not valid UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw notJson(messageOf(error));
  }
  if (typeof value !== 'object' || value === null) throw notJson('it is neither an array nor an object');
  const values: unknown[] = Array.isArray(value) ? value : [value];
  if (values.length > ITEMS_MAX) throw tooManyItems();
  for (const raw of values) yield { raw, text: () => textOf(raw) };
}

/** What was not sent as a line of its own; written again only where that is cheap: it may be nested without end. */
function textOf(raw: unknown): string {
  return Number.isFinite(eventBytes({ raw }))
    ? shortened(JSON.stringify(raw))
    : '(too large or nested too deeply to be kept)';
}

function notJson(why: string): HttpProblem {
  return new HttpProblem(400, 'GS_HTTP_BODY', `The body is not JSON: ${why}.`, {
    remedy:
      'Send a JSON array of events or one event; with application/x-ndjson a bad line refuses itself alone.',
  });
}

function unsupported(message: string, remedy: string): HttpProblem {
  return new HttpProblem(415, 'GS_HTTP_BODY', message, {
    remedy,
    headers: { 'accept-post': 'application/x-ndjson, application/json' },
  });
}

function shortened(text: string): string {
  return text.slice(0, REFUSED_BODY_CHARS_MAX);
}
