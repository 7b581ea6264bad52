/**
 * A program of the benches in a process of its own that does what it is told: both ends of that. It ends with whoever started it.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { forkSibling } from './sibling-program.js';

/** Which program a process was started as: the same file may be imported by others. */
const STARTED_AS = 'GROUNDSWELL_BENCH_PROGRAM';

interface Told<Order> {
  readonly id: number;
  readonly order: Order;
}

type Reply<Answer> =
  { readonly id: number; readonly answer: Answer } | { readonly id: number; readonly failure: string };

/** The end of whoever tells it. Orders go as structured clones: plain data, typed arrays, maps. */
export class ToldProcess<Order, Answer> {
  readonly #name: string;
  readonly #child: ChildProcess;
  /** Rejects when it ends; never resolves. */
  readonly gone: Promise<never>;
  readonly #heard = new Map<number, (reply: Reply<Answer>) => void>();
  #told = 0;

  /**
   * @param caller `import.meta.url` of whoever starts it
   * @param name the program's file beside the caller's, without the ending
   */
  constructor(caller: string, name: string) {
    this.#name = name;
    const env = { ...process.env, [STARTED_AS]: name };
    this.#child = forkSibling(caller, name, { env, serialization: 'advanced' });
    this.#child.on('message', (reply: Reply<Answer>) => {
      this.#heard.get(reply.id)?.(reply);
      this.#heard.delete(reply.id);
    });
    this.gone = once(this.#child, 'exit').then(([code, signal]: unknown[]) => {
      throw new Error(`${name} ended (${String(signal ?? code)})`);
    });
    this.gone.catch(() => undefined);
  }

  /** Resolves when it has done so. @throws Error when it could not, or has ended */
  async ask(order: Order): Promise<Answer> {
    const id = ++this.#told;
    const heard = new Promise<Reply<Answer>>((resolve) => {
      this.#heard.set(id, resolve);
    });
    this.#child.send({ id, order } satisfies Told<Order>);
    const reply = await Promise.race([heard, this.gone]);
    if ('failure' in reply) throw new Error(`${this.#name} failed: ${reply.failure}`);
    return reply.answer;
  }

  /** It is asked nothing more, and ends. */
  release(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

/** The other end, called by the program `name`: does nothing in a process that was not started as that. */
export function obey<Order, Answer>(name: string, does: (order: Order) => Promise<Answer>): void {
  if (process.send === undefined || process.env[STARTED_AS] !== name) return;
  const reply = process.send.bind(process);
  const told = async ({ id, order }: Told<Order>): Promise<Reply<Answer>> => {
    try {
      return { id, answer: await does(order) };
    } catch (error) {
      return { id, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on('message', (message: Told<Order>) => {
    told(message).then(reply, reply);
  });
  // Whoever told it is gone.
  process.on('disconnect', () => process.exit(0));
}
