import { hostname } from "node:os";
import { isRoot } from "../owner.ts";
import { exitCode, OperatorError } from "../problem.ts";
import { say } from "../report.ts";
import { type Addresses, addresses, shownAddress } from "../server/addresses.ts";
import { inForce } from "../server/in-force.ts";
import { ordersAtOnce } from "../teller/sender.ts";
import { TellerProcess } from "../teller/teller-process.ts";

/** Sends a message to each address that the server tells anything, and says how it went. @returns the exit code */
export async function notifyTest(): Promise<number> {
  if (!isRoot()) throw new OperatorError("only root can read the addresses and start what sends");
  const { settings } = inForce(process.env);
  const tried = triedOf(addresses(), settings.pingPrivate);
  if (tried.length === 0)
    throw new OperatorError(
      "there is no address to try",
      "Set NOTIFY and restart the server, or write notify into a settings file.",
      exitCode.settingProblems,
    );
  const teller = new TellerProcess(null, () => {});
  teller.start(performance.now());
  const results: Promise<string | null | undefined>[] = [];
  const message = {
    title: `borgserver ${hostname()}: a test`,
    body: "This address is told what happens to the repositories of this server.",
    level: "info",
  } as const;
  const give = () => {
    const next = tried[results.length];
    if (next) results.push(teller.give({ send: { ...message, urls: [next.url] }, private: next.isPrivate }));
  };
  while (results.length < Math.min(ordersAtOnce, tried.length)) give();
  let failures = 0;
  for (const [at, { shown }] of tried.entries()) {
    const reason = await results[at];
    give();
    if (reason !== null) failures += 1;
    say(`${shown}: ${reason === null ? "taken" : `not taken: ${reason ?? "what sends has ended"}`}`);
  }
  teller.rest();
  return failures > 0 ? exitCode.failed : exitCode.done;
}

/** An address to try. */
interface Tried {
  url: string;
  /** As people are told of it. */
  shown: string;
  /** Whether it may be one of this machine, or of its link. */
  isPrivate: boolean;
}

/** Each address once, the operator's first, also where many accounts have it from settings/default. */
export function triedOf(found: Addresses, isPrivateAllowed: boolean): Tried[] {
  const accounts = new Map<string, number>();
  for (const url of Object.values(found.accounts).flatMap(({ notify = [] }) => [...new Set(notify)]))
    accounts.set(url, (accounts.get(url) ?? 0) + 1);
  return [...new Set([...found.operator, ...accounts.keys()])].map((url) => {
    const isOperators = found.operator.includes(url);
    const others = isOperators ? 0 : (accounts.get(url) ?? 1) - 1;
    const more = others === 0 ? "" : `, also of ${others} other account${others === 1 ? "" : "s"}`;
    return { url, shown: `${shownAddress(url, found)}${more}`, isPrivate: isOperators || isPrivateAllowed };
  });
}
