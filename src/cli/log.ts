/**
 * The engine's logger: pino, one JSON object a line, or readable lines on a terminal. Lines go to standard error, for
 * standard output is for what was asked for. `log-fields.ts` owns what a line may say, `log-sink.ts` how it gets out.
 */
import { pino, stdTimeFunctions, type Logger as PinoLogger } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { systemClock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import { errorFields, errorText, hide, type ErrorFields } from './log-fields.js';
import { LogSink } from './log-sink.js';

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** `auto`: pretty on a terminal, else JSON. */
  readonly format: 'auto' | 'json' | 'pretty';
  /** Standard error by default. */
  readonly stream?: { readonly isTTY?: boolean; write(text: string): unknown };
}

const DEBUG = 20;

/**
 * @example
 * const { logger, flush } = createLogger({ level: 'info', format: 'auto' });
 * logger.info({ region: 'sf', partitions: 16 }, 'node is running');
 */
export function createLogger(options: LogOptions): { logger: Logger; flush(): void } {
  const { level, format, stream } = options;
  const sink = stream === undefined ? standardError() : undefined;
  const out = stream ?? sink!;
  const isTerminal = stream === undefined ? process.stderr.isTTY : stream.isTTY === true;
  const pretty = format === 'pretty' || (format === 'auto' && isTerminal);
  const line = pretty ? readable(isTerminal && process.env['NO_COLOR'] === undefined) : asIs;
  const written = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (name) => ({ level: name }) },
      serializers: { error: errorFields, err: errorFields },
      hooks: {
        logMethod(args, method, lineLevel) {
          const [fields, ...rest] = args as [unknown, ...unknown[]];
          const shown = fields instanceof Error ? { error: fields } : hide(fields, lineLevel <= DEBUG);
          method.apply(this, [shown, ...rest] as unknown as typeof args);
        },
      },
    },
    { write: (text: string) => void out.write(line(text)) },
  );
  sink?.onDropped((lines) => {
    written.warn({ lines }, 'log lines were dropped: standard error took none');
  });
  return { logger: asPort(written), flush: () => sink?.flush() };
}

/** What all lines of a child carry stands in lines of every level, so nobody is named there. */
function asPort(written: PinoLogger): Logger {
  return {
    debug: written.debug.bind(written),
    info: written.info.bind(written),
    warn: written.warn.bind(written),
    error: written.error.bind(written),
    child: (fields) => asPort(written.child(hide(fields, false) as object)),
  };
}

/** What waits is written when the process exits, however that comes. */
function standardError(): LogSink {
  const sink = new LogSink({ clock: systemClock });
  // Whoever read our words may leave; the node stays.
  process.stderr.on('error', () => undefined);
  process.on('exit', () => {
    sink.flush();
  });
  return sink;
}

const asIs = (text: string): string => text;

/** In this process and at once: a worker's last lines would be lost at an exit. */
function readable(colorize: boolean): (text: string) => string {
  const error = (fields: unknown): string => errorText(fields as ErrorFields);
  return prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    errorLikeObjectKeys: ['error', 'err'],
    customPrettifiers: { error, err: error },
  });
}
