import { expect, test } from "vitest";
import { triedOf } from "../../../src/operator/notify-test.ts";

test("each address is tried once, whoever names it, and shown without its secret", () => {
  const found = {
    operator: ["ntfy://secret/a", "mailto://u:secret@h"],
    accounts: {
      db: { notify: ["json://secret/all", "ntfy://secret/a"] },
      mail: { notify: ["json://secret/all", "json://secret/all"], ping: "https://secret/ping" },
      web: { notify: ["json://secret/all", "slack://secret/web"] },
    },
  };
  expect(triedOf(found, false)).toEqual([
    { url: "ntfy://secret/a", shown: "address 1 of NOTIFY (ntfy)", isPrivate: true },
    { url: "mailto://u:secret@h", shown: "address 2 of NOTIFY (mailto)", isPrivate: true },
    {
      url: "json://secret/all",
      shown: "the notify address of db (json), also of 2 other accounts",
      isPrivate: false,
    },
    { url: "slack://secret/web", shown: "the notify address of web (slack)", isPrivate: false },
  ]);
  expect(triedOf(found, true).every(({ isPrivate }) => isPrivate)).toBe(true);
  expect(triedOf({ operator: [], accounts: {} }, false)).toEqual([]);
});
