/**
 * The configuration of the embedded nats-server, as text. Two accounts: the engine's, with JetStream and a password
 * made at each start, and the analysts', who connect without a password, may only subscribe, and see only what the
 * engine exports. The right to create a consumer would let an analyst aim deliveries anywhere, so they have none.
 */
export interface ServerConfig {
  /** Folder under which nats-server keeps its `jetstream` folder. */
  readonly storeDir: string;
  /** Folder where nats-server announces the port that it chose. */
  readonly portsDir: string;
  readonly logFile: string;
  readonly user: string;
  readonly password: string;
  readonly maxPayloadBytes: number;
  readonly maxFileStoreBytes: number;
}

/** What analysts see of the engine's account. */
export const ANALYST_SUBJECTS = ['gs.*.agg.>', 'gs.*.surge.>'] as const;

const LOG_BYTES_MAX = 16_000_000;
const LOG_FILES_MAX = 3;
const MEMORY_STORE_BYTES_MAX = 256_000_000;

export function serverConfig(config: ServerConfig): string {
  const exported = ANALYST_SUBJECTS.map(
    (subject) => `{ stream: ${text(subject)}, accounts: [ANALYST] }`,
  ).join(', ');
  const imported = ANALYST_SUBJECTS.map(
    (subject) => `{ stream: { account: ENGINE, subject: ${text(subject)} } }`,
  ).join(', ');
  const readable = [...ANALYST_SUBJECTS, '_INBOX.>'].map(text).join(', ');
  return `# Written by groundswell at each start; changes are lost.
listen: "127.0.0.1:-1"
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
  ENGINE {
    jetstream: enabled
    users: [ { user: ${text(config.user)}, password: ${text(config.password)} } ]
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
