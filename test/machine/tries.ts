/** What a borg serve that was taken over tried (test/programs/attacks.py), and what came of it. */
export interface Outcome {
  name: string;
  layer: "files" | "scope" | "calls" | "rights" | "none" | "restoring" | "may";
  /** What the error is behind the whole wall; null where there is none. */
  expected: string | null;
  /** The version of Landlock that refuses it first, where it is Landlock's to refuse. */
  since: number;
  /** What the error is behind the whole wall where Landlock is older. */
  older: string | null;
  errno: string | null;
}

/** What the wall refuses. */
export const walls = ["files", "scope", "calls"];
/** What comes out the same in every session behind the wall. */
export const others = [...walls, "rights", "none", "may"];
/** What succeeds without the wall. */
export const open = [...walls, "none", "restoring", "may"];

export const outcomesOf = (stdout: string): Outcome[] =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

/** "NAME: ERRNO" of each try of these layers, or of what was written down to come of it. */
export const came = (outcomes: Outcome[], layers: string[], errno = (each: Outcome) => each.errno) =>
  outcomes.filter(({ layer }) => layers.includes(layer)).map((each) => `${each.name}: ${errno(each)}`);

/** What is expected behind the whole wall, with this version of Landlock. */
export const expectedWith =
  (version: number) =>
  ({ layer, since, older, expected }: Outcome): string | null =>
    version < since && (layer === "files" || layer === "scope") ? older : expected;

/** The same of a session that may only restore: a link is refused already because nothing can be made there. */
export const expectedOfRestoring = (version: number) => (each: Outcome) => {
  const expected = expectedWith(version)(each);
  return expected === "EXDEV" ? "EACCES" : expected;
};
