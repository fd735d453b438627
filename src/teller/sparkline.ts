import type { Day } from "../ledger/ledger.ts";
import { sizeText } from "../ledger/status.ts";
import { type Html, html } from "./html.ts";

/** Of a day, and of the picture, in its own units. */
const [step, height, ground] = [4, 28, 20];

/** The last days of a repository: its size as a surface from zero, and below it a mark for each day with a backup. */
export function sparkline(days: readonly Day[]): Html {
  return html`<svg role="img" aria-label="${daysText(days)}" viewBox="0 0 ${days.length * step} ${height}"><path class="size" d="${surface(days)}"/><path class="backups" d="${marks(days)}"/></svg>`;
}

/** The same in words. */
export function daysText(days: readonly Day[]): string {
  const sizes = knownSizes(days).map(({ size }) => sizeText(size));
  const [first, last] = [sizes[0], sizes.at(-1)];
  const backups = days.filter((each) => each.backups > 0).length;
  return (
    `Backups on ${backups} of the last ${days.length} days; ` +
    (first === undefined
      ? "the size is unknown"
      : first === last
        ? `size ${last}`
        : `size ${first}, then ${last}`)
  );
}

/** Where nobody looked, it goes on straight from one known size to the next. */
function surface(days: readonly Day[]): string {
  const known = knownSizes(days);
  const most = Math.max(...known.map(({ size }) => size), 1);
  const [first, last] = [known[0], known.at(-1)];
  if (!first || !last) return "";
  const line = known.map(({ at, size }) => `L${at * step} ${round(ground - (size / most) * (ground - 1))}`);
  // A day is as wide as its mark, so that one alone is seen too.
  return `M${first.at * step} ${ground}${line.join("")}h${step - 1}V${ground}z`;
}

const marks = (days: readonly Day[]) =>
  days.map(({ backups }, at) => (backups > 0 ? `M${at * step} ${ground + 4}h${step - 1}` : "")).join("");

const knownSizes = (days: readonly Day[]) =>
  days.flatMap(({ size }, at) => (size === null ? [] : [{ at, size }]));

const round = (value: number) => Math.round(value * 10) / 10;
