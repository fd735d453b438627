import type { Problem } from "../problem.ts";
import { howToForget } from "./known-repositories.ts";
import { lost, lostRepositories, nestedIn, notUtf8, unsuitableName } from "./roll-call.ts";
import type { Survey } from "./survey.ts";

/** Everything under /repos that should not be as it is. */
export function remarksOn(
  { entries, unaddressable }: Survey,
  ofAccounts: ReadonlySet<string>,
  known: ReadonlySet<string>,
): Problem[] {
  return [
    ...lostRepositories({ entries, unaddressable }, ofAccounts, known).map((path) => ({
      where: path,
      ...lost(howToForget(path)),
    })),
    ...unaddressable.map(({ path }) => ({ where: path, ...notUtf8 })),
    ...entries.flatMap(({ path, state, nested, isLink, foreign }) => {
      const unsuitable = state.is === "repository" && unsuitableName(path);
      return [
        ...(unsuitable ? [{ where: path, ...unsuitable }] : []),
        ...(isLink && foreign.length > 0
          ? [
              {
                where: path,
                text: `it leads to a repository with files of another user (${foreign.join(", ")})`,
                hint: "Give them to the owner of the repositories.",
              },
            ]
          : []),
        ...nested.map((inside) => ({ where: inside, ...nestedIn(inside, path) })),
      ];
    }),
  ];
}
