/**
 * The tiny shell process between groundswell and its embedded nats-server. It holds the read end of a pipe whose other
 * end only this process has: however this process ends, `kill -9` included, the pipe closes and the server is told to
 * stop. Owns the server's process from fork to reaping, and the pid file.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';

/**
 * $1 nats-server, $2 its configuration, $3 the pid file, $4 the pid of groundswell, $5 a folder in memory that goes with the
 * server, or nothing. The pid file is written before the server exists, so that a later start on the same folder cannot miss
 * one. Signals are left to the pipe: a terminal or a service manager may signal every process at once, and the watchdog must
 * outlive the server to reap it.
 */
const SCRIPT = `
echo "$4 $$" > "$3"
"$1" -c "$2" < /dev/null 3<&- &
server=$!
echo "$4 $$ $server" > "$3"
(
  read -r line <&3
  exec 3<&-
  kill -TERM "$server" 2> /dev/null
  for second in 1 2 3 4 5; do
    kill -0 "$server" 2> /dev/null || exit
    sleep 1
  done
  kill -KILL "$server" 2> /dev/null
) &
reader=$!
exec 3<&-
trap : HUP INT TERM
while :; do
  wait "$server"
  code=$?
  kill -0 "$server" 2> /dev/null || break
done
kill "$reader" 2> /dev/null
rm -f "$3"
[ -z "$5" ] || rm -rf "$5"
exit "$code"
`;

/** The watchdog ends a server that ignores its TERM after this long. */
export const KILL_AFTER_MS = 5_000;

export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Watchdog {
  readonly pid: number | undefined;
  /** When the server is gone and reaped. */
  readonly exited: Promise<ServerExit>;
  /** Tells the server to stop; returns at once. */
  release(): void;
}

export interface WatchdogOptions {
  readonly binary: string;
  readonly configFile: string;
  readonly pidFile: string;
  /** Receives what the server prints before it opens its log, and its last words if it crashes. */
  readonly logFile: string;
  /** Removed when the server is gone. */
  readonly memoryFolder: string | undefined;
}

export function startWatchdog(options: WatchdogOptions): Watchdog {
  const log = openSync(options.logFile, 'a', 0o600);
  let child: ChildProcess;
  try {
    const { binary, configFile, pidFile, memoryFolder = '' } = options;
    child = spawn(
      '/bin/sh',
      ['-c', SCRIPT, 'groundswell-watchdog', binary, configFile, pidFile, String(process.pid), memoryFolder],
      {
        stdio: ['ignore', log, log, 'pipe'],
        // Its own session: Ctrl-C in the terminal must reach groundswell alone, which drains before the server stops.
        detached: true,
      },
    );
  } finally {
    closeSync(log);
  }
  const lifeline = child.stdio[3] as Duplex;
  // The other end closes when the watchdog goes; `exited` tells that.
  lifeline.on('error', () => undefined);
  const exited = new Promise<ServerExit>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      resolve(serverExit(code, signal));
    });
  });
  return {
    pid: child.pid,
    exited,
    release: () => {
      lifeline.destroy();
    },
  };
}

/** A shell reports a child that a signal ended as 128 + the signal's number. */
function serverExit(code: number | null, signal: NodeJS.Signals | null): ServerExit {
  if (code === null || code <= 128) return { code, signal };
  const name = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return name === undefined ? { code, signal } : { code: null, signal: name as NodeJS.Signals };
}
