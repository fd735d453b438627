import { inForce } from "../server/in-force.ts";
import { LedgerKeeper } from "./keep-ledger.ts";

/** The keeper: a process beside sshd, on which no login and no session depends. Never returns. */
export async function keep(): Promise<never> {
  const { owner } = inForce(process.env).settings;
  LedgerKeeper.start(owner);
  return await new Promise<never>(() => {});
}
