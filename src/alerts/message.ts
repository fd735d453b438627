import { type Condition, over as overText } from "./condition.ts";
import type { News } from "./news.ts";

/** What is sent to an address. */
export interface Message {
  title: string;
  body: string;
  level: "info" | "success" | "warning" | "failure";
}

/** How many lines a message has: some services cut off longer ones. */
const mostLines = 40;

/**
 * The message of what is new; null where nothing is.
 * @param node the server's host name
 */
export function newsMessage({ appeared, remaining, over }: Omit<News, "told">, node: string): Message | null {
  const gone = over.map(({ subject, kind }) => `recovered: ${about(subject)}${overText[kind]}`);
  if (appeared.length + remaining.length === 0)
    return gone.length === 0
      ? null
      : { title: titleOf(node, gone, "recovered"), body: body(gone), level: "success" };
  const lines = appeared.map(lineOf);
  const still = remaining.map((condition) => `still ${lineOf(condition)}`);
  const all = [...appeared, ...remaining];
  return {
    title: titleOf(node, all.map(lineOf), all.every(({ kind }) => kind === "late") ? "late" : "attention"),
    body: body([...lines, ...still, ...gone]),
    level: all.some(({ kind }) => kind === "damaged" || kind === "unreadable") ? "failure" : "warning",
  };
}

/** The message of something that happened once. @param text what happened, without the repository's name */
export function eventMessage(repository: string, text: string, node: string): Message {
  return { title: `borgserver ${node}: ${repository}`, body: `${repository}: ${text}.`, level: "failure" };
}

const about = (subject: string) => (subject === "" ? "" : `${subject}: `);

function lineOf({ kind, subject, text }: Condition): string {
  const said = ["late", "damaged"].includes(kind) ? `${kind}: ${text}` : text;
  return about(subject) + said;
}

function titleOf(node: string, lines: readonly string[], what: "late" | "recovered" | "attention"): string {
  const [first = ""] = lines;
  if (lines.length === 1) return `borgserver ${node}: ${first}`;
  const how = { late: "backups are late", recovered: "recovered", attention: "need attention" }[what];
  return `borgserver ${node}: ${lines.length} ${how}`;
}

function body(lines: readonly string[]): string {
  const shown = lines.length > mostLines ? lines.slice(0, mostLines - 1) : lines;
  const more = lines.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more: see status on the server`] : [])].join("\n");
}
