import { Command, CommanderError, Help, InvalidArgumentError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { exitCode, OperatorError } from "../problem.ts";
import { note, reportFailure, say, sayText } from "../report.ts";
import { backgroundCommand } from "../repositories/strange-entries.ts";
import { inForce } from "../server/in-force.ts";
import { endAllSessions } from "../sessions/session-end.ts";
import { runBorg } from "./borg.ts";
import { checkFiles, dryRun, rebuildIndex, update } from "./change.ts";
import { find } from "./find.ts";
import { importKeys } from "./import.ts";
import { printKnownHosts } from "./known-hosts.ts";
import { list } from "./list.ts";
import { listManifests, restoreManifest } from "./manifests.ts";
import { notifyTest } from "./notify-test.ts";
import { ownStatus, type Shown, sessions, status } from "./status.ts";

/** Names under which the program is on PATH besides its own. Every other name is a borg command (libexec/install). */
const commandNames = ["index", "update-borgusers", "status"];

/**
 * Runs an operator's command.
 * @param name the name the program was called by
 * @returns the exit code
 */
export async function run(name: string, words: string[]): Promise<number> {
  // Other accounts must be able to reach what is made here, whatever umask the shell or container had.
  process.umask(0o022);
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
  /** A command's action, whose exit code is the program's. */
  const ending =
    <Words extends unknown[]>(action: (...words: Words) => number | Promise<number>) =>
    async (...words: Words) => {
      code = await action(...words);
    };

  const program = new Command("borgserver")
    .usage("COMMAND")
    .description("Operates an SSH server for BorgBackup repositories.")
    .version(packageJson.version)
    .configureHelp({
      showGlobalOptions: false,
      visibleCommands: listed,
      subcommandTerm: usageOf,
      commandUsage: usageOf,
    })
    .addHelpText("after", exitCodeHelp)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => sayText(1, text),
      writeErr: (text) => sayText(2, text),
      outputError: (text) =>
        note(
          text
            .trim()
            .replace(/^error: /, "")
            .replace("\n", " "),
          "See borgserver --help.",
        ),
    })
    .exitOverride();

  program
    .command("update-borgusers")
    .usage("[--dry-run]")
    .summary("take up all changes in /sshkeys")
    .description(
      "Takes up all changes in /sshkeys at once, by the content of every file, also the removal of many accounts, which the server does not take up by itself: publishes keys and accounts, makes repository directories, and ends what removed keys and accounts still have open.",
    )
    .option("--dry-run", "print what would be done, changing nothing")
    .addHelpText("after", example("docker exec borgserver update-borgusers --dry-run"))
    .action(ending((options: { dryRun?: boolean }) => (options.dryRun ? dryRun() : update())));
  const index = program
    .command("index")
    .usage("COMMAND")
    .description("Publishes, checks and shows the index that decides logins.")
    .addHelpText("after", example("docker exec borgserver index list"));
  index
    .command("rebuild")
    .usage("[--full]")
    .summary("publish changed keys alone")
    .description(
      "Reads the files in /sshkeys that changed, and publishes their keys and accounts. The next login sees them, and what removed keys still have open is ended. Makes no repository directories, as update-borgusers does.",
    )
    .option("--full", "read every file again, also those that look unchanged")
    .addHelpText("after", example("docker exec borgserver index rebuild"))
    .action(ending((options: { full?: boolean }) => rebuildIndex(options.full === true)));
  index
    .command("check")
    .summary("validate /sshkeys, changing nothing")
    .description(
      "Validates every file in /sshkeys. Shows what is skipped, and how the published index differs from the files. Changes nothing.",
    )
    .addHelpText("after", example("docker exec borgserver index check"))
    .action(ending(checkFiles));
  index
    .command("list")
    .usage("[--json]")
    .summary("show accounts, roles and keys")
    .description("Shows the accounts of the published index, with their roles and keys.")
    .option("--json", "as JSON")
    .addHelpText("after", example("docker exec borgserver index list"))
    .action(ending((options: { json?: boolean }) => list(options.json === true)));
  index
    .command("find")
    .usage("FINGERPRINT|FILE")
    .summary("show which accounts a key opens")
    .description("Shows which accounts of the published index a key opens.")
    .argument("<fingerprint|file>", "SHA256:…, or a file with public keys; - reads them from standard input")
    .addHelpText("after", example("docker exec -i borgserver index find - <laptop.pub"))
    .action(ending((key: string) => find(key)));
  program
    .command("status")
    .usage("[NAME...] [--json] [--check]")
    .summary("show the state of repositories")
    .description(
      "Shows the last complete backup of each repository, its size, what a compaction would free, its quota, its last check, and who holds its lock. Needs no passphrase.",
    )
    .argument("[name...]", "repositories; all without one")
    .option("--json", "as JSON")
    .option("--check", "one line for each that needs attention, and exit code 5 if there is one")
    .addHelpText("after", example("docker exec borgserver status"))
    .action(ending((names: string[], options: Shown) => status(names, options)));
  program
    .command("sessions")
    .usage("[NAME...] [--json]")
    .summary("show what sessions did")
    .description(
      "Shows what the sessions of repositories did: when, who, what, how much, from where. The newest come first; those of the last 400 days are kept.",
    )
    .argument("[name...]", "repositories; all without one")
    .option("--json", "as JSON")
    .option("--limit <n>", "how many at most", wholeNumber, 1000)
    .addHelpText("after", example("docker exec borgserver borgserver sessions web01"))
    .action(
      ending((names: string[], options: { json?: boolean; limit: number }) => sessions(names, options)),
    );
  program
    .command("own-status", { hidden: true }) // libexec/resident.py's, for a client
    .argument("<account>")
    .option("--json")
    .action(ending((account: string, options: Shown) => ownStatus(account, options)));
  program
    .command("known-hosts")
    .usage("HOST[:PORT]")
    .summary("print known_hosts lines for clients")
    .description(
      "Prints known_hosts lines, so that clients know the server's host keys before they first connect.",
    )
    .argument("<host[:port]>", "what clients connect to")
    .addHelpText(
      "after",
      example("docker exec borgserver borgserver known-hosts backup.example.org:2222 >>~/.ssh/known_hosts"),
    )
    .action(ending((address: string) => printKnownHosts(address)));
  program
    .command("manifests")
    .usage("NAME [--restore N]")
    .summary("show kept manifests, put one back")
    .description(
      "Shows the last manifests of an append-only repository, in which it listed its archives, or puts one back: for when a client has written one that lists fewer.",
    )
    .argument("<name>", "the repository's name")
    .option("--restore <n>", "put this one back, as the list counts; needs no key")
    .addHelpText("after", example("docker exec borgserver borgserver manifests web01 --restore 2"))
    .action(
      ending((repository: string, options: { restore?: string }) =>
        options.restore === undefined
          ? listManifests(repository, inForce(process.env))
          : restoreManifest(repository, options.restore, inForce(process.env)),
      ),
    );
  program
    .command("notify-test")
    .summary("send a message to each address")
    .description(
      "Sends a message to each address of NOTIFY, and of notify in settings files, and says which were taken, and why others were not. The addresses of ping are not called: that would count as a backup.",
    )
    .addHelpText("after", example("docker exec borgserver borgserver notify-test"))
    .action(ending(notifyTest));
  program
    .command("import")
    .usage("FILE|FOLDER [--dry-run]")
    .summary("take over another server's keys")
    .description(
      "Reads another server's authorized_keys, its folder of key files, or BorgWarehouse's repo.json, and writes key files and settings for what its keys open. No file is replaced and no repository moved: the commands that move them are printed.",
    )
    .argument("<file|folder>", "- reads a file from standard input")
    .option("--dry-run", "print the same, writing nothing")
    .addHelpText("after", example("docker exec -i borgserver borgserver import - <authorized_keys"))
    .action(
      ending((source: string, options: { dryRun?: boolean }) =>
        importKeys(source, options.dryRun === true, inForce(process.env)),
      ),
    );
  program
    .command("borg")
    .usage("COMMAND ...")
    .summary("run borg as the repositories' owner")
    .description(
      'Runs a borg command as the owner of the repositories, confined to the repository that its words name. "all" in place of the repository runs it for every one.',
    )
    .argument("[words...]", "as they come after borg")
    .addHelpText("after", example("docker exec borgserver check all"))
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(ending((words: string[]) => runBorg(words, inForce(process.env))));
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
    .command("remove-old-accounts", { hidden: true }) // the installation's
    .action(
      ending(async () => {
        const { removeOldAccounts } = await import("../accounts/old-accounts.ts");
        removeOldAccounts();
        return exitCode.done;
      }),
    );
  program
    .command("stop", { hidden: true }) // the entrypoint's, after it ended sshd
    .action(() => {
      const reason = endAllSessions();
      if (reason) note(reason);
    });
  program
    .command("health", { hidden: true }) // the health check's
    .action(
      ending(async () => {
        const { health } = await import("../server/health.ts");
        const reason = health();
        if (reason) say(reason);
        return reason ? exitCode.failed : exitCode.done;
      }),
    );
  program
    .command(backgroundCommand, { hidden: true }) // what a start leaves behind
    .action(async () => {
      const { reportStrangeEntries } = await import("../server/start.ts");
      await reportStrangeEntries();
    });
  program
    .command("authorized-keys", { hidden: true }) // sshd's; with two words it never comes here (main.ts)
    .argument("[words...]")
    .action(() => {
      throw new OperatorError(
        "authorized-keys takes an account and a fingerprint",
        "Only sshd calls it. To see what a key opens: index find",
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

function wholeNumber(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It takes a number, such as 100.");
}

const exitCodeHelp = `
Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  problems in /sshkeys; all are listed, and the last good index stays in use
  4  problems with settings or host keys
  5  something needs attention (status --check)

${example("docker exec borgserver update-borgusers").trimStart()}`;

function example(command: string): string {
  return `\nExample:\n  ${command}`;
}

/** The commands that a command's help lists: those that do something, whatever group they are in. */
function listed(command: Command): Command[] {
  return new Help()
    .visibleCommands(command)
    .filter((each) => each.name() !== "help")
    .flatMap((each) => (each.commands.length > 0 ? listed(each) : [each]));
}

/** A command as operators type it: some are on PATH by their own name, the others follow the program's. */
function usageOf(command: Command): string {
  const names: string[] = [];
  for (let each: Command | null = command; each; each = each.parent) names.unshift(each.name());
  const typed = commandNames.includes(names[1] ?? "") ? names.slice(1) : names;
  return `${typed.join(" ")} ${command.usage().replace("[options]", "")}`.trim();
}
