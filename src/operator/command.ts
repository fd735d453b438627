import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Command, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { readAccountFiles } from "../accounts/account-files.ts";
import { inStep } from "../accounts/account-plan.ts";
import { compare, formatDifference } from "../index/difference.ts";
import { readIndex } from "../index/read.ts";
import type { IndexContent } from "../keys/gather.ts";
import { parseKeyFile } from "../keys/key-file.ts";
import { isRoot } from "../owner.ts";
import { hostKeyFolder, indexFile, lockFile, runFolder } from "../paths.ts";
import { exitCode, OperatorError, ProblemsFound } from "../problem.ts";
import { note, reportFailure, say, sayJson, sayText } from "../report.ts";
import { blockedLines } from "../repositories/repositories.ts";
import { backgroundCommand } from "../repositories/strange-entries.ts";
import { knownHosts, readHostKeys } from "../server/host-keys.ts";
import { withLock } from "../server/lock.ts";
import { checkedContent, countKeys, publish, summary } from "../server/rebuild.ts";
import { settingsInForce, settingsOfStart } from "../server/settings-in-force.ts";
import { applyUpdate, planUpdate, printUpdate, strangeRemarks } from "../server/update.ts";
import { linesOf, openConnections, opensByAccounts, revokedConnections } from "../sessions/connections.ts";
import { endAllSessions, endRevokedConnections } from "../sessions/session-end.ts";
import { runBorg } from "./borg.ts";

/** Names under which the program is on PATH beside its own. Every other name is a borg command (scripts/install). */
const commandNames = ["index", "update-borgusers"];

/**
 * Runs an operator's command.
 * @param name the name the program was called by
 * @returns the exit code
 */
export async function run(name: string, words: string[]): Promise<number> {
  process.umask(0o022); // accounts other than root's must reach what they shall, whatever the shell's or container's was
  try {
    if (name === "borgserver") return await runCommand(words);
    if (commandNames.includes(name)) return await runCommand([name, ...words]);
    return await runCommand(name === "borg" ? [name, ...words] : ["borg", name, ...words]);
  } catch (error) {
    return reportFailure(error);
  }
}

async function runCommand(words: string[]): Promise<number> {
  let code: number = exitCode.done;
  const finish = (result: number) => {
    code = result;
  };

  const program = new Command("borgserver")
    .description("SSH server for BorgBackup repositories: operator's commands.")
    .version(packageJson.version)
    .configureHelp({ showGlobalOptions: false })
    .addHelpText("after", exitCodeHelp)
    .enablePositionalOptions()
    .configureOutput({ writeOut: (text) => sayText(1, text), writeErr: (text) => sayText(2, text) })
    .exitOverride();

  const index = program.command("index").description("the index that decides logins");
  index
    .command("rebuild")
    .description("read /sshkeys and publish a new index; the next login sees it")
    .option("--full", "read every file again, also those that look unchanged")
    .action((options: { full?: boolean }) => finish(rebuild(options.full === true)));
  index
    .command("check")
    .description("the same validation, what is skipped, and whether the index differs; nothing is written")
    .action(() => finish(check()));
  index
    .command("list")
    .description("accounts, roles and keys of the published index")
    .option("--json", "as JSON")
    .action((options: { json?: boolean }) => finish(list(options.json === true)));
  index
    .command("find")
    .description("which accounts a key opens")
    .argument("<fingerprint|file>", "SHA256:…, or a file with public keys; - reads them from standard input")
    .action((key: string) => finish(find(key)));
  program
    .command("update-borgusers")
    .description("index rebuild, then accounts and repository directories")
    .option("--dry-run", "print what would be done; nothing is changed")
    .action(async (options: { dryRun?: boolean }) => finish(await (options.dryRun ? dryRun() : update())));
  program
    .command("known-hosts")
    .description("known_hosts lines for clients to pin, before they first connect")
    .argument("<host[:port]>", "what clients connect to")
    .action((address: string) => finish(printKnownHosts(address)));
  program
    .command("borg")
    .description('run a borg command as the owner of the repositories; "all" stands for each repository')
    .usage("COMMAND [ARGUMENT...]")
    .argument("[words...]")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: string[]) =>
      finish(await runBorg(words, settingsInForce(process.env), settingsOfStart() !== null)),
    );
  program
    .command("prepare", { hidden: true }) // the entrypoint's, before it starts sshd with these options
    .argument("[options...]")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (options: string[]) => {
      const { prepareStart } = await import("../server/start.ts"); // what a start needs, no other command has to load
      await prepareStart(process.env, options);
    });
  program
    .command("stop", { hidden: true }) // the entrypoint's, after it ended sshd
    .action(() => finish(stop()));
  program
    .command("health", { hidden: true }) // the health check's
    .action(async () => finish(await checkHealth()));
  program
    .command(backgroundCommand, { hidden: true }) // what a start leaves behind
    .action(async () => {
      const { reportStrangeEntries } = await import("../server/start.ts");
      await reportStrangeEntries();
    });
  program
    .command("authorized-keys")
    .description("the answer to a login; called by sshd alone")
    .usage("USER FINGERPRINT")
    .argument("[words...]")
    .action(() => {
      throw new OperatorError(
        "authorized-keys takes an account and a fingerprint",
        "sshd calls it; to see what a key opens: index find",
        exitCode.usage,
      );
    });

  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed the help or the mistake already.
    return error.exitCode === 0 ? exitCode.done : exitCode.usage;
  }
  return code;
}

const exitCodeHelp = `
Exit codes: 0 done, 1 failed, 2 usage, 3 problems in /sshkeys (all are listed; the old index still serves),
4 problems with host keys or settings.`;

function rebuild(full: boolean): number {
  const { content, keys } = withLock(lockFile, () => {
    const { content } = checkedContent(settingsInForce(process.env), full ? "nothing" : "stat");
    return { content, keys: publish(content) };
  });
  say(`index: ${summary(content, keys)}`);
  if (!inStep(readAccountFiles(), content.accounts, content.settings.uid))
    note("accounts differ from the index; to bring them in step: update-borgusers");
  return endRevoked(content.settings.uid);
}

/** Ends what keys and accounts that are gone still have open, and says so. */
function endRevoked(owner: number): number {
  const { ended, left } = endRevokedConnections(owner);
  for (const line of linesOf(ended)) say(`${line} ended`);
  for (const line of linesOf(left))
    note(`${line} could not be ended; a restart of the container ends them all`);
  return left.length > 0 ? exitCode.failed : exitCode.done;
}

function stop(): number {
  const reason = endAllSessions();
  if (reason) note(reason);
  return exitCode.done;
}

async function checkHealth(): Promise<number> {
  const { health } = await import("../server/health.ts");
  const reason = health();
  if (reason) say(reason);
  return reason ? exitCode.failed : exitCode.done;
}

function check(): number {
  const { content, skipped } = checkedContent(settingsInForce(process.env), "nothing");
  say(`no problems: ${summary(content, countKeys(content))}`);
  for (const path of skipped) say(`skipped: ${path}`);
  const difference = publishedDifference(content);
  if (difference)
    note(`the published index ${difference}. To publish what the files say: index rebuild --full`);
  return exitCode.done;
}

/** How the published index differs from these files; null where it says the same, and before a first start. */
function publishedDifference({ accounts }: IndexContent): string | null {
  if (!existsSync(indexFile)) return settingsOfStart() ? "is missing" : null;
  try {
    const difference = formatDifference(compare(accounts, readIndex(indexFile)));
    return difference && `differs from the files (${difference})`;
  } catch (error) {
    return `cannot answer: ${(error as Error).message}`;
  }
}

/** How long an update looks into repositories, in milliseconds. */
const patience = 2000;

const tooMuch = [
  "there is too much in the repositories to look at all of it here; commands on all look at each one's files",
];

async function update(): Promise<number> {
  const { content, keys, ...done } = withLock(lockFile, () => {
    const { content } = checkedContent(settingsInForce(process.env), "content");
    return { content, keys: publish(content), ...applyUpdate(content) };
  });
  say(`index: ${summary(content, keys)}`);
  for (const line of printUpdate(done)) say(line);
  const code = endRevoked(content.settings.uid);
  for (const line of [
    ...done.failures,
    ...done.remarks,
    ...((await strangeRemarks(done, content.settings, patience)) ?? tooMuch),
  ])
    note(line);
  return done.failures.length > 0 ? exitCode.failed : code;
}

async function dryRun(): Promise<number> {
  const { content } = checkedContent(settingsInForce(process.env), "nothing");
  const plan = planUpdate(content);
  const revoked = revokedConnections(
    openConnections(content.settings.uid),
    opensByAccounts(content.accounts),
  );
  const lines = [...printUpdate(plan), ...linesOf(revoked).map((line) => `${line} ended`)];
  const failures = blockedLines(plan.repositories);
  const remarks = [...plan.remarks, ...((await strangeRemarks(plan, content.settings, patience)) ?? tooMuch)];
  say(`index: ${summary(content, countKeys(content))}`);
  for (const line of lines) say(`would be: ${line}`);
  for (const line of [...failures, ...remarks]) note(line);
  if (lines.length + failures.length + remarks.length === 0) say("accounts and repositories are in step");
  return failures.length > 0 ? exitCode.failed : exitCode.done;
}

function list(json: boolean): number {
  const accounts = publishedIndex();
  if (json) {
    const shown = accounts.map(({ name, role, source, keys }) => ({
      account: name,
      role,
      source,
      keys: keys.map(({ blob: _, ...key }) => key),
    }));
    sayJson(shown);
    return exitCode.done;
  }
  for (const { name, role, keys } of accounts) {
    say(`${name} (${role})`);
    for (const { fingerprint, type, comment, addresses, expires } of keys) {
      const limits = [addresses && `from ${addresses}`, expires && `until ${expires}`]
        .filter(Boolean)
        .map((limit) => ` (${limit})`);
      say(`  ${fingerprint} ${type}${comment && ` ${comment}`}${limits.join("")}`);
    }
  }
  if (accounts.length === 0) note("the index holds no accounts");
  return exitCode.done;
}

function find(key: string): number {
  const accounts = publishedIndex();
  for (const fingerprint of fingerprintsIn(key)) {
    const opened = accounts.filter(({ keys }) => keys.some((key) => key.fingerprint === fingerprint));
    const names = opened.map(({ name, role }) => `${name} (${role})`);
    say(`${fingerprint} opens ${names.length > 0 ? names.join(", ") : "no account"}`);
  }
  return exitCode.done;
}

function fingerprintsIn(key: string): string[] {
  if (/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(key)) return [key.replace(/=$/, "")];
  let content: Buffer;
  try {
    content = readFileSync(key === "-" ? 0 : key);
  } catch (error) {
    throw new OperatorError(
      `${key} is neither a SHA256 fingerprint nor a file that can be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  const { keys, problems } = parseKeyFile(key === "-" ? "standard input" : key, content);
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.failed);
  return keys.map(({ fingerprint }) => fingerprint);
}

function publishedIndex() {
  try {
    return readIndex(indexFile);
  } catch (error) {
    throw new OperatorError(
      `the index ${indexFile} cannot answer: ${(error as Error).message}`,
      isRoot() ? "To build it anew: index rebuild --full" : "Only root and the login program may read it.",
    );
  }
}

function printKnownHosts(address: string): number {
  mkdirSync(runFolder, { recursive: true });
  const copies = mkdtempSync(`${runFolder}/known-hosts-`);
  try {
    const { keys, problems } = readHostKeys(hostKeyFolder, copies);
    if (problems.length > 0) throw new ProblemsFound(problems, exitCode.settingProblems);
    if (keys.length === 0)
      throw new OperatorError(
        `there is no host key in ${hostKeyFolder} yet`,
        "The first start of the server makes them.",
        exitCode.settingProblems,
      );
    const lines = knownHosts(address, keys);
    if (!lines) throw new OperatorError(`"${address}" is not HOST or HOST:PORT`, "", exitCode.usage);
    for (const line of lines) say(line);
    return exitCode.done;
  } finally {
    rmSync(copies, { recursive: true, force: true });
  }
}
