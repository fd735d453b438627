import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { accountId, idsForAccounts } from "../../src/accounts/account-id.ts";

const root = dirname(dirname(import.meta.dirname));
/** Programs that tests run in a machine, where all files of the outer machine are seen. */
export const programs = join(root, "test/programs");

export interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Options {
  env?: Record<string, string>;
  input?: string;
}

/** The numeric id that an account logs in as, where the machine has all ids. */
export const idOf = (name: string, owner = 1000) =>
  accountId(name, owner, idsForAccounts([{ first: 0, outside: 0, count: 2 ** 32 - 1 }]));

/** Messages of the program, each on one line: what to do behind what is wrong, also where it has a line of its own. */
export const unfolded = (text: string) => text.replaceAll("\n  ", ". ");

/** A throwaway machine (scripts/machine). */
export class Machine {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #pidFile: string;
  /** What the running server has printed since it was started. */
  log = "";
  #server: ChildProcess | null = null;

  private constructor(script: string, options: string[], prepare: string) {
    this.#folder = mkdtempSync(join(tmpdir(), "machine-"));
    this.#pidFile = join(this.#folder, "pid");
    // The first process reaps orphans, as a shell that waits does.
    const first = `${prepare} && echo ready && while sleep 3600; do :; done`;
    this.#process = spawn(
      join(root, "scripts", script),
      ["--net", "--pid-file", this.#pidFile, ...options, "sh", "-c", first],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
  }

  /**
   * A machine with borgserver installed.
   * @param binds folders of this machine to be seen there, each DIR:PATH
   * @param packages further Debian packages, separated by spaces
   */
  static start({ hostname = "backup", binds = [] as string[], packages = "" } = {}): Promise<Machine> {
    const options = ["--hostname", hostname, ...binds.flatMap((bind) => ["--bind", bind])];
    if (packages) options.push("--with", packages);
    return Machine.#start(new Machine("machine", options, `${root}/libexec/install`));
  }

  /** A machine with podman and the images that were built, and nothing installed. */
  static startPodman(): Promise<Machine> {
    return Machine.#start(new Machine("podman-machine", [], "true"));
  }

  static async #start(machine: Machine): Promise<Machine> {
    await new Promise<void>((resolve, reject) => {
      let printed = "";
      const read = (chunk: Buffer) => {
        printed += chunk;
        if (printed.includes("ready")) resolve();
      };
      machine.#process.stdout!.on("data", read);
      machine.#process.stderr!.on("data", read);
      machine.#process.on("exit", () => reject(new Error(`the machine did not start: ${printed}`)));
    });
    await machine.ok(
      `mkdir -p /client /sshkeys/repos /sshkeys/repos-appendonly /sshkeys/repos-restore /sshkeys/admins`,
    );
    return machine;
  }

  /** Ends everything that runs in the machine, and the machine. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.on("exit", resolve));
    this.#process.kill("SIGKILL"); // unshare --kill-child takes the rest along
    await ended;
    rmSync(this.#folder, { recursive: true });
  }

  /** Starts a shell command, without waiting for it. */
  spawn(command: string, { env = {} }: Pick<Options, "env"> = {}): ChildProcess {
    const clean = {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: "/client",
      ...env,
    };
    const words = [
      "--enter",
      this.#pidFile,
      "env",
      "-i",
      ...Object.entries(clean).map(([name, value]) => `${name}=${value}`),
    ];
    return spawn(join(root, "scripts/machine"), [...words, "sh", "-c", command], { stdio: "pipe" });
  }

  /** Runs a shell command as root and waits for it. */
  async run(command: string, options: Options = {}): Promise<Result> {
    const child = this.spawn(command, options);
    child.stdin!.on("error", () => {}); // a command may end without reading
    child.stdin!.end(options.input ?? "");
    return finished(child);
  }

  /** Runs a shell command that has to succeed. @returns what it printed */
  async ok(command: string, options: Options = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, options);
    if (code !== 0) throw new Error(`exit ${code} from: ${command}\n${stdout}${stderr}`);
    return stdout;
  }

  async write(path: string, content: string): Promise<void> {
    await this.ok(`mkdir -p "$(dirname '${path}')" && cat > '${path}'`, { input: content });
  }

  /**
   * Starts the server as the container does. Resolves when it listens, or with its exit where it does not start.
   * @param env also whether it watches its key folder: it does not otherwise, so that commands alone change it
   * @param options for sshd, instead of those that the container has
   */
  async startServer(env: Record<string, string> = {}, options = ""): Promise<Result | null> {
    this.log = "";
    const server = this.spawn(`exec /usr/local/lib/borgserver/entrypoint sshd ${options}`, {
      env: { WATCH_EVERY: "off", ...env },
    });
    server.stderr!.on("data", (chunk) => {
      this.log += chunk;
    });
    const exit = finished(server).then((result) => ({ ...result, stderr: this.log }));
    const ended = exit.then((result) => result);
    while (!this.log.includes("Server listening")) {
      const first = await Promise.race([ended, pause(20, null)]);
      if (first) return first;
    }
    this.#server = server;
    return null;
  }

  /**
   * Ends the server.
   * @param how a shell command that does it; as it stands, sshd and with it the rest
   * @returns its exit code, or null where none ran
   */
  async stopServer(how = "pkill -x -o sshd; sleep 0.2; pkill -x sshd || true"): Promise<number | null> {
    if (!this.#server) return null;
    const exit = finished(this.#server);
    await this.ok(how);
    this.#server = null;
    return (await exit).code;
  }

  /** Waits until the server's log matches; it runs behind what a client sees. */
  async logged(pattern: RegExp): Promise<void> {
    for (let tries = 0; tries < 500; tries++) {
      if (pattern.test(this.log)) return;
      await pause(20);
    }
    throw new Error(`the log does not match ${pattern}:\n${this.log}`);
  }

  /** Makes a client key pair. @returns its public line */
  async makeKey(name: string, type = "ed25519"): Promise<string> {
    await this.ok(`ssh-keygen -q -t ${type} -N '' -C ${name} -f /client/${name}`);
    return await this.ok(`cat /client/${name}.pub`);
  }

  /** Makes a client key pair for each of these files, and drops its public line there: "repos/web" is of the key "web". */
  async drop(...files: string[]): Promise<void> {
    for (const file of files) await this.write(`/sshkeys/${file}`, await this.makeKey(basename(file)));
  }

  /** The environment of a borg client that uses this key, with the host keys pinned. */
  client(key: string): Record<string, string> {
    return {
      PATH: "/usr/bin:/bin:/usr/local/bin", // a client's borg, not the server's
      BORG_RSH: `ssh ${sshOptions(key)}`,
      BORG_BASE_DIR: `/client/borg-${key}`,
      BORG_PASSPHRASE: "secret",
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
      BORG_RELOCATED_REPO_ACCESS_IS_OK: "yes",
      BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: "YES",
      BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: "YES",
    };
  }

  borg(key: string, command: string, input?: string): Promise<Result> {
    return this.run(`cd /client && borg ${command}`, {
      env: this.client(key),
      ...(input !== undefined && { input }),
    });
  }

  /** Runs ssh as a client with this key. */
  ssh(key: string, words: string): Promise<Result> {
    return this.run(`ssh ${sshOptions(key)} ${words}`);
  }

  /** Pins the host keys, as an operator hands them out. */
  async pinHostKeys(): Promise<void> {
    await this.ok("borgserver known-hosts 127.0.0.1 >/client/known_hosts");
  }
}

function sshOptions(key: string): string {
  return `-i /client/${key} -o IdentitiesOnly=yes -o UserKnownHostsFile=/client/known_hosts -o BatchMode=yes`;
}

export function finished(child: ChildProcess): Promise<Result> {
  return new Promise((resolve) => {
    let stdout = "";
    let stderr = "";
    child.stdout!.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr!.on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}
