/**
 * The configuration of a node: every key, its default, check, environment variable, flag and meaning, in this one place.
 * Flags of `start`, `config show` and docs/CONFIG.md are made from it.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseByteSize } from '../core/byte-size.js';
import { durationMs } from '../core/config-file.js';
import { REGION_NAME } from '../core/ids.js';
import { isNumeric, schemaKeys, wordsOf } from './schema-keys.js';
import { natsServersFault, splitServers } from './server-urls.js';

const MINUTE_MS = 60_000;
const YEAR_MS = 366 * 86_400_000;
const MIB = 1_024 ** 2;

/** What is known of a key besides its check. */
interface KeyFacts {
  readonly env: string;
  /** As the command line shows it. Secrets have none: everybody on a machine can read its command lines. */
  readonly flag?: string;
  readonly what: string;
  /** How the default comes about where it is no fixed value. */
  readonly otherwise?: string;
  /** Shown as `…`. */
  readonly secret?: true;
  /** A path: relative to the file that it stands in, or else to the working folder. */
  readonly path?: true;
}

const facts = z.registry<KeyFacts>();

const byteSize = (minBytes: number): z.ZodType<number, string> =>
  z.string().transform((text, context) => {
    const bytes = parseByteSize(text);
    if (bytes !== undefined && bytes >= minBytes) return bytes;
    const message =
      bytes === undefined
        ? `"${text}" is no size: write 512MiB, 64GiB or 1TiB`
        : `is at least ${minBytes / MIB}MiB`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

const retention = (): z.ZodType<number, string> =>
  durationMs().refine((ms) => ms >= MINUTE_MS && ms <= YEAR_MS, 'is 1m to 366d');

const path = (): z.ZodString => z.string().min(1, 'is empty');

/** Its messages do not repeat what was given. */
const secret = (): z.ZodType<string, string> =>
  z.custom<string>((value) => typeof value === 'string' && value !== '', 'is no text: write it in quotes');

/** A message with what was given, or nothing when there is nothing to say. */
const checked = (fault: (text: string) => string | undefined): z.ZodType<string, string> =>
  z.string().superRefine((text, context) => {
    const message = fault(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

function hostFault(text: string): string | undefined {
  if (text.includes('://')) return `"${text}" is a URL: write the host alone here, and the port in http.port`;
  if (isIP(text) !== 0) return undefined;
  if (/^\[.*\]/.test(text))
    return `"${text}": write an IPv6 address without brackets, and the port in http.port`;
  if (text.includes(':'))
    return `"${text}" has a port in it: write the host alone here, and the port in http.port`;
  const isName = /^(?!-)[a-zA-Z0-9-]{1,63}(\.[a-zA-Z0-9-]{1,63})*$/.test(text) && !/^[\d.]+$/.test(text);
  return isName ? undefined : `"${text}" is no host name or address`;
}

const startSchema = z.strictObject({
  region: z.string().regex(REGION_NAME, 'is 1 to 32 of a-z, 0-9, _ and -').optional().register(facts, {
    env: 'GROUNDSWELL_REGION',
    flag: '--region <name>',
    what: 'the region: a file in config/regions; required to start',
  }),
  regionFile: path().optional().register(facts, {
    env: 'GROUNDSWELL_REGION_FILE',
    flag: '--config <file>',
    what: 'region file instead of the one in config/regions',
    otherwise: 'config/regions/<region>.yaml',
    path: true,
  }),
  name: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'is 1 to 64 of letters, digits, _, . and -')
    .optional()
    .register(facts, {
      env: 'GROUNDSWELL_NAME',
      flag: '--name <name>',
      what: 'name of the node, in logs and in its connection',
      otherwise: 'host name',
    }),
  data: path().optional().register(facts, {
    env: 'GROUNDSWELL_DATA',
    flag: '--data <dir>',
    what: 'data folder: snapshots, and the files of the embedded nats-server',
    otherwise: 'data/<region>',
    path: true,
  }),
  workers: z.int().min(1, 'is 1 to 64').max(64, 'is 1 to 64').prefault(1).register(facts, {
    env: 'GROUNDSWELL_WORKERS',
    flag: '--workers <n>',
    what: 'node processes on this machine under one parent that serves HTTP; 1: all in one process',
  }),
  weight: z.number().min(0.01, 'is 0.01 to 100').max(100, 'is 0.01 to 100').prefault(1).register(facts, {
    env: 'GROUNDSWELL_WEIGHT',
    what: 'share of the partitions against the region’s other nodes: 2 owns twice as many as 1',
  }),
  standbys: z.int().min(0, 'is 0 to 2').max(2, 'is 0 to 2').optional().register(facts, {
    env: 'GROUNDSWELL_STANDBYS',
    what: 'further nodes that follow each partition; the same for all nodes of a region',
    otherwise: 'as the region file says',
  }),
  nats: z
    .strictObject({
      url: checked(natsServersFault).optional().register(facts, {
        env: 'NATS_URL',
        flag: '--nats <url>',
        what: 'nats-server to use; for a cluster several URLs, separated by commas',
        otherwise: 'an embedded nats-server',
      }),
      user: z.string().min(1, 'is empty').optional().register(facts, {
        env: 'NATS_USER',
        what: 'user at that server; may also stand in the URL',
      }),
      password: secret().optional().register(facts, {
        env: 'NATS_PASSWORD',
        what: 'the user’s password; may also stand in the URL',
        secret: true,
      }),
      replicas: z
        .int()
        .refine((n) => n === 1 || n === 3 || n === 5, 'is 1, 3 or 5')
        .prefault(1)
        .register(facts, {
          env: 'GROUNDSWELL_NATS_REPLICAS',
          what: 'copies of each stream in a cluster: with 3, one server of three may go away',
        }),
      maxBytes: byteSize(16 * MIB)
        .optional()
        .register(facts, {
          env: 'GROUNDSWELL_NATS_MAX_BYTES',
          what: 'limit of the region’s stream; at 90 % of it producers are asked to wait, the rest is for commits',
          otherwise: 'none; with an embedded nats-server producers wait at 72 % of its files’ limit',
        }),
      credentials: path().optional().register(facts, {
        env: 'NATS_CREDS',
        flag: '--creds <file>',
        what: 'credentials file (JWT and key) instead of user and password',
        path: true,
      }),
    })
    .prefault({}),
  http: z
    .strictObject({
      host: checked(hostFault).prefault('127.0.0.1').register(facts, {
        env: 'GROUNDSWELL_HTTP_HOST',
        flag: '--http-host <host>',
        what: 'address to listen on; beyond the loopback interface whoever reaches it can post events and read states',
      }),
      port: z.int().min(0, 'is 0 to 65535').max(65_535, 'is 0 to 65535').prefault(7_380).register(facts, {
        env: 'GROUNDSWELL_HTTP_PORT',
        flag: '--http <port>',
        what: 'port to listen on; 0 takes any free one',
      }),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).prefault('info').register(facts, {
        env: 'GROUNDSWELL_LOG_LEVEL',
        flag: '--log-level <level>',
        what: 'least level that is written; only lines of `debug` name drivers and riders',
      }),
      format: z.enum(['auto', 'json', 'pretty']).prefault('auto').register(facts, {
        env: 'GROUNDSWELL_LOG_FORMAT',
        flag: '--log-format <format>',
        what: '`auto` is `pretty` on a terminal, else `json`',
      }),
    })
    .prefault({}),
  readyLagMax: z.int().min(1, 'is at least 1').prefault(1_000).register(facts, {
    env: 'GROUNDSWELL_READY_LAG_MAX',
    what: 'input messages that any partition may have waiting while the node still says that it is ready',
  }),
  embedded: z
    .strictObject({
      maxStore: byteSize(256 * MIB)
        .prefault('64GiB')
        .register(facts, {
          env: 'GROUNDSWELL_EMBEDDED_MAX_STORE',
          what: 'limit of the embedded nats-server’s files; never more than the disk has',
        }),
    })
    .prefault({}),
  aggregates: z
    .strictObject({
      retention: retention().prefault('24h').register(facts, {
        env: 'GROUNDSWELL_AGGREGATES_RETENTION',
        what: 'how long published rows and multipliers are kept in their stream',
      }),
    })
    .prefault({}),
  bases: z
    .strictObject({
      every: durationMs()
        .refine((ms) => ms >= MINUTE_MS / 6 && ms <= YEAR_MS, 'is 10s to 366d')
        .prefault('10m')
        .register(facts, {
          env: 'GROUNDSWELL_BASES_EVERY',
          what: 'how often each partition gets a base snapshot, behind which its journal is removed',
        }),
      journals: byteSize(16 * MIB)
        .prefault('4GiB')
        .register(facts, {
          env: 'GROUNDSWELL_BASES_JOURNALS',
          what: 'what all journals of the region may take since their base snapshots: sooner is made what is over its share',
        }),
      keep: z.int().min(1, 'is 1 to 100').max(100, 'is 1 to 100').prefault(2).register(facts, {
        env: 'GROUNDSWELL_BASES_KEEP',
        what: 'base snapshots of each partition that stay, the newest included',
      }),
    })
    .prefault({}),
  sides: z
    .strictObject({
      retention: retention().prefault('7d').register(facts, {
        env: 'GROUNDSWELL_SIDES_RETENTION',
        what: 'how long late and refused events are kept in their stream',
      }),
    })
    .prefault({}),
  outputs: z
    .strictObject({
      retention: retention().prefault('2h').register(facts, {
        env: 'GROUNDSWELL_OUTPUTS_RETENTION',
        what: 'how long committed outputs are kept once they are published',
      }),
    })
    .prefault({}),
});

/** What a node is started with: the keys of the schema, with durations in ms and sizes in bytes. */
export const startConfigSchema = startSchema.transform(
  ({ nats: { url, ...access }, embedded, aggregates, sides, outputs, ...rest }) => ({
    ...rest,
    nats: {
      ...access,
      /** URLs without users and passwords, `nats://host:port`; none: an embedded server. */
      servers: url === undefined ? [] : splitServers(url).servers,
    },
    embedded: { maxStoreBytes: embedded.maxStore },
    aggregates: { retentionMs: aggregates.retention },
    sides: { retentionMs: sides.retention },
    outputs: { retentionMs: outputs.retention },
  }),
);

/** Without a region yet, perhaps. */
export type CheckedConfig = z.output<typeof startConfigSchema>;

/** A key as the command line, the environment and the documents see it. */
export interface StartKey extends KeyFacts {
  /** `http.port` */
  readonly key: string;
  /** Checks one value of it. */
  readonly schema: z.ZodType;
  readonly numeric: boolean;
  readonly words: readonly string[];
  /** As written in a file. */
  readonly byDefault: string | number | undefined;
}

export const START_KEYS: readonly StartKey[] = schemaKeys(startSchema).map(
  ({ path: key, schema, byDefault }) => ({
    ...facts.get(schema as z.ZodType)!,
    key,
    schema: schema as z.ZodType,
    numeric: isNumeric(schema),
    words: wordsOf(schema),
    byDefault: byDefault as string | number | undefined,
  }),
);

/** Variables that the program reads elsewhere. */
export const OTHER_VARIABLES: Readonly<Record<string, string>> = {
  GROUNDSWELL_CONFIG_FILE: 'the configuration file, as --config-file does',
  GROUNDSWELL_HTTP:
    'address of the node that commands such as `groundswell status` ask, as their --http does',
  GROUNDSWELL_NATS_SERVER: 'path of the nats-server program for an embedded one',
  NO_COLOR: 'no colours on a terminal',
};
