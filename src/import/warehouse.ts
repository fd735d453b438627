import { parsePublicKey } from "../keys/public-key.ts";
import { isRefusal, type Problem } from "../problem.ts";
import { type Found, type Grant, nothingFound } from "./grant.ts";

/** Where BorgWarehouse has its repositories (pool in its createRepo.sh). */
const pool = "/home/borgwarehouse/repos";

const noList: Omit<Problem, "where"> = {
  text: "this is not BorgWarehouse's list of repositories",
  hint: "It is config/repo.json, a JSON array.",
};

/** Reads BorgWarehouse's repo.json, which knows of each repository what its line in authorized_keys says, and more. */
export function parseWarehouse(where: string, text: string, timeZone?: string): Found {
  const found = nothingFound();
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return { ...found, problems: [{ where, text: "this is not JSON", hint: noList.hint }] };
  }
  if (!Array.isArray(list)) return { ...found, problems: [{ where, ...noList }] };
  for (const entry of list as unknown[]) {
    const { repositoryName: name, ...rest } = (entry ?? {}) as Record<string, unknown>;
    if (typeof name !== "string" || !/^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/.test(name)) {
      found.problems.push({
        where,
        text: "an entry has no repositoryName that could be one",
        hint: "That of an old version has none: upgrade BorgWarehouse first.",
      });
      continue;
    }
    const place = { where: `${where}: ${name}` };
    const { alias, alert, storageSize, sshPublicKey, appendOnlyMode, archived } = rest;
    const key = typeof sshPublicKey === "string" ? parsePublicKey(sshPublicKey.trim(), timeZone) : noKey;
    if (isRefusal(key)) {
      found.problems.push({ ...place, ...key });
      continue;
    }
    found.grants.push({
      place,
      key,
      opens: [{ path: `${pool}/${name}`, isRepository: true }],
      isAppendOnly: appendOnlyMode === true,
      quota: typeof storageSize === "number" && storageSize > 0 ? `${storageSize}G` : null,
      ...(typeof alias === "string" && alias.trim() !== "" && { called: alias }),
      ...(typeof alert === "number" && Number.isInteger(alert) && alert > 0 && { lateAfter: alert }),
      ...(archived === true && { isArchived: true }),
    });
  }
  return found;
}

const noKey = { text: "the entry has no sshPublicKey", hint: "Give the repository a key in BorgWarehouse." };

/**
 * What both of BorgWarehouse's files say: a line of authorized_keys decides what its key may do, as sshd obeys it alone;
 * repo.json says what the repository is called, and when it is late.
 */
export function mergeWarehouse(lines: Found, list: Found): Found {
  const byPath = new Map(list.grants.map((entry) => [entry.opens[0]!.path, entry]));
  const grants = lines.grants.map((grant): Grant => {
    const entry = grant.opens.length === 1 ? byPath.get(grant.opens[0]!.path) : undefined;
    if (!entry) return grant;
    byPath.delete(entry.opens[0]!.path);
    const { called, lateAfter, opens } = entry;
    return { ...grant, opens, ...(called !== undefined && { called }), ...(lateAfter && { lateAfter }) };
  });
  const closed = [...byPath.values()].map(({ place }) => ({
    ...place,
    text: "authorized_keys has no line for this repository, so no key opens it",
    hint: "",
  }));
  return {
    grants,
    left: [...lines.left, ...list.left, ...closed],
    remarks: [...lines.remarks, ...list.remarks],
    problems: [...lines.problems, ...list.problems],
  };
}
