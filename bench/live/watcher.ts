/** Follows a node's rows and live values over HTTP, as any program would, and notes when each came. */
import { createParser } from 'eventsource-parser';

export interface Watched {
  readonly event: string;
  readonly data: unknown;
  /** When it was read here, ms since 1970. */
  readonly atMs: number;
}

export class Watcher {
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;

  /** @param pattern as `groundswell watch` takes it */
  static async open(
    url: string,
    pattern: string,
    options: { live: boolean; onEvent: (watched: Watched) => void },
  ): Promise<Watcher> {
    const abort = new AbortController();
    const query = new URLSearchParams({ pattern, ...(options.live ? { live: '1' } : {}) });
    const response = await fetch(`${url}/v1/watch?${query.toString()}`, { signal: abort.signal });
    if (response.body === null || !response.ok)
      throw new Error(`watch ${pattern}: status ${response.status}`);
    return new Watcher(abort, response.body, options.onEvent);
  }

  private constructor(
    abort: AbortController,
    body: ReadableStream<Uint8Array>,
    onEvent: (watched: Watched) => void,
  ) {
    this.#abort = abort;
    this.#running = read(body, onEvent).catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
    });
    this.#running.catch(() => undefined);
  }

  /** Rejects when the stream broke off. */
  get finished(): Promise<void> {
    return this.#running;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }
}

async function read(body: ReadableStream<Uint8Array>, onEvent: (watched: Watched) => void): Promise<void> {
  const parser = createParser({
    onEvent: ({ event = 'message', data }) => {
      onEvent({ event, data: JSON.parse(data), atMs: Date.now() });
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) parser.feed(decoder.decode(chunk, { stream: true }));
  throw new Error('the node ended the stream');
}
