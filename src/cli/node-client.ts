/**
 * The command line's way to a node: its HTTP interface. Owns the address, time-outs, how large an answer may be, and how
 * a refusal or a silence becomes an error of the catalogue. `row-stream.ts` follows rows.
 */
import type { Command } from 'commander';
import { systemClock } from '../core/clock.js';
import { ERRORS, GroundswellError, messageOf, type ErrorCode } from '../core/errors.js';
import type { ActorView } from '../node/status.js';
import type { DrainAsked, RegionQuarantine } from '../serve/nodes/region-nodes.js';
import type {
  DeadAsk,
  DeadLetter,
  DeadPage,
  FeatureReport,
  MapReport,
  NodeReport,
  Readiness,
  ReplayedLetter,
  TopReport,
} from './node-answers.js';

const DEFAULT_ADDRESS = 'http://127.0.0.1:7380';
const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** Adds the option that names the node. */
export function withNode(command: Command): Command {
  return command.option('--http <url>', `the node: URL or port (also GROUNDSWELL_HTTP; ${DEFAULT_ADDRESS})`);
}

/** The address of a node from --http or GROUNDSWELL_HTTP: a URL, host:port, or a port of this machine. */
export function nodeAddress(text?: string, env: NodeJS.ProcessEnv = process.env): string {
  const given = text ?? env['GROUNDSWELL_HTTP'] ?? '';
  if (given === '') return DEFAULT_ADDRESS;
  const whole = /^\d+$/.test(given)
    ? `http://127.0.0.1:${given}`
    : given.includes('://')
      ? given
      : `http://${given}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '' || url.port === '0') {
    throw new GroundswellError(
      'GS_USAGE',
      `"${given}" is not the address of a node, such as ${DEFAULT_ADDRESS}, or a port of this machine.`,
    );
  }
  if (url.username !== '' || url.password !== '')
    throw new GroundswellError('GS_USAGE', 'The address of a node has no user and password in it.', {
      remedy: 'Leave them away: a node does not ask for them.',
    });
  return url.href.replace(/[?#].*$/, '').replace(/\/+$/, '');
}

export class NodeClient {
  readonly address: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;

  /** @param options.signal gives up all questions that are under way */
  constructor(address: string, options: { timeoutMs?: number; signal?: AbortSignal } = {}) {
    this.address = address;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#signal = options.signal;
  }

  status(): Promise<NodeReport> {
    return this.#json<NodeReport>('/v1/status');
  }

  ready(): Promise<Readiness> {
    return this.#json<Readiness>('/readyz', { accepted: [503] });
  }

  /** Asks a node of the region, by name or id, to hand over all that it owns; or to take its share again. */
  drain(nodeNameOrId: string, on: boolean): Promise<DrainAsked> {
    return this.#json<DrainAsked>(`/v1/nodes/${encodeURIComponent(nodeNameOrId)}/drain`, { body: { on } });
  }

  features(level: string, key: string, ask: { window?: string; history?: number }): Promise<FeatureReport> {
    const path = level === 'region' ? ['region'] : [level, key];
    return this.#json(`/v1/features/${path.map(encodeURIComponent).join('/')}${query({ ...ask })}`);
  }

  top(n: number): Promise<TopReport> {
    return this.#json<TopReport>(`/v1/top${query({ n })}`);
  }

  map(): Promise<MapReport> {
    return this.#json<MapReport>('/v1/map');
  }

  actor(type: string, key: string): Promise<ActorView> {
    return this.#json<ActorView>(`/v1/actors/${[type, ...key.split('/')].map(encodeURIComponent).join('/')}`);
  }

  deadLetters(ask: DeadAsk): Promise<DeadPage> {
    return this.#json<DeadPage>(`/v1/dead${query({ ...ask })}`);
  }

  deadLetter(seq: number): Promise<DeadLetter> {
    return this.#json<DeadLetter>(`/v1/dead/${seq}`);
  }

  /** Brings the event of a dead letter in again. @throws GroundswellError GS_REPLAYED when that was done before */
  replayDead(seq: number, again: boolean): Promise<ReplayedLetter> {
    return this.#json<ReplayedLetter>(`/v1/dead/${seq}/replay`, { body: { again } });
  }

  quarantined(): Promise<RegionQuarantine> {
    return this.#json<RegionQuarantine>('/v1/quarantine');
  }

  /** Lets an actor out of quarantine: resolves when the stream has that. */
  release(actor: string): Promise<{ actor: string; kept: number; sinceMs: number }> {
    return this.#json('/v1/quarantine/release', { body: { actor } });
  }

  /**
   * A stream of server-sent events, as text. The time-out is for the answer's beginning only.
   * @throws GroundswellError as the other calls do
   */
  async events(path: string, signal: AbortSignal): Promise<AsyncIterable<string>> {
    const beginning = new AbortController();
    const cancel = systemClock.after(this.#timeoutMs, () => {
      beginning.abort(new DOMException('', 'TimeoutError'));
    });
    try {
      const response = await this.#ask(
        path,
        AbortSignal.any([signal, beginning.signal]),
        'text/event-stream',
      );
      if (!response.ok) throw await this.#refusal(path, response);
      if (!isType(response, 'text/event-stream') || response.body === null) throw this.#foreign(response);
      return response.body.pipeThrough(new TextDecoderStream());
    } finally {
      cancel();
    }
  }

  async #json<T>(
    path: string,
    { accepted = [], body }: { accepted?: readonly number[]; body?: object } = {},
  ): Promise<T> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const signal = this.#signal === undefined ? timeout : AbortSignal.any([this.#signal, timeout]);
    const response = await this.#ask(path, signal, 'application/json', body);
    if (!response.ok && !accepted.includes(response.status)) throw await this.#refusal(path, response);
    if (!isType(response, 'application/json')) throw this.#foreign(response);
    return (await this.#body(response)) as T;
  }

  async #ask(path: string, signal: AbortSignal, accept: string, body?: object): Promise<Response> {
    const sent =
      body === undefined
        ? { headers: { accept } }
        : {
            method: 'POST',
            headers: { accept, 'content-type': 'application/json' },
            body: JSON.stringify(body),
          };
    try {
      return await fetch(`${this.address}${path}`, { signal, ...sent });
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #body(response: Response): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        bytes += chunk.byteLength;
        if (bytes > ANSWER_BYTES_MAX)
          throw new RangeError(`its answer is larger than ${ANSWER_BYTES_MAX} bytes`);
        chunks.push(chunk);
      }
      return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  /** The error that the node answered with, under its own code. */
  async #refusal(path: string, response: Response): Promise<GroundswellError> {
    if (!isType(response, 'application/json')) return this.#foreign(response);
    const { error } = ((await this.#body(response)) ?? {}) as {
      error?: { code?: unknown; message?: unknown; remedy?: unknown };
    };
    if (typeof error?.code !== 'string' || typeof error.message !== 'string') return this.#foreign(response);
    const { code, message, remedy } = error;
    const known: ErrorCode = code in ERRORS ? (code as ErrorCode) : 'GS_NODE_UNREACHABLE';
    return new GroundswellError(
      known,
      known === code ? message : `The node at ${this.address} refused ${path}: ${message} (${code})`,
      typeof remedy === 'string' ? { remedy } : {},
    );
  }

  #foreign(response: Response): GroundswellError {
    return new GroundswellError(
      'GS_NODE_UNREACHABLE',
      `What answers at ${this.address} is no groundswell node (status ${response.status}, ${response.headers.get('content-type') ?? 'no content type'}).`,
      { remedy: 'Say with --http where a groundswell node answers.' },
    );
  }

  #unreachable(error: unknown): GroundswellError {
    if (error instanceof GroundswellError) return error;
    const timedOut = error instanceof Error && error.name === 'TimeoutError';
    return new GroundswellError(
      'GS_NODE_UNREACHABLE',
      timedOut
        ? `The node at ${this.address} did not answer within ${this.#timeoutMs / 1000} s.`
        : `No groundswell node answers at ${this.address}: ${reasonOf(error)}.`,
      timedOut
        ? { cause: error, remedy: 'It may be busy or stopped: try again, and look at its log.' }
        : { cause: error },
    );
  }
}

/** `fetch failed` says nothing: its innermost cause does. */
function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0];
  const code = (inner as NodeJS.ErrnoException).code;
  if (code === 'ECONNREFUSED') return 'the connection was refused';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its host is not known';
  return messageOf(inner).replace(/\.$/, '');
}

function isType(response: Response, type: string): boolean {
  return response.headers.get('content-type')?.toLowerCase().startsWith(type) ?? false;
}

function query(ask: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(ask)) if (value !== undefined) words.set(name, String(value));
  return words.size === 0 ? '' : `?${words.toString()}`;
}
