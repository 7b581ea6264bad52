/** Something that whoever compares can mend: its message says how, and is all that they need to see. */
export class CompareError extends Error {
  override readonly name = 'CompareError';
}
