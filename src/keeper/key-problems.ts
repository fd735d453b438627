/** What keeps changes in /sshkeys from taking effect, as the part that watches it tells the one that says so. */
export class KeyProblems {
  /** The lines of the problems. */
  lines: readonly string[] = [];
  /** Is called when they are others. */
  changed: () => void = () => {};

  set(lines: readonly string[]): void {
    this.lines = lines;
    this.changed();
  }
}
