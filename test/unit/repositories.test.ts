import { expect, test } from "vitest";
import { type LookAt, planRepositories } from "../../src/repositories.ts";

const owner = { uid: 1000, gid: 1000 };
const fine = { uid: 1000, gid: 1000, mode: 0o42700 };
const disk =
  (found: Record<string, ReturnType<LookAt>>): LookAt =>
  (path) =>
    found[path] ?? null;

test("what is missing is made, what has another owner or mode is named, admins need no directory", () => {
  const accounts = [
    { name: "b", role: "repo" },
    { name: "a", role: "appendonly" },
    { name: "c", role: "repo" },
    { name: "d", role: "repo" },
    { name: "boss", role: "admin" },
  ] as const;
  const look = disk({
    "/repos": { ...fine, gid: 0, mode: 0o40755 },
    "/repos/a": fine,
    "/repos/c": { ...fine, uid: 7 },
    "/repos/d": { reason: "is a file" },
  });
  expect(planRepositories(accounts, owner, look, () => [])).toEqual({
    create: ["/repos/b"],
    own: ["/repos", "/repos/c"],
    mode: ["/repos"],
    blocked: [{ path: "/repos/d", reason: "is a file" }],
  });
});

test("a symlink to a directory is left alone", () => {
  const look = disk({ "/repos": fine, "/repos/a": "link" });
  expect(planRepositories([{ name: "a", role: "repo" }], owner, look, () => [])).toEqual({
    create: [],
    own: [],
    mode: [],
    blocked: [],
  });
});

test("repositories of nobody's account are given to the owner too", () => {
  const look = disk({
    "/repos": fine,
    "/repos/a": fine,
    "/repos/b": { ...fine, uid: 7 },
    "/repos/gone": { ...fine, gid: 7 },
  });
  const others = (known: ReadonlySet<string>) =>
    ["/repos/a", "/repos/b", "/repos/gone"].filter((path) => !known.has(path));
  expect(planRepositories([{ name: "a", role: "repo" }], owner, look, others)).toEqual({
    create: [],
    own: ["/repos/b", "/repos/gone"],
    mode: [],
    blocked: [],
  });
});
