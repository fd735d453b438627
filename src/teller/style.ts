import { createHash } from "node:crypto";

/** How the pages look: one sheet, within each of them. */
export const style = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --band: #f6f8fa;
  --link: #0550ae; --bad: #b3261e; --bad-band: #fdf0ef; --good: #1a6b3c; --size: #b9d0ec; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171c; --ink: #e6e9ee; --soft: #9aa4b0; --line: #353c46; --band: #1b2027;
    --link: #7ab4ff; --bad: #ff938a; --bad-band: #2b1c1d; --good: #6fcf97; --size: #34517a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; line-height: 1.25; }
h2 { font-size: 1.125rem; margin: 2rem 0 .5rem; }
p { margin: 0 0 .5rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; background: var(--paper); padding: .5rem; }
.skip:focus { left: .5rem; top: .5rem; }
.notice { border-left: .25rem solid var(--bad); background: var(--bad-band); padding: .5rem .75rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 0 0 .5rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem; border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; background: var(--band); white-space: nowrap; }
tbody th { font-weight: 600; min-width: 12rem; }
.state { min-width: 12rem; }
time { white-space: nowrap; }
.attention > th { box-shadow: inset .25rem 0 var(--bad); }
.attention { background: var(--bad-band); }
ul { list-style: none; margin: 0; padding: 0; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); }
.soft { color: var(--soft); }
.number { text-align: right; white-space: nowrap; }
.figure { width: 9rem; }
svg { display: block; width: 7.5rem; height: 1.75rem; }
.large svg { width: 100%; max-width: 30rem; height: auto; }
figure { margin: 1rem 0; }
.size { fill: var(--size); }
.backups { stroke: var(--good); stroke-width: 4; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; }
@media (max-width: 40rem) { body { padding: 1rem .75rem 3rem; font-size: .9375rem; } th, td { padding: .5rem .375rem; }
  tbody th { min-width: 7rem; } .state { min-width: 6.5rem; } }
`;

/** The names of a sheet that a page may have, as its policy says them (Content Security Policy, hash sources). */
export const styleHash = `'sha256-${createHash("sha256").update(style).digest("base64")}'`;
