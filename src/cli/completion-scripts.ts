/** The completion scripts of the shells, made from a list of commands. Each stands alone: it needs no other package. */

/** What stands behind an option, or as an argument. */
export type Completed =
  | { readonly kind: 'nothing' | 'files' | 'folders' }
  /** Names of the files of a folder of config/, without their ending. */
  | { readonly kind: 'names'; readonly folder: string; readonly ending: string }
  /** One of these words; one that ends in a slash goes on. */
  | { readonly kind: 'words'; readonly words: readonly string[] };

export interface CompletedOption {
  readonly long: string;
  readonly short: string | undefined;
  readonly description: string;
  /** Undefined for a switch. */
  readonly takes: Completed | undefined;
}

export interface CompletedCommand {
  /** Words that lead to it: none for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly CompletedOption[];
  readonly args: readonly Completed[];
}

type Script = (name: string, commands: readonly CompletedCommand[], configFolder: string) => string;

/** A word for a shell, in single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Flags of an option: `-n`, `--number`. */
function flags({ long, short }: CompletedOption): string[] {
  return short === undefined ? [long] : [short, long];
}

/** bash, 3.2 and later, without the package bash-completion. */
export const bashScript: Script = (name, commands, configFolder) => {
  const walk: string[] = [];
  const words: string[] = [];
  const options: string[] = [];
  const expected = (what: Completed): string =>
    what.kind === 'words'
      ? `words=${quoted(what.words.join(' '))}`
      : what.kind === 'names'
        ? `kind=names folder=${what.folder} ending=${what.ending}`
        : `kind=${what.kind}`;
  for (const { path, commands: inner, options: own, args } of commands) {
    const at = path.join(' ');
    for (const { name: command } of inner)
      walk.push(`${quoted(`${at}:${command}`)}) path=${quoted([...path, command].join(' '))} position=0 ;;`);
    for (const option of own) {
      if (option.takes === undefined) continue;
      const patterns = flags(option).map((flag) => quoted(`${at}:${flag}`));
      walk.push(`${patterns.join(' | ')}) value=1 ${expected(option.takes)} ;;`);
    }
    options.push(`${quoted(at)}) words=${quoted(own.flatMap(flags).join(' '))} ;;`);
    if (inner.length > 0)
      words.push(`${quoted(`${at}:0`)}) words=${quoted(inner.map((command) => command.name).join(' '))} ;;`);
    args.forEach((arg, i) => words.push(`${quoted(`${at}:${i}`)}) ${expected(arg)} ;;`));
  }
  const indented = (lines: readonly string[]): string => lines.map((line) => `      ${line}`).join('\n');
  return `# ${name} completion for bash. To load it: source <(${name} completion bash)
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path= position=0 value= kind= words= folder= ending= glued= i word
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    # --option=value comes as three words, a URL as several.
    if [[ $word == '=' ]]; then continue; fi
    if [[ $word == ':' ]]; then glued=1; continue; fi
    if [[ -n $glued ]]; then glued=; continue; fi
    if [[ -n $value ]]; then value= kind= words=; continue; fi
    case "$path:$word" in
${indented(walk)}
      *:-*) ;;
      *) ((position++)) ;;
    esac
  done
  if [[ $cur == '=' ]]; then cur=; fi
  if [[ -z $value && $cur == -* ]]; then
    case "$path" in
${indented(options)}
    esac
  elif [[ -z $value ]]; then
    case "$path:$position" in
${indented(words)}
    esac
  fi
  local IFS=$'\\n'
  COMPREPLY=()
  case "$kind" in
    files) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
    folders) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")) ;;
    names)
      for word in ${quoted(configFolder)}/"$folder"/"$cur"*."$ending"; do
        [[ -e $word ]] || continue
        word=\${word##*/}
        COMPREPLY+=("\${word%."$ending"}")
      done
      ;;
    nothing) ;;
    *)
      COMPREPLY=($(compgen -W "\${words// /$'\\n'}" -- "$cur"))
      if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
      ;;
  esac
}
complete -F _${name} ${name}`;
};

export const zshScript: Script = (name, commands, configFolder) => {
  const functionOf = (path: readonly string[]): string =>
    [`_${name}`, ...path].join('_').replaceAll('-', '_');
  const plain = (text: string): string => text.replaceAll(/[[\]:]/g, '\\$&');
  const action = (what: Completed): string => {
    switch (what.kind) {
      case 'words': {
        const open = what.words.filter((word) => word.endsWith('/'));
        const whole = what.words.filter((word) => !word.endsWith('/'));
        return open.length === 0
          ? `(${whole.join(' ')})`
          : `{compadd -S '' -- ${open.join(' ')}; compadd -- ${whole.join(' ')}}`;
      }
      case 'names':
        // With a space before it, zsh calls it with these words and no others.
        return ` __${name}_names ${what.folder} ${what.ending}`;
      case 'files':
        return '_files';
      case 'folders':
        return '_files -/';
      case 'nothing':
        return ' ';
    }
  };
  const functions = commands.map(({ path, commands: inner, options, args }) => {
    const specs = options.flatMap((option) => {
      const takes = option.takes === undefined ? '' : `:value:${action(option.takes)}`;
      return flags(option).map((flag) => {
        const joined = takes !== '' && flag.startsWith('--') ? '=' : '';
        return quoted(`${flag}${joined}[${plain(option.description)}]${takes}`);
      });
    });
    args.forEach((arg, i) => specs.push(quoted(`${i + 1}:argument:${action(arg)}`)));
    if (inner.length === 0)
      return `${functionOf(path)}() {\n  _arguments \\\n    ${specs.join(' \\\n    ')}\n}`;
    specs.push(quoted('1: :->command'), quoted('*:: :->rest'));
    const described = inner.map((command) => quoted(`${command.name}:${command.description}`));
    const known = new Set(commands.map((command) => command.path.join(' ')));
    const cases = inner
      .filter((command) => known.has([...path, command.name].join(' ')))
      .map((command) => `      ${command.name}) ${functionOf([...path, command.name])} ;;`);
    return `${functionOf(path)}() {
  local curcontext="$curcontext" state line
  _arguments -C \\
    ${specs.join(' \\\n    ')}
  case $state in
    command)
      local -a commands
      commands=(
        ${described.join('\n        ')}
      )
      _describe command commands
      ;;
    rest)
      case $line[1] in
${cases.join('\n')}
      esac
      ;;
  esac
}`;
  });
  return `#compdef ${name}
# ${name} completion for zsh. To load it: source <(${name} completion zsh), after compinit
__${name}_names() { compadd -- ${quoted(configFolder)}/$1/*.$2(N:t:r) }
${functions.join('\n')}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _${name} "$@"; else compdef _${name} ${name}; fi`;
};

export const fishScript: Script = (name, commands, configFolder) => {
  const at = (path: readonly string[]): string =>
    quoted(`test (__${name}_at) = ${quotedInside(`/${path.join('/')}`)}`);
  const quotedInside = (text: string): string => `"${text}"`;
  const takes = (what: Completed): string => {
    switch (what.kind) {
      case 'words':
        return `-x -a ${quoted(what.words.join(' '))}`;
      case 'names':
        return `-x -a ${quoted(`(__${name}_names ${what.folder} ${what.ending})`)}`;
      case 'files':
        return '-r -F';
      case 'folders':
        return `-x -a '(__fish_complete_directories)'`;
      case 'nothing':
        return '-x';
    }
  };
  const lines = commands.flatMap(({ path, commands: inner, options, args }) => [
    ...inner.map(
      (command) => `complete -c ${name} -n ${at(path)} -a ${command.name} -d ${quoted(command.description)}`,
    ),
    ...options.map((option) => {
      const short = option.short === undefined ? '' : ` -s ${option.short.slice(1)}`;
      const value = option.takes === undefined ? '' : ` ${takes(option.takes)}`;
      return `complete -c ${name} -n ${at(path)} -l ${option.long.slice(2)}${short}${value} -d ${quoted(option.description)}`;
    }),
    ...args
      .filter(({ kind }) => kind !== 'nothing')
      .map((arg) => `complete -c ${name} -n ${at(path)} ${takes(arg).replace(/^-[xr] /, '')}`),
  ]);
  const paths = commands.map(({ path }) => quoted(`/${path.join('/')}`));
  return `# ${name} completion for fish. To load it: ${name} completion fish > ~/.config/fish/completions/${name}.fish
function __${name}_at
    set -l at /
    for word in (commandline -opc)[2..]
        set -l next (string trim -r -c / $at)/$word
        contains -- $next ${paths.join(' ')}; and set at $next
    end
    echo $at
end
function __${name}_names
    for file in ${quoted(configFolder)}/$argv[1]/*.$argv[2]
        string replace -r '.*/(.*)\\.[^.]*$' '$1' $file
    end
end
complete -c ${name} -f
${lines.join('\n')}`;
};
