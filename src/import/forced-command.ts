import { posix } from "node:path";
import type { Refusal } from "../problem.ts";

/** What a `borg serve` in a forced command lets a key do. */
export interface Serve {
  /** Absolute paths, without a slash at the end. */
  opens: { path: string; isRepository: boolean }[];
  isAppendOnly: boolean;
  /** As it is written, e.g. 100G; null without one. */
  quota: string | null;
}

/** Reads the forced command of another server (sshd(8), command="…") as its shell would. Why it cannot be taken over otherwise. */
export function readForcedCommand(text: string): Serve | Refusal {
  const commands = commandsIn(text);
  if (commands === null)
    return {
      text: "the forced command uses more of a shell than is understood here",
      hint: "Write the borg serve that it comes to, with full paths, into a copy of the file.",
    };
  let folder: string | null = null;
  for (const [at, command] of commands.entries()) {
    const [first = "", ...words] = command;
    if (first === "cd") folder = words[0] !== undefined ? resolve(folder, words[0]) : null;
    else if (["umask", "ulimit", "export"].includes(first)) continue;
    else if (at === commands.length - 1) return readServe(command, folder);
    else return notBorg;
  }
  return notBorg;
}

const notBorg: Refusal = {
  text: "the forced command is not borg serve",
  hint: "Only access for borg can be taken over.",
};

/** Null for a relative path where the folder is not known, as in an account's home. */
function resolve(folder: string | null, path: string): string | null {
  if (!path.startsWith("/") && folder === null) return null;
  return posix.resolve(folder ?? "/", path);
}

/** The commands of a shell's text, each in its words; null where that takes more than words, quotes, `;` and `&&`. */
function commandsIn(text: string): string[][] | null {
  const commands: string[][] = [];
  let words: string[] = [];
  let word: string | null = null;
  const endWord = () => {
    if (word !== null) words.push(word);
    word = null;
  };
  const endCommand = () => {
    endWord();
    if (words.length > 0) commands.push(words);
    words = [];
  };
  const tokens =
    /([ \t]+)|(;|&&|\n)|'([^']*)'|"((?:[^"\\$`]|\\[\s\S])*)"|\\([^\n])|([^\s'"\\$`;&|<>(){}*?[\]!~#]|(?<=\S)[~#!])/gy;
  let end = 0;
  for (const [token, space, separator, single, double, escaped, plain] of text.matchAll(tokens)) {
    end += token.length;
    if (space !== undefined) endWord();
    else if (separator !== undefined) endCommand();
    else word = (word ?? "") + (single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? plain ?? "");
  }
  if (end !== text.length) return null;
  endCommand();
  const inner = commands.at(-1) ?? [];
  if (!/^(?:.*\/)?(?:ba|da)?sh$/.test(inner[0] ?? "") || inner[1] !== "-c") return commands;
  const within = inner.length === 3 ? commandsIn(inner[2]!) : null;
  return within && [...commands.slice(0, -1), ...within];
}

/** What people start borg with; their options and an assignment change no rights. */
const starters = ["env", "exec", "ionice", "nice", "sudo", "doas", "setpriv", "nohup"];
const isStarterWord = (word: string, before: string) =>
  starters.includes(posix.basename(word)) ||
  /^(?:[A-Za-z_][A-Za-z0-9_]*=|-|[0-9]+$)/.test(word) ||
  /^(?:-[a-zA-Z]|--user|--group)$/.test(before);

/** Options of borg serve that decide nothing about rights, and whether they take a word. */
const otherOptions: Record<string, boolean> = {
  "--critical": false,
  "--error": false,
  "--warning": false,
  "--warn": false,
  "--info": false,
  "--verbose": false,
  "-v": false,
  "--debug": false,
  "--debug-topic": true,
  "--progress": false,
  "-p": false,
  "--log-json": false,
  "--lock-wait": true,
  "--show-version": false,
  "--show-rc": false,
  "--umask": true,
  "--iec": false,
};

/** The words of a command that starts borg serve. @param folder where it starts, if that is known */
function readServe(words: readonly string[], folder: string | null): Serve | Refusal {
  const borg = words.findIndex(
    (word, at) =>
      /^borg(?:backup)?(?:[-_.0-9][A-Za-z0-9._-]*)?$/.test(posix.basename(word)) && servesBehind(words, at),
  );
  if (borg === -1 || !words.slice(0, borg).every((word, at) => isStarterWord(word, words[at - 1] ?? "")))
    return notBorg;

  const serve: Serve = { opens: [], isAppendOnly: false, quota: null };
  const rest = words.slice(borg + 1);
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at]!;
    const [name = "", inWord] = word.split(/=(.*)/s);
    const value = () => inWord ?? rest[++at];
    if (word === "serve") continue;
    if (word === "--append-only") serve.isAppendOnly = true;
    else if (name === "--storage-quota") serve.quota = value() ?? "";
    else if (name === "--restrict-to-path" || name === "--restrict-to-repository") {
      const written = value() ?? "";
      const path = written === "" ? null : resolve(folder, written);
      if (path === null)
        return {
          text: `${name} has no full path, and what it starts from is not known here`,
          hint: "Write the full path into a copy of the file.",
        };
      serve.opens.push({ path, isRepository: name === "--restrict-to-repository" });
    } else if (Object.hasOwn(otherOptions, name)) {
      if (otherOptions[name]) value();
    } else
      return {
        text: "borg serve has an option that is not known here",
        hint: "Remove it in a copy of the file, if the key may do the same without it.",
      };
  }
  if (serve.opens.every(({ path }) => path === "/"))
    return {
      text: "borg serve is not restricted, so the key opens whatever its account can reach",
      hint: "Put the key into /sshkeys/admins for every repository, or into the file of an account.",
    };
  if (new Set(serve.opens.map(({ isRepository }) => isRepository)).size > 1)
    return {
      text: "borg serve is restricted to a path and to a repository, and what both leave is not known here",
      hint: "Leave the narrower one in a copy of the file.",
    };
  return serve;
}

/** Whether the first word behind borg that is no option is its command serve. */
function servesBehind(words: readonly string[], borg: number): boolean {
  for (let at = borg + 1; at < words.length; at++) {
    const word = words[at]!;
    if (!word.startsWith("-")) return word === "serve";
    if (otherOptions[word] === true) at++;
  }
  return false;
}
