import { Command, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { exitCode, OperatorError } from "../problem.ts";
import { note, reportFailure, say, sayText } from "../report.ts";
import { backgroundCommand } from "../repositories/strange-entries.ts";
import { inForce } from "../server/in-force.ts";
import { endAllSessions } from "../sessions/session-end.ts";
import { runBorg } from "./borg.ts";
import { checkFiles, dryRun, rebuildIndex, update } from "./change.ts";
import { find } from "./find.ts";
import { printKnownHosts } from "./known-hosts.ts";
import { list } from "./list.ts";

/** Names under which the program is on PATH beside its own. Every other name is a borg command (libexec/install). */
const commandNames = ["index", "update-borgusers"];

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
    .action(ending((options: { full?: boolean }) => rebuildIndex(options.full === true)));
  index
    .command("check")
    .description("the same validation, what is skipped, and whether the index differs; nothing is written")
    .action(ending(checkFiles));
  index
    .command("list")
    .description("accounts, roles and keys of the published index")
    .option("--json", "as JSON")
    .action(ending((options: { json?: boolean }) => list(options.json === true)));
  index
    .command("find")
    .description("which accounts a key opens")
    .argument("<fingerprint|file>", "SHA256:…, or a file with public keys; - reads them from standard input")
    .action(ending((key: string) => find(key)));
  program
    .command("update-borgusers")
    .description("index rebuild, then accounts and repository directories")
    .option("--dry-run", "print what would be done; nothing is changed")
    .action(ending((options: { dryRun?: boolean }) => (options.dryRun ? dryRun() : update())));
  program
    .command("known-hosts")
    .description("known_hosts lines for clients to pin, before they first connect")
    .argument("<host[:port]>", "what clients connect to")
    .action(ending((address: string) => printKnownHosts(address)));
  program
    .command("borg")
    .description('run a borg command as the owner of the repositories; "all" stands for each repository')
    .usage("COMMAND [ARGUMENT...]")
    .argument("[words...]")
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
