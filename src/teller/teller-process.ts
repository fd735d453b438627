import { type ChildProcess, spawn } from "node:child_process";
import type { Message } from "../alerts/message.ts";
import { jsonObject } from "../json-object.ts";
import { libraryFolder } from "../paths.ts";
import { heading, note } from "../report.ts";
import { readFewLines } from "./few-lines.ts";
import { ordersAtOnce } from "./sender.ts";

/** Something that the teller is to send. */
export type Order = ({ send: Message & { urls: string[] } } | { ping: { url: string; failed: boolean } }) & {
  /** Whether it may go to an address of this machine, or of its link. */
  private: boolean;
};

/** How many lines a minute are taken from it: a busy one says fewer. */
const mostAnswers = 1000;
const mostRemarks = 20;

/** How long an order may take, in milliseconds: one that does not answer then is ended. It gives up on an address sooner. */
const patience = 120_000;

/** How long one that ended soon is left alone, in milliseconds: twice as long each time. */
const shortest = 1000;
const longest = 60_000;

/** The process that speaks with the world (teller/tell.ts): started when it is needed, and again when it ends. */
export class TellerProcess {
  readonly #listen: string | null;
  readonly #onEnd: (how: string, pause: number) => void;
  #process: ChildProcess | null = null;
  #startable = 0;
  #pause = shortest;
  #next = 1;
  /** Whether it has been said that it serves no page. */
  #hasFailed = false;
  readonly #open = new Map<number, (reason: string | null | undefined) => void>();

  /**
   * @param listen where it serves the page and the metrics; null if it only sends
   * @param onEnd called where it has ended by itself, with its exit code or signal, and after which pause, in milliseconds,
   *   it may be started again
   */
  constructor(listen: string | null, onEnd: (how: string, pause: number) => void) {
    this.#listen = listen;
    this.#onEnd = onEnd;
  }

  get isBusy(): boolean {
    return this.#open.size >= ordersAtOnce;
  }

  /** How long it is not to be started yet, in milliseconds. */
  rests(now: number): number {
    return this.#process ? 0 : Math.max(0, this.#startable - now);
  }

  /** Has it run. @param now in milliseconds, from any beginning */
  start(now: number): void {
    if (this.#process || now < this.#startable) return;
    const child = spawn("/usr/bin/python3", ["-I", `${libraryFolder}/teller.py`], {
      stdio: "pipe",
      env: {},
      cwd: "/",
    });
    this.#process = child;
    this.#hasFailed = false;
    readFewLines(
      child.stdout,
      mostAnswers,
      (line) => this.#answered(line),
      () => child.kill("SIGKILL"),
    );
    readFewLines(child.stderr, mostRemarks, heading, () =>
      note("what the teller says beyond that is left out"),
    );
    child.stdin.on("error", () => {}); // it has ended, and its exit says so
    child.on("error", () => {});
    child.on("close", (code, signal) => this.#ended(child, now, signal ?? `${code}`));
    this.#write({ listen: this.#listen });
  }

  /** Lets it end when it has done what it was given, where it serves no page. */
  rest(): void {
    if (this.#listen !== null || this.#open.size > 0) return;
    this.#process?.stdin?.end();
  }

  /** @returns null if it was sent, undefined if that is not known because the teller ended, else why it was not */
  give(order: Order): Promise<string | null | undefined> {
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve) => {
      const child = this.#process;
      const deadline = setTimeout(() => child?.kill("SIGKILL"), patience);
      this.#open.set(id, (result) => {
        clearTimeout(deadline);
        resolve(result);
      });
      this.#write({ id, ...order });
    });
  }

  #write(value: unknown): void {
    this.#process?.stdin?.write(`${JSON.stringify(value)}\n`);
  }

  /** Nothing that it says is trusted: taken over, it can say that it has sent what it has not. */
  #answered(line: string): void {
    const said = jsonObject(line);
    if (said === null) return;
    if (typeof said.failed === "string" && !this.#hasFailed) {
      this.#hasFailed = true;
      note(`the page cannot be served: ${said.failed.slice(0, 200)}`);
    }
    const settle = this.#open.get(said.id as number);
    if (!settle) return;
    this.#open.delete(said.id as number);
    const [reason] = Array.isArray(said.results) ? said.results : ["it did not say how it went"];
    settle(reason === null ? null : `${reason}`.slice(0, 200));
  }

  #ended(child: ChildProcess, begun: number, how: string): void {
    if (this.#process !== child) return;
    this.#process = null;
    const now = performance.now();
    const isResting = this.#listen === null && this.#open.size === 0 && how === "0";
    if (!isResting) {
      this.#pause = now - begun > longest ? shortest : Math.min(2 * this.#pause, longest);
      this.#startable = now + this.#pause;
      this.#onEnd(how, this.#pause);
    }
    for (const settle of this.#open.values()) settle(undefined);
    this.#open.clear();
  }
}
