/** A strict reader of Prometheus' text format: what `promtool check metrics` would not take, it does not take either. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)/y;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
};

/** @throws Error that names the line which is not of the format */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('does not end with a line end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let help: [name: string, text: string] | undefined;
  let family: Family | undefined;
  for (const [index, line] of text.slice(0, -1).split('\n').entries()) {
    const wrong = (why: string): Error => new Error(`line ${index + 1}: ${why}: ${line}`);
    if (line === '') continue;
    if (line.startsWith('# HELP ')) {
      const [, name, words] = /^# HELP (\S+) (.+)$/.exec(line) ?? [];
      if (name === undefined || families.has(name)) throw wrong('a help without a name, or given twice');
      help = [name, words!];
    } else if (line.startsWith('# TYPE ')) {
      const [, name, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
      if (name === undefined || help?.[0] !== name) throw wrong('a type that does not follow its help');
      family = { name, type: type!, help: help[1], samples: [] };
      families.set(name, family);
    } else {
      const [, name, labelText, valueText] = SAMPLE.exec(line) ?? [];
      if (name === undefined || family === undefined) throw wrong('no sample of a family');
      const { name: of, type } = family;
      if (!SUFFIXES[type]!.some((suffix) => name === of + suffix)) throw wrong(`no sample of ${of}`);
      const labels = parseLabels(labelText ?? '');
      if (labels === undefined) throw wrong('labels');
      const value = valueText === '+Inf' ? Infinity : valueText === 'Nan' ? NaN : Number(valueText);
      if (Number.isNaN(value)) throw wrong('a value that is no number');
      const series = `${name}${JSON.stringify(Object.entries(labels).sort())}`;
      if (seen.has(series)) throw wrong('a series given twice');
      seen.add(series);
      family.samples.push({ name, labels, value });
    }
  }
  for (const each of families.values()) if (each.type === 'histogram') checkHistogram(each);
  return families;
}

function parseLabels(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name, value] = LABEL.exec(text) ?? [];
    if (name === undefined || name in labels) return undefined;
    labels[name] = value!.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
  }
  return labels;
}

/** Buckets ascend, never fall, and the last one is the count. */
function checkHistogram({ name, samples }: Family): void {
  const bySeries = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = JSON.stringify(Object.entries(sample.labels).filter(([label]) => label !== 'le'));
    bySeries.set(key, [...(bySeries.get(key) ?? []), sample]);
  }
  for (const series of bySeries.values()) {
    const buckets = series.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => (labels['le'] === '+Inf' ? Infinity : Number(labels['le'])));
    const counts = buckets.map(({ value }) => value);
    const ascends = (numbers: number[]): boolean => numbers.every((n, i) => i === 0 || n >= numbers[i - 1]!);
    const count = series.find((sample) => sample.name === `${name}_count`)?.value;
    if (bounds.at(-1) !== Infinity || !ascends(bounds) || !ascends(counts) || counts.at(-1) !== count)
      throw new Error(`${name} is no histogram`);
  }
}
