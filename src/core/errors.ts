/**
 * The one catalogue of errors: every error a user can meet has a stable code, what to do about it, whether trying
 * again can help, and the exit code of a command that ends by it. `docs/ERRORS.md` lists the same; a test compares.
 */

interface ErrorKind {
  readonly exit: 1 | 2;
  readonly retry: boolean;
  readonly remedy: string;
}

export const ERRORS = {
  GS_USAGE: { exit: 2, retry: false, remedy: 'Run the command with --help for its options and an example.' },
  GS_CONFIG: {
    exit: 2,
    retry: false,
    remedy: 'Correct the key, variable or flag that the message names; docs/CONFIG.md lists them.',
  },
  GS_REGION_UNKNOWN: {
    exit: 2,
    retry: false,
    remedy: 'Name a region that has a file config/regions/<region>.yaml, or give one with --config.',
  },
  GS_MODEL: { exit: 2, retry: false, remedy: 'Correct the model file; features are listed in the message.' },
  GS_BEHAVIOUR: {
    exit: 2,
    retry: false,
    remedy: 'Correct the behaviour that the message names; see docs/ARCHITECTURE.md, "Stages".',
  },
  GS_SOURCE_FILE: {
    exit: 2,
    retry: false,
    remedy: 'Check that the file exists, is readable and is not damaged.',
  },
  GS_SOURCE_BROKEN: {
    exit: 1,
    retry: false,
    remedy: 'Repair the file and run the same command with the same --data: it goes on where it stopped.',
  },
  GS_MAPPING: {
    exit: 2,
    retry: false,
    remedy: 'Correct the mapping file; config/sources/ has working ones.',
  },
  GS_DATA_FOREIGN: {
    exit: 2,
    retry: false,
    remedy:
      'Give another --data folder, or run with the region and partition count that the folder was made for.',
  },
  GS_DATA_NEWER: {
    exit: 2,
    retry: false,
    remedy: 'The folder was written by a newer groundswell: run that version, or give another --data folder.',
  },
  GS_DATA_LOCKED: {
    exit: 2,
    retry: true,
    remedy:
      'Another groundswell process uses this data folder: stop it first, or give another --data folder.',
  },
  GS_DATA_CORRUPT: {
    exit: 1,
    retry: false,
    remedy: 'Move the snapshot folder away: it is rebuilt from the journal at the next start.',
  },
  GS_DATA_WRITE: {
    exit: 1,
    retry: true,
    remedy: 'Make room on the disk of the data folder and start again: nothing that was committed is lost.',
  },
  GS_REPLAY_OLD: {
    exit: 2,
    retry: false,
    remedy:
      'Events older than the region’s watermark cannot be replayed into it: give another --data folder or another region name.',
  },
  GS_NATS_MISSING: {
    exit: 2,
    retry: false,
    remedy: 'Get nats-server in one of the ways that the message lists.',
  },
  GS_NATS_OLD: {
    exit: 2,
    retry: false,
    remedy: 'Run nats-server 2.14.5 or newer (2.15.1 is the reference).',
  },
  GS_NATS_START: {
    exit: 1,
    retry: true,
    remedy: 'Read the end of the server’s log, which the message shows.',
  },
  GS_NATS_CONNECT: {
    exit: 1,
    retry: true,
    remedy: 'Check the URL, and that a nats-server with JetStream answers there.',
  },
  GS_NATS_AUTH: {
    exit: 2,
    retry: false,
    remedy: 'Check the user and password, or the credentials file, for the server.',
  },
  GS_STREAM_CONFIG: {
    exit: 2,
    retry: false,
    remedy:
      'The region’s stream exists with other settings: use the partition count it was made with, change it with groundswell repartition, or use another region name.',
  },
  GS_STREAM_LOST: {
    exit: 1,
    retry: false,
    remedy: 'The region’s stream is gone or damaged; restore it before starting again.',
  },
  GS_LOG: {
    exit: 1,
    retry: true,
    remedy: 'The stream refused or did not answer; see the cause. Start again: nothing is lost.',
  },
  GS_FENCED: {
    exit: 1,
    retry: false,
    remedy: 'Another process committed to this partition: make sure that one node owns it, then start again.',
  },
  GS_FRAME_TOO_LARGE: {
    exit: 1,
    retry: false,
    remedy: 'Raise max_payload of nats-server, or make the state of the named actor smaller.',
  },
  GS_BATCH_TOO_LARGE: {
    exit: 1,
    retry: false,
    remedy:
      'One step of one partition must fit one batch: lower limits.stepEvents, or raise max_payload of nats-server.',
  },
  GS_HANDLER: { exit: 1, retry: false, remedy: 'A behaviour’s handler failed: see the cause for the place.' },
  GS_HANDLER_TIME: {
    exit: 1,
    retry: false,
    remedy:
      'A behaviour’s handler takes too long: make it do less at a time, or raise limits.handlerTimeMaxMs.',
  },
  GS_NODE_ID: {
    exit: 2,
    retry: false,
    remedy:
      'Two processes run under one node id: stop one, or delete the file node-id of the data folder that is a copy.',
  },
  GS_NO_SUCCESSOR: {
    exit: 1,
    retry: true,
    remedy:
      'Start another node of the region first, or end the draining of one: groundswell drain NODE --undo.',
  },
  GS_NODE_UNREACHABLE: {
    exit: 1,
    retry: true,
    remedy: 'Start a node with groundswell start, or say with --http where one answers.',
  },
  GS_OUTPUT: {
    exit: 1,
    retry: true,
    remedy: 'Check that the output’s folder exists, is writable and has room.',
  },
  GS_HTTP_PORT: {
    exit: 2,
    retry: true,
    remedy: 'Stop what uses the port, or give another one with --http (0 takes any free one).',
  },
  GS_HTTP_BODY: {
    exit: 1,
    retry: false,
    remedy: 'Send events as application/x-ndjson or application/json, at most 8 MiB and 50,000 of them.',
  },
  GS_NOT_FOUND: {
    exit: 1,
    retry: false,
    remedy: 'Check the address and the key; the message names what is near, where something is.',
  },
  GS_REPLAYED: {
    exit: 1,
    retry: false,
    remedy:
      'Add --again to bring it in once more: with the same id it counts once within the duplicate window.',
  },
  GS_BUSY: { exit: 1, retry: true, remedy: 'Try again after the time that the answer names.' },
  GS_OVERLOAD: {
    exit: 1,
    retry: true,
    remedy:
      'Send more slowly, or give the region more room (nats.maxBytes) or more nodes: docs/OPERATE.md, "Sizing".',
  },
  GS_INTERNAL: {
    exit: 1,
    retry: false,
    remedy: 'This is a fault in groundswell: report it with the text shown by --verbose.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a code of the catalogue. The message says what is wrong and where; `remedy` says what to do. */
export class GroundswellError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retry: boolean;
  readonly exitCode: 1 | 2;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; remedy?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GroundswellError';
    this.code = code;
    this.remedy = options.remedy ?? ERRORS[code].remedy;
    this.retry = ERRORS[code].retry;
    this.exitCode = ERRORS[code].exit;
  }
}

/** Anything that was thrown, as an error of the catalogue: what is none of it is our fault, `GS_INTERNAL`. */
export function knownErrorOf(thrown: unknown): GroundswellError {
  if (thrown instanceof GroundswellError) return thrown;
  return new GroundswellError('GS_INTERNAL', messageOf(thrown), { cause: thrown });
}

/** Anything that was thrown, as an error: what is none becomes one whose message is its text. */
export function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
