import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { publish } from "../unit/teller/made-up.ts";

/** What the compiled program (serve.ts) serves of what these tests publish. */
export class Served {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly port: number;

  private constructor(process: ChildProcess, folder: string, port: number) {
    this.#process = process;
    this.#folder = folder;
    this.port = port;
  }

  static async start(): Promise<Served> {
    const folder = mkdtempSync(`${tmpdir()}/published-`);
    const program = spawn("build/serve-teller", ["127.0.0.1:0", folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const printed = await new Promise<string>((resolve, reject) => {
      program.stdout!.once("data", (chunk) => resolve(`${chunk}`));
      program.once("exit", () => reject(new Error("build/serve-teller does not serve")));
      program.once("error", reject);
    });
    return new Served(program, folder, JSON.parse(printed).port);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The number of its process. */
  get pid(): number {
    return this.#process.pid!;
  }

  publish(
    ...[state, sessions]: Parameters<typeof publish> extends [string, ...infer Rest] ? Rest : never
  ): void {
    publish(this.#folder, state, sessions);
  }

  stop(): void {
    this.#process.kill();
    rmSync(this.#folder, { recursive: true });
  }
}
