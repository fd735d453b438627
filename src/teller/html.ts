import { printable } from "../printable.ts";

/** Text that is HTML already: only `html` makes it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * A piece of a page. What stands in it is shown as text: no name ends an attribute or begins an element, and none turns
 * the direction of what follows, because characters without a shape are shown as escapes.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  let text = parts[0] ?? "";
  for (const [at, value] of values.entries()) text += textOf(value) + (parts[at + 1] ?? "");
  return new Html(text);
}

/** Null is nothing. */
export type Value = string | number | Html | null | readonly Html[];

function textOf(value: Value): string {
  if (value === null) return "";
  if (value instanceof Html) return value.text;
  if (typeof value === "object") return value.map(({ text }) => text).join("");
  return printable(`${value}`).replace(/[&<>"']/g, (character) => escapes[character] ?? "");
}

const escapes: Record<string, string> = {
  ...{ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" },
};
