/** A program of the benches in a process of its own: the file beside its caller, compiled as that is, or as it is written. */
import { fork, type ChildProcess, type ForkOptions } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { siblingOf } from '../src/core/sibling-thread.js';

/** As `npm start` and the benches themselves run. */
export const NODE_FLAGS = ['--min-semi-space-size=16', '--max-semi-space-size=64'];

export interface SiblingOptions extends Pick<ForkOptions, 'env' | 'stdio' | 'serialization'> {
  /** Further ones for its Node. */
  readonly flags?: readonly string[];
}

/**
 * @param caller `import.meta.url` of whoever starts it
 * @param name the program's file, without the ending
 */
export function forkSibling(
  caller: string,
  name: string,
  { flags = [], ...options }: SiblingOptions = {},
): ChildProcess {
  const { program, asWritten } = siblingOf(caller, name);
  const loader = asWritten ? ['--import', 'tsx'] : [];
  return fork(fileURLToPath(program), { ...options, execArgv: [...loader, ...NODE_FLAGS, ...flags] });
}
