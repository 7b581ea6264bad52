/** What a figure depends on besides the code: the machine, how busy it was, and who used the processor. */
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  /** Load of the last minute when the run began: above 0.5, others were working too. */
  readonly loadAtStart: number;
}

export function machine(): Machine {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    node: process.version,
    loadAtStart: Number(loadavg()[0]!.toFixed(2)),
  };
}

/** Seconds of processor time used between two looks. */
export interface CpuSeconds {
  /** This process: engine, reader of rows, garbage collection, LMDB. */
  readonly process: number;
  readonly server: number;
}

/** Processor seconds that this process has used since it began. */
export function cpuSecondsSoFar(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Microseconds of processor time per event, of all who worked on it. */
export function microsPerEvent(events: number, ...used: readonly number[]): number {
  return (used.reduce((a, b) => a + b, 0) / events) * 1e6;
}

const TICKS_PER_SECOND = 100;

export class CpuMeter {
  readonly #serverPid: number;
  readonly #process = process.cpuUsage();
  readonly #server: number;

  constructor(serverPid: number) {
    this.#serverPid = serverPid;
    this.#server = ticksOf(serverPid);
  }

  read(): CpuSeconds {
    const { user, system } = process.cpuUsage(this.#process);
    return {
      process: (user + system) / 1e6,
      server: (ticksOf(this.#serverPid) - this.#server) / TICKS_PER_SECOND,
    };
  }
}

/** Processor time of a process, in clock ticks; NaN where the system does not tell. */
function ticksOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Behind the name, which may hold spaces: fields 14 and 15, user and system time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return Number.NaN;
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
