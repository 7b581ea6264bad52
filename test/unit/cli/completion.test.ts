/**
 * Completion in a real bash. Hunts commands and options that the scripts do not know, words of a line that a shell would
 * run, and scripts that a shell cannot read. zsh and fish are tried where they are installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { addCommands } from '../../../src/cli/commands.js';
import { bashScript, fishScript, zshScript } from '../../../src/cli/completion-scripts.js';
import { completedCommands } from '../../../src/cli/completion.js';
import { CONFIG_FOLDER, PACKAGE_ROOT } from '../../../src/cli/package-root.js';

const program = new Command('groundswell').option('--verbose', 'show the stack of an error');
await addCommands(program);
const commands = completedCommands(program);
const folder = mkdtempSync(join(tmpdir(), 'gs-completion-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript };
function written(shell: keyof typeof scripts): string {
  const path = join(folder, `groundswell.${shell}`);
  writeFileSync(path, `${scripts[shell]('groundswell', commands, CONFIG_FOLDER)}\n`);
  return path;
}

/** What bash offers for lines, given as bash takes them apart; the last word is the one to complete. */
function offered(lines: readonly (readonly string[])[]): string[][] {
  const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
  const script = [
    'set -u',
    `source ${written('bash')}`,
    // Twice, as in a shell whose start file is read again.
    `source ${written('bash')}`,
    ...lines.map(
      (words) =>
        `COMP_WORDS=(${words.map(quoted).join(' ')}); COMP_CWORD=${words.length - 1}; COMPREPLY=(); _groundswell; (IFS='|'; echo "\${COMPREPLY[*]-}")`,
    ),
    'complete -p groundswell >/dev/null || echo "not registered"',
  ].join('\n');
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '--noprofile', '-c', script], {
    cwd: PACKAGE_ROOT,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const answers = stdout.split('\n').slice(0, -1);
  expect(answers).toHaveLength(lines.length);
  return answers.map((answer) => (answer === '' ? [] : answer.split('|')));
}

const offer = (...words: string[]): string[] => offered([['groundswell', ...words]])[0]!;

describe('bash', () => {
  it('is offered every command and every option of the program', () => {
    expect(commands.length).toBeGreaterThan(program.commands.length);
    const lines = commands.flatMap(({ path }) => [
      ['groundswell', ...path, ''],
      ['groundswell', ...path, '--'],
    ]);
    const answers = offered(lines);
    commands.forEach(({ path, commands: inner, options }, i) => {
      if (inner.length > 0) expect(answers[2 * i], path.join(' ')).toEqual(inner.map(({ name }) => name));
      expect(answers[2 * i + 1], path.join(' ')).toEqual(options.map(({ long }) => long));
    });
  });

  it('knows no command that the program does not have, and has all of it', () => {
    const known = commands.map(({ path }) => path.join(' '));
    const walk = (command: Command, path: string): string[] => [
      path,
      ...command.commands.flatMap((inner) => walk(inner, `${path} ${inner.name()}`.trim())),
    ];
    expect(known).toEqual(walk(program, ''));
  });

  it('is offered regions by the files there are, behind a space or an equals sign', () => {
    const regions = readdirSync(join(CONFIG_FOLDER, 'regions')).map((name) => name.replace('.yaml', ''));
    expect(offer('check', '--region', '')).toEqual(regions.sort());
    expect(offer('check', '--region', '=')).toEqual(regions.sort());
    expect(offer('check', '--region', '=', 's')).toEqual(['sf']);
    expect(offer('check', '--region', 'sf', '--j')).toEqual(['--json']);
  });

  it('is offered choices, beginnings of places, and files where files are meant', () => {
    expect(offer('completion', '')).toEqual(['bash', 'zsh', 'fish']);
    expect(offer('get', 'ce')).toEqual(['cell/']);
    expect(offer('get', 'cell/9q8yyk', '')).toEqual([]);
    expect(offer('replay', 'READ')).toEqual(['README.md']);
    expect(offer('replay', 'x', '--mapping', 'config/sources/cab')).toEqual([
      'config/sources/cabspotting.yaml',
    ]);
    expect(offer('replay', 'x', '--data', 'confi')).toEqual(['config']);
    expect(offer('watch', '*', '--for', '')).toEqual([]);
  });

  it('finds its way past options of the program, switches, values and URLs', () => {
    expect(offer('--verbose', 'dead', '')).toContain('list');
    expect(offer('dead', 'list', '--limit', '5', '--t')).toEqual(['--type']);
    expect(offer('status', '--http', 'http', ':', '//127.0.0.1', ':', '7380', '--j')).toEqual(['--json']);
    expect(offer('get', '--live', 'reg')).toEqual(['region']);
  });

  it('runs nothing of the line', () => {
    const trap = join(folder, 'trap');
    for (const word of [`$(touch ${trap})`, `\`touch ${trap}\``, `; touch ${trap};`, `'"; touch ${trap}`])
      for (const words of [[word], ['get', word, ''], ['check', '--region', word]]) offer(...words);
    expect(existsSync(trap)).toBe(false);
  });
});

describe('a script', () => {
  it.each(Object.keys(scripts) as (keyof typeof scripts)[])('for %s is one that it can read', (shell) => {
    const path = written(shell);
    const { error, status, stderr } = spawnSync(shell, ['-n', path], { encoding: 'utf8' });
    // Not installed here.
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return;
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it.each(Object.keys(scripts) as (keyof typeof scripts)[])(
    'for %s names every option once a command',
    (shell) => {
      const text = scripts[shell]('groundswell', commands, CONFIG_FOLDER);
      for (const { options } of commands)
        for (const { long } of options)
          expect(text).toContain(shell === 'fish' ? `-l ${long.slice(2)}` : long);
    },
  );

  it('takes texts with quotes and brackets as they are', () => {
    const odd = [
      {
        path: [],
        description: '',
        commands: [],
        options: [
          {
            long: '--odd',
            short: undefined,
            description: `it's [so]: "$(x)"`,
            takes: { kind: 'words', words: [`a`] } as const,
          },
        ],
        args: [],
      },
    ];
    const path = join(folder, 'odd.bash');
    writeFileSync(path, bashScript('odd', odd, "/tmp/it's"));
    expect(spawnSync('bash', ['-n', path]).status).toBe(0);
    expect(fishScript('odd', odd, "/tmp/it's")).toContain(`'it'\\''s [so]: "$(x)"'`);
    expect(zshScript('odd', odd, "/tmp/it's")).toContain(`[it'\\''s \\[so\\]\\: "$(x)"]`);
  });
});
