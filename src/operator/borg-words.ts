/**
 * Options of borg's commands that take a value, which may be the next word (build_parser in archiver.py of borg 1.2
 * and 1.4), so that a value is not taken for the repository. A test compares them with the borg that is installed.
 */
export const optionsWithValue: readonly string[] = [
  // of every command
  ...["--debug-topic", "--debug-profile", "--lock-wait", "--umask", "--remote-path", "--rsh"],
  ...["--remote-ratelimit", "--upload-ratelimit", "--remote-buffer", "--upload-buffer"],
  // which archives, which files
  ...["-P", "--prefix", "-a", "--glob-archives", "--sort-by", "--first", "--last"],
  ...["--older", "--newer", "--oldest", "--newest"],
  ...["-e", "--exclude", "--exclude-from", "--exclude-if-present", "--pattern", "--patterns-from"],
  ...["--filter", "--format", "--strip-components"],
  // what is written, and how
  ...["-c", "--checkpoint-interval", "--checkpoint-volume", "--chunker-params", "-C", "--compression"],
  ...["--comment", "--timestamp", "--files-cache", "--files-changed", "--paths-delimiter", "--recompress"],
  ...["--stdin-group", "--stdin-mode", "--stdin-name", "--stdin-user", "--tar-filter", "--target"],
  // check, compact, init, mount, prune
  ...["--max-duration", "--threshold", "--encryption", "--storage-quota", "-o"],
  ...["--keep-within", "--keep-last", "--keep-secondly", "--keep-minutely", "-H", "--keep-hourly"],
  ...["-d", "--keep-daily", "-w", "--keep-weekly", "-m", "--keep-monthly", "-y", "--keep-yearly"],
  ...["--keep-13weekly", "--keep-3monthly"],
  // debug dump-repo-objs
  ...["--segment", "--offset"],
];

/** `borg config` has flags of these names. */
const flagsOfConfig = ["-c", "-d"];

/** The only option without a value whose name is the beginning of one with a value. */
const debug = "--debug";

/** Commands of two words. */
const groups = ["benchmark", "debug", "key"];

/** Commands that take no repository. */
const withoutRepository = ["help", "serve", "umount", "debug info", "debug convert-profile"];

/** The word that means every repository. */
const all = /^all(?=$|::)/;

/**
 * From the words of a borg command for all repositories, makes those for one of them. `all`, or `all::ARCHIVE`, means all
 * of them where borg takes a repository: as the first word after the command that is neither an option nor an option's
 * value. Anywhere else, such as for the new name of an archive, it is a word like any other.
 * @param words as they come after "borg"
 * @returns null if the command is not for all
 */
export function forAll(words: readonly string[]): ((repository: string) => string[]) | null {
  const at = readCommand(words).repository;
  if (at === null || !all.test(words[at] ?? "")) return null;
  // borg replaces words in braces (placeholders) by a time, a host's name and the like. Doubled braces are plain ones.
  return (repository) =>
    words.map((word, i) => (i === at ? word.replace(all, () => repository.replace(/[{}]/g, "$&$&")) : word));
}

/** The parts of a borg command. */
export interface BorgCommand {
  /** One word, or two as in "key export"; empty if there is none. */
  name: string;
  /** The position of its repository, or null. */
  repository: number | null;
  /** The words that are neither of these: options, their values, paths, names. */
  others: string[];
}

/** Finds the parts of a borg command. */
export function readCommand(words: readonly string[]): BorgCommand {
  const command: string[] = [];
  const others: string[] = [];
  let options = true;
  let repository: number | null = null;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (options && word === "--") options = false;
    else if (options && /^-./s.test(word)) {
      others.push(word);
      if (takesNextWord(word, command[0])) others.push(words[++at] ?? "");
    } else if (command.length === 0 || (command.length === 1 && groups.includes(command[0] ?? "")))
      command.push(word);
    else if (repository === null && !withoutRepository.includes(command.join(" "))) repository = at;
    else others.push(word);
  }
  return { name: command.join(" "), repository, others };
}

/** Whether an option's value is the next word. borg accepts any beginning of a name, and several short options in one word (argparse). */
function takesNextWord(word: string, command: string | undefined): boolean {
  const names =
    command === "config"
      ? optionsWithValue.filter((name) => !flagsOfConfig.includes(name))
      : optionsWithValue;
  if (word.startsWith("--"))
    return !word.includes("=") && word !== debug && names.some((name) => name.startsWith(word));
  for (let at = 1; at < word.length; at++) if (names.includes(`-${word[at]}`)) return at === word.length - 1;
  return false;
}
