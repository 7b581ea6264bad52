/**
 * `groundswell completion`: a script that completes commands, options and names in a shell. It is made from the commands
 * themselves, so it knows what they know; names of regions and models it looks up when they are asked for, in config/,
 * without starting this program.
 */
import { Argument, type Command, type Option } from 'commander';
import {
  bashScript,
  fishScript,
  zshScript,
  type Completed,
  type CompletedCommand,
  type CompletedOption,
} from './completion-scripts.js';
import { CONFIG_FOLDER } from './package-root.js';
import { say } from './screen.js';

const SHELLS = {
  bash: { make: bashScript, load: 'source <(groundswell completion bash)   # in ~/.bashrc' },
  zsh: { make: zshScript, load: 'source <(groundswell completion zsh)   # in ~/.zshrc, after compinit' },
  fish: {
    make: fishScript,
    load: 'groundswell completion fish > ~/.config/fish/completions/groundswell.fish',
  },
} as const;

/** Beginnings of what some arguments take. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  place: ['cell/', 'gh5/', 'gh4/', 'region'],
  pattern: ['cell/', 'gh5/', 'gh4/', 'region', '1m/', '5m/', '15m/', '1h/'],
  actor: ['cell/', 'gh5/', 'gh4/', 'region/', 'driver/', 'rider/', 'live/'],
};
const FILE_WORDS = ['file', 'path'];
const FOLDER_WORDS = ['dir', 'folder'];

export function completionCommand(program: Command): void {
  const how = Object.values(SHELLS).map(({ load }) => `  ${load}`);
  program
    .command('completion')
    .description('print a script that completes commands, options, regions and models in your shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(SHELLS)))
    .option('--json', 'what the script knows, as JSON, instead of the script', false)
    .addHelpText('after', `\nTo load it:\n${how.join('\n')}`)
    .addHelpText('after', '\nExample:\n  groundswell completion bash')
    .action((shell: keyof typeof SHELLS, { json }: { json: boolean }) => {
      const commands = completedCommands(program);
      say(json ? JSON.stringify(commands) : SHELLS[shell].make(program.name(), commands, CONFIG_FOLDER));
    });
}

/** The program, its commands and theirs, as a flat list. */
export function completedCommands(command: Command, path: readonly string[] = []): CompletedCommand[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  return [
    {
      path,
      description: command.description(),
      commands: commands.map((inner) => ({ name: inner.name(), description: inner.description() })),
      options: help.visibleOptions(command).flatMap(completedOption),
      args: command.registeredArguments.map((argument) => takenBy(argument.name(), argument.argChoices)),
    },
    ...command.commands
      .filter((inner) => commands.includes(inner))
      .flatMap((inner) => completedCommands(inner, [...path, inner.name()])),
  ];
}

function completedOption(option: Option): CompletedOption[] {
  if (option.long === undefined || option.long === null) return [];
  const takesValue = option.required || option.optional;
  const metavar = /[<[]([^>\]]+)/.exec(option.flags)?.[1] ?? '';
  return [
    {
      long: option.long,
      short: option.short ?? undefined,
      description: option.description,
      takes: takesValue ? takenBy(metavar, option.argChoices, option.long.slice(2)) : undefined,
    },
  ];
}

function takenBy(metavar: string, choices: readonly string[] | undefined, option?: string): Completed {
  if (choices !== undefined) return { kind: 'words', words: choices };
  if (option === 'region') return { kind: 'names', folder: 'regions', ending: 'yaml' };
  if (option === 'model') return { kind: 'names', folder: 'models', ending: 'json' };
  if (FILE_WORDS.includes(metavar)) return { kind: 'files' };
  if (FOLDER_WORDS.includes(metavar)) return { kind: 'folders' };
  const words = option === undefined ? WORDS[metavar] : undefined;
  return words === undefined ? { kind: 'nothing' } : { kind: 'words', words };
}
