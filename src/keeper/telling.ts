import { statfsSync } from "node:fs";
import { hostname } from "node:os";
import { conditionsOf } from "../alerts/condition.ts";
import { deletionIn } from "../alerts/deletion.ts";
import { eventMessage, newsMessage } from "../alerts/message.ts";
import { newsOf, type Told } from "../alerts/news.ts";
import { type Content, Outbox, type Waiting } from "../alerts/outbox.ts";
import { Recipients } from "../alerts/recipients.ts";
import { ToldConditions } from "../alerts/told-conditions.ts";
import { reasonOf } from "../failure.ts";
import { accountsServed } from "../index/read.ts";
import { repositoryOf } from "../keys/account.ts";
import type { Ledger, LedgerSession } from "../ledger/ledger.ts";
import { expectations, statusesOf } from "../ledger/overview.ts";
import { indexFile, repositoryFolder } from "../paths.ts";
import { note } from "../report.ts";
import { type Addresses, nameOfAddress, shownAddress } from "../server/addresses.ts";
import type { Settings } from "../server/settings.ts";
import { TellerProcess } from "../teller/teller-process.ts";
import type { KeyProblems } from "./key-problems.ts";
import { Publisher } from "./publisher.ts";

/** What is older than this is nobody's news, in milliseconds: a ledger that is made anew reads all records again. */
const freshDeletion = 24 * 3600 * 1000;
const freshBackup = 3600 * 1000;

/** Tells what the ledger knows: messages and pings by what sessions did and by what is so, and what the teller shows. */
export class Telling {
  readonly #settings: Settings;
  readonly #ledger: Ledger;
  readonly #outbox: Outbox;
  readonly #told: ToldConditions;
  readonly #teller: TellerProcess;
  readonly #publisher: Publisher;
  readonly #problems: KeyProblems;
  #addresses: Addresses = { operator: [], accounts: {} };
  #recipients = new Recipients([], {}, () => null);
  #accounts: ReturnType<typeof accountsServed> = [];
  /** What was said of addresses that cannot be reached. */
  readonly #failing = new Map<string, string>();
  /** How many objects repositories have, as far as sessions have changed that since they were looked at. */
  readonly #objects = new Map<string, number>();

  constructor(settings: Settings, ledger: Ledger, problems: KeyProblems) {
    this.#settings = settings;
    this.#ledger = ledger;
    this.#teller = new TellerProcess(settings.statusListen, (how, pause) =>
      note(`the teller ended (${how}); it is started again in ${Math.round(pause / 1000)} s`),
    );
    this.#problems = problems;
    this.#outbox = new Outbox(ledger.database);
    this.#told = new ToldConditions(ledger.database);
    this.#publisher = new Publisher(settings, ledger);
  }

  /** Another index was published: perhaps with other accounts, and with these addresses. */
  readIndex(found: Addresses): void {
    this.#addresses = found;
    this.#accounts = accountsServed(indexFile);
    const byName = new Map(this.#accounts.map((account) => [account.name, account]));
    this.#recipients = new Recipients(this.#addresses.operator, this.#addresses.accounts, (name) => {
      const account = byName.get(name);
      return account ? repositoryOf(account) : null;
    });
  }

  /** A session is being taken up, in the transaction that stores it. */
  takenUp(session: LedgerSession): void {
    const now = Date.now();
    const { repository, account, kind, complete, node } = session;
    if (repository === null) return;
    this.#publisher.changed(repository);
    const before = this.#objects.get(repository) ?? this.#ledger.objectsOf(repository);
    if (before !== null) this.#objects.set(repository, Math.max(0, before + session.puts - session.deletes));
    const deletion = session.ended < now - freshDeletion ? null : deletionIn(session, before);
    if (deletion) {
      const message = eventMessage(repository, deletion, hostname());
      for (const url of this.#recipients.urls)
        if (this.#recipients.isTold(url, repository)) this.#add(url, { send: message }, now);
    }
    const ping = this.#addresses.accounts[account]?.ping;
    // Another node pings for its own.
    if (ping && kind === "create" && node === hostname() && session.ended >= now - freshBackup)
      this.#add(ping, { ping: { failed: !complete } }, now);
  }

  /** A repository was looked at, and how many objects it has is known. */
  looked(): void {
    this.#objects.clear();
  }

  /** Says what is new, shows what is so, sends what waits. */
  async look(now: number): Promise<void> {
    const { statusListen, metricsFile, owner } = this.#settings;
    const isShown = statusListen !== null || metricsFile !== null;
    if (!isShown && this.#recipients.urls.length === 0 && this.#outbox.nextDue() === Number.POSITIVE_INFINITY)
      return;
    const expected = expectations(this.#accounts, owner);
    const statuses = statusesOf(expected, this.#ledger, owner, now);
    const storage = storageNow();
    const problems = this.#problems.lines;
    if (this.#recipients.urls.length > 0) {
      const conditions = conditionsOf(statuses, { storage, problems });
      const told = this.#told.all();
      const news = newsOf(conditions, told, now);
      // Most of the time nothing is to be written, and a disk may sleep.
      if (!isSameAs(news.told, told)) this.#say(news, now);
    }
    if (statusListen !== null) this.#teller.start(performance.now());
    this.#send(now);
    if (isShown)
      await this.#publisher.publish({ statuses, expected, storage, problems: problems.length }, now);
  }

  /** When there is something to send or to show, in milliseconds since 1970. */
  get due(): number {
    const sending = this.#teller.isBusy
      ? Number.POSITIVE_INFINITY
      : Math.max(this.#outbox.nextDue(), Date.now() + this.#teller.rests(performance.now()));
    return Math.min(sending, this.#publisher.due);
  }

  #say(news: ReturnType<typeof newsOf>, now: number): void {
    this.#ledger.database.transaction(() => {
      for (const url of this.#recipients.urls) {
        const isTold = ({ subject }: { subject: string }) => this.#recipients.isTold(url, subject);
        const message = newsMessage(
          {
            appeared: news.appeared.filter(isTold),
            remaining: news.remaining.filter(isTold),
            over: news.over.filter(isTold),
          },
          hostname(),
        );
        if (message) this.#add(url, { send: message }, now);
      }
      this.#told.replace(news.told);
    })();
  }

  #add(url: string, content: Content, now: number): void {
    const lost = this.#outbox.add(nameOfAddress(url), content, now);
    if (lost > 0) note("too many messages wait until they can be sent; the oldest one was dropped");
  }

  #send(now: number): void {
    const waiting = this.#outbox.due(now);
    if (waiting.length === 0) {
      if (this.#outbox.nextDue() === Number.POSITIVE_INFINITY) this.#teller.rest();
      return;
    }
    if (this.#teller.rests(performance.now()) > 0) return;
    this.#teller.start(performance.now());
    for (const each of waiting) {
      if (this.#teller.isBusy) return;
      this.#sendOne(each);
    }
  }

  #sendOne({ id, address, content }: Waiting): void {
    const url = this.#urlOf(address, content);
    if (url === null) {
      this.#outbox.remove(id);
      return;
    }
    const isPrivate = this.#settings.pingPrivate || this.#addresses.operator.includes(url);
    const order =
      "send" in content ? { send: { ...content.send, urls: [url] } } : { ping: { ...content.ping, url } };
    this.#outbox.hand(id);
    this.#teller.give({ ...order, private: isPrivate }).then((reason) => {
      try {
        this.#settle(id, url, reason);
        this.#send(Date.now());
      } catch (error) {
        note(`what came of a message cannot be stored: ${reasonOf(error)}`);
      }
    });
  }

  /** The address, if it is still one. */
  #urlOf(address: string, content: Content): string | null {
    const urls =
      "send" in content
        ? this.#recipients.urls
        : Object.values(this.#addresses.accounts).flatMap(({ ping }) => ping ?? []);
    return urls.find((url) => nameOfAddress(url) === address) ?? null;
  }

  #settle(id: number, url: string, reason: string | null | undefined): void {
    if (reason === undefined) {
      this.#outbox.takeBack(id);
      return;
    }
    const shown = shownAddress(url, this.#addresses);
    if (reason === null) {
      this.#outbox.remove(id);
      if (this.#failing.delete(url)) note(`${shown} can be reached again`);
      return;
    }
    const isTriedAgain = this.#outbox.putBack(id, Date.now());
    if (this.#failing.get(url) !== reason)
      note(`${shown} was not told: ${reason}`, isTriedAgain ? "It is tried again." : "");
    else if (!isTriedAgain) note(`${shown} was not told, and is not tried again: ${reason}`);
    this.#failing.set(url, reason);
  }
}

/** Whether people know of the same: whatever is said is told at another time than before. */
function isSameAs(one: readonly Told[], other: readonly Told[]): boolean {
  const keys = new Set(other.map(keyOf));
  return one.length === other.length && one.every((each) => keys.has(keyOf(each)));
}

const keyOf = ({ kind, subject, level, said }: Told) => JSON.stringify([kind, subject, level, said]);

/** Of the file system that /repos lies on, in bytes; null where it does not say. */
function storageNow(): { free: number; size: number } | null {
  try {
    const { bavail, blocks, bsize } = statfsSync(repositoryFolder);
    return { free: bavail * bsize, size: blocks * bsize };
  } catch {
    return null;
  }
}
