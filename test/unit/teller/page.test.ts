import fc from "fast-check";
import { expect, test } from "vitest";
import { html } from "../../../src/teller/html.ts";
import { overviewPage, pagesOf, repositoryPage, rowsOfAPage } from "../../../src/teller/page.ts";
import { daysText, sparkline } from "../../../src/teller/sparkline.ts";
import { published, repository, session, unknown } from "./made-up.ts";

const now = Date.UTC(2026, 10, 28, 12);
const hour = 3600 * 1000;

/** The page without its sheet, which is the same for all. */
const without = (page: string | null) => page?.replace(/<style>.*<\/style>/s, "") ?? "";
const overview = (...repositories: ReturnType<typeof repository>[]) =>
  without(overviewPage(published(repositories, now), 1, now));
/** The rows of its table, without what marks them up. */
const rowsOf = (page: string) =>
  [...page.matchAll(/<tr[^>]*>\n<th scope="row">(.*?)<\/tr>/gs)].map(([, row = ""]) =>
    row
      .replace(/<[^>]*>/g, "\n")
      .split("\n")
      .filter(Boolean),
  );

test("text is text wherever it stands", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const { text: made } = html`<p title="${text}" lang='${text}'>${text}</p>`;
      expect(made.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, "").match(/["'<>&]/g)).toHaveLength(8);
      expect(made).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }),
  );
  expect(html`${`&<>"'`}${[html`<b>`, html`${"<i>"}`]}${null}${7}`.text).toBe(
    "&amp;&lt;&gt;&quot;&#39;<b>&lt;i&gt;7",
  );
});

test("names, accounts, problems and versions of clients are shown as text", () => {
  const hostile = `"><img src=x onerror=alert(1)>\u202e'&`;
  const shown = "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;\\u{202e}&#39;&amp;";
  const its = repository(hostile, now, {
    ...{ accounts: [hostile], problem: hostile, lastKind: hostile },
    lock: { kind: "exclusive", account: hostile, since: now },
  });
  const state = published([its], now, { node: hostile, version: hostile });
  const all = overviewPage(state, 1, now);
  const one = repositoryPage(
    state,
    hostile,
    () => [session(now, { account: hostile, address: hostile, repository: hostile })],
    now,
  )!;
  for (const page of [all, one]) {
    expect(page).not.toMatch(/<img|\u202e/);
    expect(page).toContain(shown);
  }
  expect(all.split(shown)).toHaveLength(7); // title and heading, version, name, problem, lock
  expect(all).toContain(`href="/repository/${encodeURIComponent(hostile).replaceAll("'", "&#39;")}"`);
});

test("a name with half of a character has a page too", () => {
  expect(overview(repository("a\ud800b", now))).toContain('href="/repository/a%EF%BF%BDb"');
});

test("what is late comes first, then what else needs attention, and each by name", () => {
  const page = overview(
    ...[repository("a", now), repository("b", now, { lastCheckOk: false })],
    ...[repository("d", now, { late: true }), repository("c", now, { late: true })],
    ...[repository("e", now, { problem: "it has no config" }), repository("f", now, { size: 9, quota: 9 })],
  );
  expect(rowsOf(page).map(([name, state]) => [name, state])).toEqual([
    ...[
      ["c", "late"],
      ["d", "late"],
    ],
    ...[
      ["b", "damaged: the last check found errors"],
      ["e", "cannot be read: it has no config"],
      ["f", "full"],
    ],
    ["a", "in time"],
  ]);
  expect(page).toContain('6 repositories: <strong class="bad">5 need attention</strong>, 2 of them late.');
});

test("a row says what status says, and what is not known is not made up", () => {
  const [row] = rowsOf(overview(repository("web", now, { quota: 500e9 })));
  expect(row).toEqual([
    ...["web", "in time", "7 hours ago", "212 GB", "8.4 GB", "500 GB 42 %", "2 days ago"],
  ]);
  const nothing = repository("new", now, unknown, { lateAfter: null, days: [] });
  expect(rowsOf(overview(nothing))).toEqual([["new", "not watched", "never", "-", "-", "-", "-"]]);
});

test("a state is said in words: locked, broken off, archived", () => {
  const locked = repository("a", now, { lock: { kind: "exclusive", account: "a", since: now - hour } });
  const page = overview(
    ...[locked, repository("b", now, { unfinished: true }), repository("c", now, { archived: true })],
  );
  expect(rowsOf(page).map((row) => row.slice(1, 3))).toEqual([
    ["in time", "locked by a since 2026-11-28T11:00:00Z"],
    ["in time", "the last session broke off"],
    ["archived", "7 hours ago"],
  ]);
});

test("without repositories, and without a state, it says so", () => {
  expect(overview()).toContain("There are no repositories.");
  const nothing = without(overviewPage(null, 1, now));
  expect(nothing).toContain("Nothing is known yet. The keeper, which starts with the server, finds it out.");
  expect(nothing).not.toContain("There are no repositories.");
});

test("a state that is older than ten minutes is said to be, on every page", () => {
  const state = published([repository("web", now)], now);
  const pages = (later: number) => [
    overviewPage(state, 1, now + later)!,
    repositoryPage(state, "web", () => [], now + later)!,
  ];
  const sentence = "The keeper has not answered since 2026-11-28T12:00:00Z.";
  for (const page of pages(10 * 60_000)) expect(page).not.toContain(sentence);
  for (const page of pages(10 * 60_000 + 1)) expect(page).toContain(sentence);
});

test("problems of the server are said before the table", () => {
  const state = published([repository("web", now)], now, { problems: 2, index: null, storage: null });
  const page = overviewPage(state, 1, now);
  expect(page).toContain("2 problems keep changes in /sshkeys from taking effect. To see them: index check");
  expect(page).toContain("The index cannot answer");
  expect(page).not.toContain("Storage");
  expect(overview(repository("web", now))).toContain("Storage: 1.2 TB free of 4.0 TB.");
});

test("ten thousand repositories are pages of a thousand, what needs attention on the first", () => {
  const all = Array.from({ length: 10_000 }, (_, at) => repository(`web${at}`, now, { late: at === 9_999 }));
  const state = published(all, now);
  const page = overviewPage(state, 1, now);
  expect(rowsOf(page)).toHaveLength(rowsOfAPage);
  expect(rowsOf(page)[0]!.slice(0, 2)).toEqual(["web9999", "late"]);
  expect(page).toContain('<strong aria-current="page">1</strong> <a href="/?page=2">2</a>');
  const names = Array.from({ length: 10 }, (_, at) => rowsOf(overviewPage(state, at + 1, now))).flat();
  expect(new Set(names.map(([name]) => name)).size).toBe(10_000);
  expect(pagesOf(state)).toBe(10);
  expect(pagesOf(published(all.slice(0, rowsOfAPage), now))).toBe(1);
  expect(overview(repository("web", now))).not.toContain("<nav");
});

test("a repository's page has its figures and its sessions, the newest first", () => {
  const its = repository("web", now, { accounts: ["web", "web-prune"], lastCheckOk: false });
  const page = repositoryPage(
    published([its], now),
    "web",
    () => [
      session(now, { complete: false }),
      session(now, { account: "", kind: "check", checkOk: false, address: "" }),
    ],
    now,
  )!;
  const text = page.replace(/<[^>]*>/g, " ").replace(/ +/g, " ");
  expect(text).toContain("Accounts web, web-prune Last backup 7 hours ago , 2026-11-28T05:00:00Z");
  expect(text).toContain("Late after 26 hours Last commit 7 hours ago , 2026-11-28T05:00:00Z, create");
  expect(text).toMatch(/Last check 2 days ago , 2026-11-26T10:00:00Z, errors/);
  expect(text).toContain("Objects 48000");
  expect(rowsOf(page)).toEqual([
    ["2026-11-28T11:00:00Z", "web", "create, broken off", "192.0.2.7", "5.0 GB", "3.0 MB", "61 s"],
    ["2026-11-28T11:00:00Z", "an operator", "check, damaged", "-", "5.0 GB", "3.0 MB", "61 s"],
  ]);
  expect(repositoryPage(published([its], now), "other", () => [], now)).toBeNull();
  expect(repositoryPage(published([its], now), "web", () => [], now)).toContain("No session is known yet.");
});

test.each([
  [26 * hour, "26 hours"],
  [24 * hour, "1 day"],
  [90 * 60_000, "90 minutes"],
  [45_000, "45 seconds"],
])("a limit of %d ms is %s", (lateAfter, words) => {
  const state = published([repository("web", now, {}, { lateAfter })], now);
  expect(repositoryPage(state, "web", () => [], now)).toContain(`<dt>Late after</dt><dd>${words}</dd>`);
});

test("the days are a picture and words", () => {
  const days = [
    { backups: 0, size: null },
    { backups: 2, size: 50e9 },
    { backups: 0, size: null },
    { backups: 1, size: 100e9 },
  ];
  expect(daysText(days)).toBe("Backups on 2 of the last 4 days; size 50.0 GB, then 100 GB");
  const { text } = sparkline(days);
  expect(text).toContain(
    'role="img" aria-label="Backups on 2 of the last 4 days; size 50.0 GB, then 100 GB"',
  );
  expect(text).toContain('viewBox="0 0 16 28"');
  expect(text).toContain('class="size" d="M4 20L4 10.5L12 1h3V20z"'); // half as high as the largest
  expect(text).toContain('class="backups" d="M4 24h3M12 24h3"');
});

test("days of which nothing is known are an empty picture", () => {
  const none = Array.from({ length: 30 }, () => ({ backups: 0, size: null }));
  expect(daysText(none)).toBe("Backups on 0 of the last 30 days; the size is unknown");
  expect(sparkline(none).text.match(/ d=""/g)).toHaveLength(2);
  const empty = none.map(() => ({ backups: 0, size: 0 }));
  expect(sparkline(empty).text).not.toContain("NaN");
});
