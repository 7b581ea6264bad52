/** What the benches' commands share: numbers out of arguments, figures as people read them, and the line that says where. */
import { parseArgs } from 'node:util';
import { machine, type Machine } from './machine.js';

export interface Command {
  readonly on: Machine;
  /** The arguments, and the defaults of those that were not given. */
  readonly values: Readonly<Record<string, string>>;
  /** A whole number above 0. */
  readonly whole: (name: string) => number;
  /** A line for people: nothing with `--json`. */
  readonly say: (line?: string) => void;
  /** The last line. */
  readonly tell: (report: Readonly<Record<string, unknown>>) => void;
}

/** Reads the arguments of a bench, each with its default, and `--json`, which leaves nothing but the last line. */
export function command(bench: string, defaults: Readonly<Record<string, string>>): Command {
  const { values: given } = parseArgs({
    options: {
      ...Object.fromEntries(
        Object.entries(defaults).map(([name, value]) => [name, { type: 'string' as const, default: value }]),
      ),
      json: { type: 'boolean', default: false },
    },
  });
  const { json, ...rest } = given;
  const values = rest as Record<string, string>;
  const on = machine();
  const say = (line = ''): void => {
    if (json !== true) console.log(line);
  };
  say(`${on.cpu}, ${on.cores} cores, Node ${on.node}, load ${on.loadAtStart} at the start`);
  return {
    on,
    values,
    whole: (name) => whole(name, values[name]!),
    say,
    tell: (report) => {
      console.log(JSON.stringify({ bench, machine: on, ...report }));
    },
  };
}

export function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name}: "${text}" is no whole number above 0`);
  return value;
}

/** Whole numbers with commas between. */
export function wholes(name: string, text: string): number[] {
  return text.split(',').map((one) => whole(name, one));
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function seconds(value: number): string {
  return `${value.toFixed(2)} s`;
}

export function ms(value: number): string {
  return `${count(value)} ms`;
}
