import { sessionWords } from "../ledger/session-words.ts";
import {
  agoText,
  alarmsOf,
  byUrgency,
  cellsOf,
  columns,
  isoTime,
  remarksOf,
  type Status,
  sizeText,
} from "../ledger/status.ts";
import { Html, html, type Value } from "./html.ts";
import { type Published, type PublishedRepository, type PublishedSession, silence } from "./published.ts";
import { daysText, sparkline } from "./sparkline.ts";
import { style } from "./style.ts";

/** How many repositories a page has: more take a telephone seconds. What needs attention is on the first. */
export const rowsOfAPage = 1000;

/**
 * All repositories in one table.
 * @param at which page, counted from 1
 * @param now in milliseconds since 1970
 */
export function overviewPage(state: Published | null, at: number, now: number): string {
  const all = byUrgency(state?.repositories ?? [], ({ status }) => status);
  const rows = all.slice((at - 1) * rowsOfAPage, at * rowsOfAPage);
  const pages = pagesOf(state);
  return page(state, state ? `Backups on ${state.node}` : "Backups", now, [
    state && summary(state),
    rows.length > 0 ? table(rows, now) : state && html`<p>There are no repositories.</p>`,
    pages > 1 ? pageLinks(at, pages) : null,
  ]);
}

/** How many pages all repositories take. */
export const pagesOf = (state: Published | null) =>
  Math.max(1, Math.ceil((state?.repositories.length ?? 0) / rowsOfAPage));

/** How many repositories there are, how many of them need attention, and what is to be said of the server. */
function summary({ repositories, storage, index, problems }: Published): Html {
  const alarming = repositories.filter(({ status }) => alarmsOf(status).length > 0).length;
  const late = repositories.filter(({ status }) => status.late).length;
  const verdict =
    alarming > 0
      ? html`<strong class="bad">${alarming} ${alarming === 1 ? "needs" : "need"} attention</strong>${late > 0 ? `, ${late} of them late` : null}`
      : html`<strong class="good">nothing needs attention</strong>`;
  return html`<p>${counted(repositories.length, "repository", "repositories")}: ${verdict}.
${storage && html`Storage: ${sizeText(storage.free)} free of ${sizeText(storage.size)}.`}</p>
${problems > 0 ? notice(problemsText(problems)) : null}
${index === null ? notice("The index cannot answer, and nobody can log in. To build it anew: index rebuild --full") : null}`;
}

const problemsText = (count: number) =>
  `${counted(count, "problem keeps", "problems keep")} changes in /sshkeys from taking effect. ` +
  `To see ${count === 1 ? "it" : "them"}: index check`;

const notice = (text: string) => html`<p class="notice">${text}</p>`;

function table(rows: readonly PublishedRepository[], now: number): Html {
  const [name, backup, ...others] = columns;
  return wide(
    "repositories",
    html`<table>
<caption id="repositories">Repositories, what is late first</caption>
<thead><tr>${headings([name, "State", backup, "Last 30 days", ...others])}</tr></thead>
<tbody>
${rows.map((row) => tableRow(row, now))}</tbody>
</table>`,
  );
}

const headings = (titles: readonly string[]) =>
  titles.map(
    (title) => html`<th scope="col"${figures.has(title) ? html` class="number"` : null}>${title}</th>`,
  );

/** What has digits below each other. */
const figures = new Set(["Size", "Freeable", "Quota", "Received", "Sent", "Took"]);

function tableRow({ status, lateAfter, days }: PublishedRepository, now: number): Html {
  const [name, backup, size, freeable, quota, check] = cellsOf(status, now) as Cells;
  return html`<tr${alarmsOf(status).length > 0 ? html` class="attention"` : null}>
<th scope="row"><a href="${pathOf(status.repository)}">${name}</a></th>
<td class="state">${stateOf(status, lateAfter)}</td>
<td>${timed(backup, status.lastBackup)}</td>
<td class="figure">${sparkline(days)}</td>
<td class="number">${size}</td>
<td class="number">${freeable}</td>
<td class="number">${quota}</td>
<td>${timed(check, status.lastCheck)}</td>
</tr>
`;
}

/** One for each of the columns. */
type Cells = [string, string, string, string, string, string];

/** How it stands, in words: colours only repeat them. */
function stateOf(status: Status, lateAfter: number | null): Html {
  const alarms = alarmsOf(status).map((text) => html`<li class="bad">${text}</li>`);
  const sound =
    alarms.length > 0 || status.archived
      ? null
      : lateAfter === null
        ? html`<li class="soft">not watched</li>`
        : html`<li class="good">in time</li>`;
  const remarks = remarksOf(status).map((text) => html`<li class="soft">${text}</li>`);
  return html`<ul>${alarms}${sound}${remarks}</ul>`;
}

function pageLinks(at: number, pages: number): Html {
  const links = Array.from({ length: pages }, (_, index) => index + 1).map((each) =>
    each === at
      ? html`<strong aria-current="page">${each}</strong> `
      : html`<a href="/?page=${each}">${each}</a> `,
  );
  return html`<nav aria-label="Pages">Page ${links}</nav>`;
}

/** A repository and its sessions. @returns null if there is none of that name */
export function repositoryPage(
  state: Published,
  name: string,
  sessions: () => readonly PublishedSession[],
  now: number,
): string | null {
  const found = state.repositories.find(({ status }) => status.repository === name);
  if (!found) return null;
  const { status, lateAfter, days } = found;
  return page(state, name, now, [
    toAll,
    stateOf(status, lateAfter),
    html`<dl>${facts(status, lateAfter, now).map(([term, text]) => html`<dt>${term}</dt><dd>${text}</dd>`)}</dl>`,
    html`<figure class="large">${sparkline(days)}<figcaption class="soft">${daysText(days)}</figcaption></figure>`,
    html`<h2>Sessions</h2>`,
    sessionTable(sessions()),
  ]);
}

function facts(status: Status, lateAfter: number | null, now: number): [string, Value][] {
  const [, backup, size, freeable, quota, check] = cellsOf(status, now) as Cells;
  const { accounts, lastBackup, lastCommit, lastKind, lastCheck, lastCheckOk, lastCompact, objects } = status;
  const at = (text: string, time: number | null) =>
    time === null ? text : html`${timed(text, time)}, ${isoTime(time)}`;
  const ago = (time: number | null) => (time === null ? "-" : agoText(time, now));
  const result = lastCheckOk === null ? null : lastCheckOk ? ", no errors" : ", errors";
  return [
    ["Accounts", accounts.join(", ") || "none"],
    ["Last backup", at(backup, lastBackup)],
    ["Late after", lateAfter === null ? "never: no late-after is set" : spanText(lateAfter)],
    ["Last commit", html`${at(ago(lastCommit), lastCommit)}${lastKind && `, ${lastKind}`}`],
    ["Last check", html`${at(check, lastCheck)}${result}`],
    ["Last compaction", at(ago(lastCompact), lastCompact)],
    ...([
      ["Size", size],
      ["Freeable", freeable],
      ["Quota", quota],
    ] satisfies [string, Value][]),
    ["Objects", objects ?? "-"],
  ];
}

function sessionTable(sessions: readonly PublishedSession[]): Html {
  if (sessions.length === 0) return html`<p>No session is known yet.</p>`;
  return wide(
    "sessions",
    html`<table>
<caption id="sessions">The last ${counted(sessions.length, "session", "sessions")}, the newest first</caption>
<thead><tr>${headings(["Began", "Account", "What", "From", "Received", "Sent", "Took"])}</tr></thead>
<tbody>
${sessions.map(sessionRow)}</tbody>
</table>`,
  );
}

function sessionRow(session: PublishedSession): Html {
  const { began, ended, address, complete, checkOk, bytesIn, bytesOut } = session;
  const { who, what } = sessionWords(session);
  const isBad = !complete || checkOk === false;
  return html`<tr>
<th scope="row">${timed(isoTime(began), began)}</th>
<td>${who}</td>
<td${isBad ? html` class="bad"` : null}>${what}</td>
<td>${address || "-"}</td>
<td class="number">${sizeText(bytesIn)}</td>
<td class="number">${sizeText(bytesOut)}</td>
<td class="number">${Math.round((ended - began) / 1000)} s</td>
</tr>
`;
}

/** A page that says why there is none. */
export const refusalPage = (state: Published | null, title: string, text: string, now: number) =>
  page(state, title, now, [toAll, html`<p>${text}</p>`]);

const toAll = html`<p><a href="/">All repositories</a></p>`;

/** What all pages have around them. */
function page(state: Published | null, title: string, now: number, content: readonly Value[]): string {
  const silent = silence(state, now);
  const asOf =
    state &&
    html`<p class="soft">As of ${timed(isoTime(state.made), state.made)}, ${agoText(state.made, now)}. borgserver ${state.version}</p>`;
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(style)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<h1>${title}</h1>
${asOf}
</header>
<main id="content" tabindex="-1">
${silent && (state ? notice(`${silent} What follows may have changed since.`) : html`<p>${silent}</p>`)}
${content.map((each) => html`${each}\n`)}</main>
</body>
</html>
`.text;
}

/** A table that may be wider than a telephone: it moves by itself, also by keys. @param name the id of what names it */
const wide = (name: string, content: Html) =>
  html`<div class="wide" role="region" aria-labelledby="${name}" tabindex="0">${content}</div>`;

const timed = (text: string, time: number | null) =>
  time === null ? text : html`<time datetime="${isoTime(time)}">${text}</time>`;

/** A name may hold what an address cannot: half a character is replaced. */
const pathOf = (repository: string) => `/repository/${encodeURIComponent(repository.toWellFormed())}`;

const counted = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`;

/** A span of time in the largest unit that says it whole, as settings files have it. @param time in milliseconds */
function spanText(time: number): string {
  const seconds = Math.round(time / 1000);
  const [size, name] = spans.find(([each]) => seconds % each === 0) ?? [1, "second"];
  return counted(seconds / size, name, `${name}s`);
}

const spans: [number, string][] = [
  [24 * 3600, "day"],
  [3600, "hour"],
  [60, "minute"],
];
