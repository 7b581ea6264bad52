/**
 * All commands, in the order in which help lists them: try it, run it, look at it, feed it, check it. A command is loaded
 * when it is called: who asks a node for its status need not wait for an engine to be loaded.
 */
import type { Command } from 'commander';

type Add = (program: Command) => void;

const COMMANDS: Readonly<Record<string, () => Promise<Add>>> = {
  demo: async () => (await import('./demo.js')).demoCommand,
  start: async () => (await import('./start.js')).startCommand,
  status: async () => (await import('./status.js')).statusCommand,
  top: async () => (await import('./top.js')).topCommand,
  watch: async () => (await import('./watch.js')).watchCommand,
  get: async () => (await import('./get.js')).getCommand,
  inspect: async () => (await import('./inspect.js')).inspectCommand,
  drain: async () => (await import('./drain.js')).drainCommand,
  dead: async () => (await import('./dead.js')).deadCommand,
  quarantine: async () => (await import('./quarantine.js')).quarantineCommand,
  snapshot: async () => (await import('./snapshot.js')).snapshotCommand,
  restore: async () => (await import('./restore.js')).restoreCommand,
  repartition: async () => (await import('./repartition.js')).repartitionCommand,
  replay: async () => (await import('./replay.js')).replayCommand,
  simulate: async () => (await import('./simulate.js')).simulateCommand,
  check: async () => (await import('./check.js')).checkCommand,
  config: async () => (await import('./config.js')).configCommand,
  version: async () => (await import('./version.js')).versionCommand,
  completion: async () => (await import('./completion.js')).completionCommand,
};
/** Commands for this program itself: neither help nor completion knows them. */
const HIDDEN: Readonly<Record<string, () => Promise<Add>>> = {
  worker: async () => (await import('./worker.js')).workerCommand,
};
/** This one is about all the others. */
const ABOUT_ALL = 'completion';
/** Words that are answered without any of them. */
const ABOUT_NONE = ['--version', '-V'];

/** Adds the command that a word names; all of them when it names none, for help and for "did you mean". */
export async function addCommands(program: Command, word?: string): Promise<void> {
  if (word !== undefined && ABOUT_NONE.includes(word)) return;
  if (word !== undefined && Object.hasOwn(HIDDEN, word)) {
    (await HIDDEN[word]!())(program);
    return;
  }
  const one = word !== undefined && word !== ABOUT_ALL && Object.hasOwn(COMMANDS, word);
  const loading = one ? [COMMANDS[word]!()] : Object.values(COMMANDS).map((load) => load());
  for (const add of await Promise.all(loading)) add(program);
}
