import type { AddressesByAccount } from "../index/addresses.ts";

/** Who is told: those of NOTIFY of everything, those of an account of the repository that it opens. */
export class Recipients {
  /** What each address is told of: repositories, or everything. */
  readonly #told = new Map<string, Set<string> | "everything">();

  /** @param repositoryOf the repository that an account opens; null if it opens none of its own, or is gone */
  constructor(
    operator: readonly string[],
    accounts: AddressesByAccount,
    repositoryOf: (account: string) => string | null,
  ) {
    for (const url of operator) this.#told.set(url, "everything");
    for (const [account, { notify = [] }] of Object.entries(accounts))
      for (const url of notify) {
        const repository = repositoryOf(account);
        const known = this.#told.get(url) ?? new Set<string>();
        if (known === "everything" || repository === null) continue;
        this.#told.set(url, known.add(repository));
      }
  }

  get urls(): string[] {
    return [...this.#told.keys()];
  }

  /** Whether an address is told of this repository; empty for what is about the server. */
  isTold(url: string, repository: string): boolean {
    const told = this.#told.get(url);
    return told === "everything" || (told?.has(repository) ?? false);
  }
}
