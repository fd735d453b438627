/**
 * Called to report how far long work is.
 * @param what the work, e.g. "reading /sshkeys/repos"
 * @param done how many of all items are done; all of them when the work has ended, however it ended
 */
export type Progress = (what: string, done: number, all: number) => void;

export const unseen: Progress = () => {};

/** The items, one after the other. */
export function* counted<Item>(items: readonly Item[], what: string, progress: Progress): Generator<Item> {
  try {
    for (const [at, item] of items.entries()) {
      progress(what, at, items.length);
      yield item;
    }
  } finally {
    progress(what, items.length, items.length);
  }
}
