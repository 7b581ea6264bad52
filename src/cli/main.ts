#!/usr/bin/env -S node --min-semi-space-size=16 --max-semi-space-size=64
/**
 * The command line: parses words, hands them to one command, turns errors into exit codes 1 and 2.
 *
 * The flags above let short-lived objects die young, events and rows live for one step, also while the program is being loaded.
 */
import { Command, CommanderError } from 'commander';
import { report } from './command.js';
import { addCommands } from './commands.js';
import { packageVersion } from './package-root.js';

const program = new Command('groundswell')
  .description('Exact per-minute aggregates and surge multipliers of a ride-hailing market, from its events')
  .version(packageVersion())
  .option('--verbose', 'show the stack of an error')
  .showSuggestionAfterError()
  .showHelpAfterError('(add --help for options and an example)')
  .exitOverride();

await addCommands(program, process.argv[2]);
for (const command of program.commands) command.exitOverride();

// The reader of a pipe may leave when it has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    const verbose = program.opts<{ verbose?: boolean }>().verbose ?? process.argv.includes('--verbose');
    // All that was opened is closed by now. What still waits (a pace, a retry) waits for nothing: it must not hold us up.
    process.exit(report(error, verbose));
  }
}
