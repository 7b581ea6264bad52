/**
 * The configuration of the embedded nats-server, as text. Two accounts: the engine's, with JetStream, and the analysts',
 * who connect without a password, may only subscribe, and see only what the engine exports. In the engine's account
 * producers have a user of their own, who may put events in and read streams, and nothing else. The right to create a
 * consumer would let its holder aim deliveries at any subject, so neither has it.
 */
/** What clients need to know of the server that is the same however often it is started again. */
export interface ServerIdentity {
  /** Port on the loopback interface; -1 for one that the system chooses. */
  readonly port: number;
  /** Of the engine's user. */
  readonly password: string;
  readonly producerPassword: string;
}

export interface ServerConfig extends ServerIdentity {
  /** Folder under which nats-server keeps its `jetstream` folder. */
  readonly storeDir: string;
  /** Folder where nats-server announces the port that it chose. */
  readonly portsDir: string;
  readonly logFile: string;
  readonly maxPayloadBytes: number;
  readonly maxFileStoreBytes: number;
}

/** What analysts see of the engine's account. */
export const ANALYST_SUBJECTS = ['gs.*.agg.>', 'gs.*.surge.>'] as const;

/** The account that has JetStream: the server names a folder after it. */
export const ENGINE_ACCOUNT = 'ENGINE';
/** The engine's user. */
export const ENGINE_USER = 'groundswell';
export const PRODUCER_USER = 'producer';
/** Answers to producers come here: the account's common inboxes carry the engine's own reads. */
export const PRODUCER_INBOX = '_INBOX_producer';

const PRODUCER_PUBLISHES = [
  'gs.*.ingest.>',
  'gs.*.p.*.in.ev',
  'gs.*.p.producer.session.*',
  '$JS.API.INFO',
  '$JS.API.STREAM.INFO.*',
  '$JS.API.STREAM.MSG.GET.*',
  '$JS.API.DIRECT.GET.>',
];

const LOG_BYTES_MAX = 16_000_000;
const LOG_FILES_MAX = 3;
const MEMORY_STORE_BYTES_MAX = 256_000_000;

export function serverConfig(config: ServerConfig): string {
  const exported = ANALYST_SUBJECTS.map(
    (subject) => `{ stream: ${text(subject)}, accounts: [ANALYST] }`,
  ).join(', ');
  const imported = ANALYST_SUBJECTS.map(
    (subject) => `{ stream: { account: ${ENGINE_ACCOUNT}, subject: ${text(subject)} } }`,
  ).join(', ');
  const readable = [...ANALYST_SUBJECTS, '_INBOX.>'].map(text).join(', ');
  const publishable = PRODUCER_PUBLISHES.map(text).join(', ');
  return `# Written by groundswell at each start; changes are lost.
listen: "127.0.0.1:${config.port}"
ports_file_dir: ${text(config.portsDir)}
log_file: ${text(config.logFile)}
logfile_size_limit: ${LOG_BYTES_MAX}
logfile_max_num: ${LOG_FILES_MAX}
max_payload: ${config.maxPayloadBytes}
jetstream {
  store_dir: ${text(config.storeDir)}
  max_file_store: ${config.maxFileStoreBytes}
  max_memory_store: ${MEMORY_STORE_BYTES_MAX}
  sync_interval: always
}
accounts {
  ${ENGINE_ACCOUNT} {
    jetstream: enabled
    users: [
      { user: ${text(ENGINE_USER)}, password: ${text(config.password)} }
      {
        user: ${text(PRODUCER_USER)}, password: ${text(config.producerPassword)}
        permissions: {
          publish: { allow: [${publishable}] }
          subscribe: { allow: [${text(`${PRODUCER_INBOX}.>`)}] }
        }
      }
    ]
    exports: [ ${exported} ]
  }
  ANALYST {
    users: [ {
      user: "analyst"
      permissions: { publish: { deny: [">"] }, subscribe: { allow: [${readable}] } }
    } ]
    imports: [ ${imported} ]
  }
}
no_auth_user: "analyst"
`;
}

/** A quoted string of the configuration language: backslash escapes, no variables inside quotes. */
function text(value: string): string {
  return `"${value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\t/g, '\\t')}"`;
}
