import { Machine, type Result } from "../machine/machine.ts";

/** All capabilities that a server needs. */
export const capabilities = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "KILL",
  "NET_BIND_SERVICE",
  "SETGID",
  "SETUID",
  "SYS_CHROOT",
];

/** Containers of the image in a machine of their own; each server on its own port of 127.0.0.1. */
export class Containers {
  readonly machine: Machine;

  private constructor(machine: Machine) {
    this.machine = machine;
  }

  static async start(): Promise<Containers> {
    return new Containers(await Machine.startPodman());
  }

  stop(): Promise<void> {
    return this.machine.stop();
  }

  /** Runs a shell command beside the containers. */
  ok(command: string): Promise<string> {
    return this.machine.ok(command);
  }

  run(command: string): Promise<Result> {
    return this.machine.run(command);
  }

  /**
   * Starts a server, with the folders /NAME/sshkeys and /NAME/repos, and waits until it accepts connections. Commands alone
   * change what it serves, unless an option sets WATCH_EVERY.
   */
  async serve(name: string, port: number, options = ""): Promise<void> {
    await this.ok(`mkdir -p /${name}/sshkeys/repos /${name}/repos`);
    await this.ok(
      `podman run --detach --name ${name} --publish 127.0.0.1:${port}:22 --volume /${name}/sshkeys:/sshkeys --volume /${name}/repos:/repos --env WATCH_EVERY=off ${options} localhost/borgserver`,
    );
    await this.listening(name);
  }

  /** Waits until a server accepts connections. */
  async listening(name: string): Promise<void> {
    const { code } = await this.run(
      `for i in $(seq 150); do
         podman exec ${name} /usr/local/lib/borgserver/health >/dev/null 2>&1 && exit 0
         [ "$(podman inspect --format '{{.State.Status}}' ${name})" = running ] || exit 1
         sleep 0.2
       done
       exit 1`,
    );
    if (code !== 0) throw new Error(`${name} does not serve:\n${await this.log(name)}`);
  }

  async log(name: string): Promise<string> {
    return this.ok(`podman logs ${name} 2>&1`);
  }

  exec(name: string, command: string): Promise<Result> {
    return this.run(`podman exec ${name} ${command}`);
  }

  /** Pins a server's host keys for the clients of this machine. */
  async pin(name: string, port: number): Promise<void> {
    await this.ok(`podman exec ${name} borgserver known-hosts 127.0.0.1:${port} >>/client/known_hosts`);
  }

  /** Sends a signal to the sshd that listens, and to no other process. */
  async signalSshd(name: string, signal: string): Promise<void> {
    const processes = (await this.exec(name, "sh -c 'grep -lx sshd /proc/[0-9]*/comm'")).stdout;
    const pids = [...processes.matchAll(/^\/proc\/([0-9]+)\/comm$/gm)].map((match) => Number(match[1]));
    // A container that ends takes the program that sent the signal along: podman then says 137.
    const { code } = await this.exec(name, `sh -c 'kill -${signal} ${Math.min(...pids)}'`);
    if (code !== 0 && code !== 137) throw new Error(`SIG${signal} did not reach the sshd of ${name}`);
  }

  /** Drops a client key into /NAME/sshkeys/FILE. */
  async drop(name: string, file: string, key: string): Promise<void> {
    await this.ok(
      `mkdir -p $(dirname /${name}/sshkeys/${file}) && cat /client/${key}.pub >>/${name}/sshkeys/${file}`,
    );
  }

  async inspect(name: string, field: string): Promise<string> {
    return (await this.ok(`podman inspect --format '{{${field}}}' ${name}`)).trim();
  }

  /** A backup over ssh that goes on until something is written to /client/NAME-more. @returns its end */
  async longBackup(name: string, key: string, repository: string): Promise<{ ended: Promise<Result> }> {
    await this.ok(`rm -f /client/${name}-more; mkfifo /client/${name}-more`);
    const ended = this.machine.run(
      `{ head -c 1000000 /dev/urandom; cat /client/${name}-more; } | borg create ${repository}::{now:%s%f} -`,
      { env: this.machine.client(key) },
    );
    const folder = new URL(repository).pathname.split("/").at(-1);
    await this.ok(`until [ -e /${name}/repos/${folder}/lock.exclusive ]; do sleep 0.1; done`);
    return { ended };
  }
}
