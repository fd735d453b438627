import { type FSWatcher, watch } from "node:fs";
import { reasonOf } from "../failure.ts";
import { accountsServed } from "../index/read.ts";
import { repositoryOf } from "../keys/account.ts";
import { Ledger } from "../ledger/ledger.ts";
import { readStates } from "../ledger/reader.ts";
import { forgetOldRecords, makeOwnRecords, ownRecords, takeRecords } from "../ledger/records.ts";
import type { Owner } from "../owner.ts";
import { indexFile, ledgerFile } from "../paths.ts";
import { note } from "../report.ts";

/** In milliseconds: how soon after a session's end its record is taken up, and how often other nodes' are looked for. */
const soon = 200;
const often = 30_000;
const day = 24 * 3600 * 1000;

/** How many repositories are read in one run of the reader. */
const batch = 1000;

/**
 * Keeps the ledger: takes up what sessions left, and looks at the repositories that they opened. All of them are looked
 * at when it starts; from then on a repository is touched only if a session opened it, so that disks may sleep.
 */
class LedgerKeeper {
  readonly #owner: Owner;
  readonly #ledger: Ledger;
  #watcher: FSWatcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #said = "";
  #forgot = 0;

  private constructor(owner: Owner, ledger: Ledger) {
    this.#owner = owner;
    this.#ledger = ledger;
  }

  /** Starts. What fails is said, once, and tried again. */
  static start(owner: Owner): void {
    const { ledger, aside } = Ledger.open(ledgerFile);
    if (aside)
      note(`the ledger was damaged and is now ${aside}`, "It is made anew from the sessions' records.");
    const keeper = new LedgerKeeper(owner, ledger);
    keeper.#watch();
    keeper.#lookAtAll();
    setInterval(() => keeper.#look(), often);
  }

  #lookAtAll(): void {
    this.#then(async () => {
      takeRecords(this.#ledger, this.#owner);
      const repositories = servedRepositories();
      this.#ledger.forgetStates(repositories);
      await this.#read(repositories);
    });
  }

  /** Looks for records, and at what those sessions opened. */
  #look(): void {
    this.#watch();
    this.#then(async () => {
      const opened = takeRecords(this.#ledger, this.#owner);
      if (Date.now() - this.#forgot > day) {
        this.#forgot = Date.now();
        forgetOldRecords(this.#ledger, this.#owner, this.#forgot);
      }
      const states = this.#ledger.states();
      const served = servedRepositories();
      await this.#read(served.filter((name) => opened.has(name) || !states.has(name)));
    });
  }

  async #read(repositories: readonly string[]): Promise<void> {
    for (let at = 0; at < repositories.length; at += batch) {
      const states = await readStates(repositories.slice(at, at + batch), this.#ledger.states());
      this.#ledger.keepStates(states, Date.now());
    }
  }

  /** One after the other. */
  #then(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work).then(
      () => {
        this.#said = "";
      },
      (error) => {
        const reason = reasonOf(error);
        if (reason !== this.#said) note(`the ledger cannot be kept at the moment: ${reason}`);
        this.#said = reason;
      },
    );
  }

  /** Has the system tell when this node's records change. */
  #watch(): void {
    if (this.#watcher) return;
    try {
      makeOwnRecords(this.#owner);
      this.#watcher = watch(ownRecords(), (_, name) => {
        if (name !== null && !name.endsWith(".jsonl")) return;
        this.#timer ??= setTimeout(() => {
          this.#timer = null;
          this.#look();
        }, soon);
      });
      this.#watcher.on("error", () => this.#unwatch());
    } catch {
      // Where nothing can be written, or the system has no watch left, it looks every now and then.
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = null;
  }
}

/** Keeps the ledger. Throws if it cannot be opened; what fails later is said and tried again. */
export function keepLedger(owner: Owner): Promise<never> {
  LedgerKeeper.start(owner);
  return new Promise<never>(() => {});
}

/** The names of the repositories that accounts open, each once. */
function servedRepositories(): string[] {
  const names = accountsServed(indexFile)
    .map(repositoryOf)
    .filter((name) => name !== null);
  return [...new Set(names)].sort();
}
