/** Named values without those that are zero: most counters of most cells are. */
export function nonZero(
  names: readonly string[],
  numbers: readonly number[],
  from = 0,
): Record<string, number> {
  const values: Record<string, number> = {};
  for (let i = 0; i < names.length; i++) {
    const value = numbers[from + i]!;
    if (value !== 0) values[names[i]!] = value;
  }
  return values;
}
