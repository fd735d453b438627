import { howToForget } from "./known-repositories.ts";
import { lostRepositories, lostText, nestedText, unaddressableText, unsuitableName } from "./roll-call.ts";
import type { Survey } from "./survey.ts";

/** What is under /repos and should not be so, a line each. */
export function remarksOn(
  { entries, unaddressable }: Survey,
  ofAccounts: ReadonlySet<string>,
  known: ReadonlySet<string>,
): string[] {
  const lost = lostRepositories({ entries, unaddressable }, ofAccounts, known);
  return [
    ...lost.map((path) => `${path} ${lostText(howToForget(path))}`),
    ...unaddressable.map(({ path }) => `${path} ${unaddressableText}`),
    ...entries.flatMap(({ path, state, nested, isLink, foreign }) => {
      const unsuitable = state.is === "repository" && unsuitableName(path);
      return [
        ...(unsuitable ? [`${path} ${unsuitable}`] : []),
        ...(isLink && foreign.length > 0
          ? [
              `${path} leads to a repository with files of somebody else (${foreign.join(", ")}): give them to the owner of the repositories`,
            ]
          : []),
        ...nested.map((inside) => `${inside} ${nestedText(inside, path)}`),
      ];
    }),
  ];
}
