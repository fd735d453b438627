import type { PublishedAccounts } from "./passwd-cache.ts";
import { accountLine, type WantedAccounts } from "./wanted-accounts.ts";

/** How the accounts of a publication differ from those before it, by name. Empty lists: not at all. */
export interface AccountPlan {
  add: string[];
  change: string[];
  remove: string[];
}

/** Compares the published accounts with those that are wanted. */
export function planAccounts(published: PublishedAccounts, wanted: WantedAccounts): AccountPlan {
  const plan: AccountPlan = { add: [], change: [], remove: [] };
  for (const [name, role] of wanted.roles) {
    const place = published.places.get(name);
    if (place === undefined) plan.add.push(name);
    else if (published.lineAt(place) !== accountLine(name, role, wanted)) plan.change.push(name);
  }
  for (const name of published.places.keys()) if (!wanted.roles.has(name)) plan.remove.push(name);
  return plan;
}
