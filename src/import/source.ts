import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { codeOf } from "../failure.ts";
import { isLeftover } from "../keys/account.ts";
import { parseKeyFile } from "../keys/key-file.ts";
import { readKeyFile } from "../keys/key-folder.ts";
import { isRefusal, OperatorError } from "../problem.ts";
import { largestFile, parseAuthorizedKeys } from "./authorized-keys.ts";
import { type Found, nothingFound } from "./grant.ts";
import { mergeWarehouse, parseWarehouse } from "./warehouse.ts";

/** Where images with a folder of key files have their clients' repositories. */
const imageFolder = "/backup";

/** Places of files below the folder that people name, or of which a container has them. */
const placesOfLines = ["authorized_keys", ".ssh/authorized_keys"];
const placesOfList = ["repo.json", "config/repo.json", "app/config/repo.json"];

/**
 * Reads what another server knows of its keys: an authorized_keys, BorgWarehouse's repo.json, a folder with these, or a
 * folder with a key file for each client.
 * @param source a path, or - for standard input
 * @param timeZone as parsePublicKey takes it
 */
export function readSource(source: string, timeZone: string): Found {
  const stats = source === "-" ? null : stat(source);
  if (!stats?.isDirectory()) {
    const where = source === "-" ? "standard input" : source;
    const content = read(source === "-" ? 0 : source, where);
    return /^\s*[[{]/.test(content.subarray(0, 1024).toString("latin1"))
      ? parseWarehouse(where, content.toString("utf8"), timeZone)
      : parseAuthorizedKeys(where, content, timeZone);
  }
  const [lines, list] = [placesOfLines, placesOfList].map((places) =>
    places.map((place) => join(source, place)).find((path) => existsSync(path)),
  );
  const ofLines = lines === undefined ? null : parseAuthorizedKeys(lines, read(lines, lines), timeZone);
  const ofList =
    list === undefined ? null : parseWarehouse(list, read(list, list).toString("utf8"), timeZone);
  if (ofLines && ofList) return mergeWarehouse(ofLines, ofList);
  if (ofLines || ofList) return (ofLines ?? ofList)!;
  const clients = join(source, "clients");
  return readClients(existsSync(clients) ? clients : source, timeZone);
}

/** A folder in which each client has a file with its keys; its repositories are in a folder of the same name. */
function readClients(folder: string, timeZone: string): Found {
  const found = nothingFound();
  for (const file of filesIn(folder, 3)) {
    const content = readKeyFile(file);
    if (isRefusal(content)) {
      found.problems.push({ where: file, ...content });
      continue;
    }
    const { keys, problems } = parseKeyFile(file, content.content, timeZone);
    found.problems.push(...problems);
    const client = basename(file);
    found.grants.push(
      ...keys.map((key) => ({
        place: { where: file, line: key.line },
        key,
        opens: [{ path: `${imageFolder}/${client}`, isRepository: false }],
        isAppendOnly: false,
        quota: null,
        called: client,
      })),
    );
  }
  if (found.grants.length + found.problems.length === 0)
    throw new OperatorError(
      `there is no key file, authorized_keys or repo.json in ${folder}`,
      "Name the folder that holds them.",
    );
  return found;
}

function filesIn(folder: string, depth: number): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry: Dirent) => !isLeftover(entry.name))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return stat(path).isDirectory() ? (depth > 0 ? filesIn(path, depth - 1) : []) : [path];
    });
}

function stat(path: string) {
  try {
    return statSync(path);
  } catch (error) {
    throw new OperatorError(`${path} cannot be read (${codeOf(error)})`);
  }
}

function read(path: string | 0, where: string): Buffer {
  try {
    if (path !== 0 && statSync(path).size > largestFile) throw new OperatorError(`${where} is too large`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(`${where} cannot be read (${codeOf(error)})`);
  }
}
