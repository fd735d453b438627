import { type FSWatcher, statSync, watch } from "node:fs";
import { Ledger } from "../ledger/ledger.ts";
import { readStates } from "../ledger/reader.ts";
import { forgetOldRecords, makeOwnRecords, ownRecords, takeRecords } from "../ledger/records.ts";
import type { Owner } from "../owner.ts";
import { indexFile, ledgerFile } from "../paths.ts";
import { note } from "../report.ts";
import { addresses } from "../server/addresses.ts";
import type { Settings } from "../server/settings.ts";
import { Alarm } from "./alarm.ts";
import { Attempts } from "./attempts.ts";
import { inChild } from "./child.ts";
import type { KeyProblems } from "./key-problems.ts";
import type { Telling } from "./telling.ts";

/** In milliseconds: how soon after a session's end its record is taken up, and how often other nodes' are looked for. */
const soon = 200;
const often = 30_000;
/**
 * For how long a repository is looked at again whose files say less than its sessions, or were being written: on network
 * storage what another node wrote is seen some time later (nfs(5), acdirmax).
 */
const settling = 90_000;
/** How often repositories are looked at that could not be read, or that somebody writes to beside the sessions of servers. */
const seldom = 6 * 3600 * 1000;
const day = 24 * 3600 * 1000;

/** How many repositories are read in one run of the reader. */
const batch = 1000;

/** Keeps the ledger, and has told what it knows. Throws if it cannot be opened; what fails later is said once, and tried again. */
export async function keepLedger(settings: Settings, problems: KeyProblems): Promise<never> {
  const { ledger, aside } = Ledger.open(ledgerFile);
  if (aside)
    note(`the ledger was damaged and is now ${aside}`, "It is made anew from the sessions' records.");
  const keeper = new LedgerKeeper(settings, ledger, problems);
  for (;;) await keeper.look();
}

/**
 * Takes up what sessions left, and looks at the repositories that they opened. All of them are looked at when it starts;
 * from then on a repository is touched only for a reason, so that disks may sleep.
 */
class LedgerKeeper {
  readonly #owner: Owner;
  readonly #ledger: Ledger;
  #watcher: FSWatcher | null = null;
  readonly #alarm = new Alarm();
  /** The repositories that are to be looked at. */
  readonly #due = new Set<string>();
  /** Since when these are looked at again. */
  readonly #unsettled = new Map<string, number>();
  /** Which index it was that these were seen in. */
  #index = "";
  #nextUnexplained = 0;
  #nextForgetting = 0;
  readonly #taking = new Attempts(
    `what sessions did cannot be taken up into ${ledgerFile}`,
    "It is tried again every 30 seconds; logins and sessions go on.",
  );
  readonly #tellings = new Attempts(
    "what the server knows cannot be told",
    "It is tried again every 30 seconds; logins and sessions go on.",
  );
  readonly #settings: Settings;
  readonly #problems: KeyProblems;
  /** Null where nobody is told of anything. */
  #telling: Telling | null = null;

  constructor(settings: Settings, ledger: Ledger, problems: KeyProblems) {
    this.#settings = settings;
    this.#owner = settings.owner;
    this.#ledger = ledger;
    this.#problems = problems;
    problems.changed = () => this.#alarm.ring();
  }

  /** Does what is due, then waits until there may be more. */
  async look(): Promise<void> {
    this.#watch();
    await this.#taking.attempt(() => this.#doWhatIsDue(Date.now()));
    await this.#tellings.attempt(async () => this.#telling?.look(Date.now()));
    await this.#alarm.wait(Math.min(often, (this.#telling?.due ?? Number.POSITIVE_INFINITY) - Date.now()));
    await new Promise((resolve) => setTimeout(resolve, soon)); // others may end at the same time
  }

  async #doWhatIsDue(now: number): Promise<void> {
    const index = whichIndex();
    if (index !== this.#index) await this.#readIndex();
    const also = this.#telling?.takenUp.bind(this.#telling);
    for (const repository of takeRecords(this.#ledger, this.#owner, also)) this.#due.add(repository);
    if (now >= this.#nextForgetting) {
      this.#nextForgetting = now + day;
      forgetOldRecords(this.#ledger, this.#owner, now);
    }
    if (index !== this.#index) {
      const which = this.#index === "" ? "all" : "new";
      const names = await inChild<string[]>("repositories", which);
      if (which === "all") this.#ledger.forgetStates(names);
      for (const name of names) this.#due.add(name);
      this.#index = index;
    }
    if (now >= this.#nextUnexplained) {
      this.#nextUnexplained = now + seldom;
      for (const name of this.#ledger.unexplained()) this.#due.add(name);
    }
    await this.#read(now);
    this.#telling?.looked();
  }

  /** Another index may say that somebody is to be told. What tells them is loaded only then. */
  async #readIndex(): Promise<void> {
    const { statusListen, metricsFile } = this.#settings;
    const found = addresses();
    const isWanted = statusListen !== null || metricsFile !== null || found.operator.length > 0;
    if (!this.#telling && (isWanted || Object.keys(found.accounts).length > 0)) {
      const { Telling } = await import("./telling.ts");
      this.#telling = new Telling(this.#settings, this.#ledger, this.#problems);
    }
    this.#telling?.readIndex(found);
  }

  async #read(now: number): Promise<void> {
    if (this.#due.size === 0) return;
    for (const names of batches([...this.#due].sort())) {
      const looks = await readStates(names, this.#ledger.states(names));
      const isWaitedFor = (name: string) => now < (this.#unsettled.get(name) ?? now) + settling;
      // What could not be read for a moment takes nothing away that is known.
      const moved = looks
        .filter(({ state, isPassing }) => isPassing && isWaitedFor(state.repository))
        .map(({ state }) => state);
      this.#ledger.keepStates(
        looks.map(({ state }) => state).filter((state) => !moved.includes(state)),
        Date.now(),
      );
      const again = new Set(
        [...moved.map(({ repository }) => repository), ...this.#ledger.behind(names)].filter(isWaitedFor),
      );
      for (const name of names)
        if (again.has(name)) this.#unsettled.set(name, this.#unsettled.get(name) ?? now);
        else {
          this.#due.delete(name);
          this.#unsettled.delete(name);
        }
    }
  }

  /** Has the system tell when this node's records change. */
  #watch(): void {
    if (this.#watcher) return;
    try {
      makeOwnRecords(this.#owner);
      this.#watcher = watch(ownRecords(), (_, name) => {
        if (name === null || name.endsWith(".jsonl")) this.#alarm.ring();
      });
      this.#watcher.on("error", () => {
        this.#watcher?.close();
        this.#watcher = null;
      });
    } catch {
      // Where nothing can be written, or the system has no watch left, it looks every now and then.
    }
  }
}

/** Another text for another index. */
function whichIndex(): string {
  const found = statSync(indexFile, { throwIfNoEntry: false });
  return `${found?.ino} ${found?.mtimeMs}`;
}

function* batches(names: readonly string[]): Generator<string[]> {
  for (let at = 0; at < names.length; at += batch) yield names.slice(at, at + batch);
}
