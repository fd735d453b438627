import { expect, test } from "vitest";
import { accountDirectory, plainWord, roleNames, roles } from "../../src/role.ts";

test("each role has the folder, the group and the setting that operators know", () => {
  expect(roleNames.map((role) => [role, ...Object.values(roles[role])])).toEqual([
    ["repo", "repos", "borg-repo", "REPO_SERVE_EXTRA_ARGS"],
    ["appendonly", "repos-appendonly", "borg-appendonly", "APPENDONLY_SERVE_EXTRA_ARGS"],
    ["restore", "repos-restore", "borg-restore", "RESTORE_SERVE_EXTRA_ARGS"],
    ["admin", "admins", "borg-admin", "ADMIN_SERVE_EXTRA_ARGS"],
  ]);
});

test("an account reaches its own repository, an admin all of them", () => {
  expect(accountDirectory("repo", "web")).toBe("/repos/web");
  expect(accountDirectory("appendonly", "web")).toBe("/repos/web");
  expect(accountDirectory("admin", "web")).toBe("/repos");
});

test("a plain word has no character that means something to a shell, to sshd or to a reader of lines", () => {
  const allowed = "ABYZabyz0189@%+=:,./_-";
  for (let code = 0; code < 0x100; code++) {
    const character = String.fromCharCode(code);
    const isPlain = /[A-Za-z0-9]/.test(character) || allowed.includes(character);
    for (const word of [character, `${character}a`, `a${character}`])
      expect([word, plainWord.test(word)]).toEqual([word, isPlain]);
  }
  expect(plainWord.test("")).toBe(false);
});
