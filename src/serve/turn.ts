/** An order of work, not a time: lets sockets be read and others run before the next slice of a burst. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
