/** What is asked of a comparison, read from the command line. */
import { parseArgs } from 'node:util';
import { CompareError } from './compare-error.js';

export interface CompareOptions {
  /** The revision that HEAD is held against, as it was written. */
  readonly revision: string;
  readonly runs: number;
  /** Events of each run; undefined: as many as the bench of each revision takes by itself. */
  readonly events: number | undefined;
  readonly json: boolean;
}

export const USAGE = 'npm run bench:compare -- REVISION [--runs N] [--events N] [--json]';

/** @throws CompareError when it is not what `USAGE` says */
export function compareOptions(args: readonly string[]): CompareOptions {
  const { positionals, values } = parsed(args);
  const [revision, ...more] = positionals;
  if (revision === undefined) throw new CompareError(`which revision? ${USAGE}`);
  if (more.length > 0) throw new CompareError(`one revision, not ${positionals.length}: ${USAGE}`);
  return {
    revision,
    runs: whole('runs', values.runs),
    events: values.events === undefined ? undefined : whole('events', values.events),
    json: values.json,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        runs: { type: 'string', default: '5' },
        events: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new CompareError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new CompareError(`--${name}: "${text}" is no whole number above 0`);
  return value;
}
