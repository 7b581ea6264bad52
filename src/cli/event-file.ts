/** The events that a demo sent, one a line: what its rows can be checked against. */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { GroundswellError, messageOf } from '../core/errors.js';
import type { MarketEvent } from '../ingest/simulator/simulator.js';

export class EventFile {
  readonly #path: string;
  readonly #stream: ReturnType<typeof createWriteStream>;
  #failure: unknown;

  static async create(path: string): Promise<EventFile> {
    const file = new EventFile(path);
    try {
      await once(file.#stream, 'open');
    } catch (error) {
      throw file.#broken(error);
    }
    return file;
  }

  private constructor(path: string) {
    this.#path = path;
    this.#stream = createWriteStream(path);
    this.#stream.on('error', (error) => (this.#failure = error));
  }

  async write(events: readonly MarketEvent[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#broken(this.#failure);
    const text = events.map((event) => `${JSON.stringify(event)}\n`).join('');
    if (!this.#stream.write(text)) await once(this.#stream, 'drain');
  }

  async finish(): Promise<void> {
    this.#stream.end();
    await finished(this.#stream).catch((error: unknown) => {
      throw this.#broken(error);
    });
  }

  #broken(cause: unknown): GroundswellError {
    return new GroundswellError('GS_OUTPUT', `${this.#path} cannot be written: ${messageOf(cause)}.`, {
      cause,
    });
  }
}
