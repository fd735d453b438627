import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import { codeOf, reasonOf } from "../failure.ts";
import { parsePublicKey } from "../keys/public-key.ts";
import { makeKeyPair, publicHalf } from "../keys/ssh-keygen.ts";
import { isClosedToRoot } from "../owner.ts";
import { isRefusal, OperatorError, type Problem, type Refusal } from "../problem.ts";
import { foreignOwner } from "../user-namespace.ts";
import { lookAtPrivateKey, mended, type PrivateKeyFile } from "./private-key-file.ts";

/** A host key that sshd can serve. */
export interface HostKey {
  /** The name of its file. */
  name: string;
  /** "type base64". */
  publicKey: string;
}

/** The types that are made at the first start. Others that the operator puts there are served too. */
const types = ["ed25519", "rsa"];

/** Makes the host keys that are missing. What exists is never replaced. */
export function makeMissingHostKeys(folder: string): Problem[] {
  const problems: Problem[] = [];
  for (const type of types) {
    const file = `${folder}/ssh_host_${type}_key`;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (exists(file)) continue;
      if (exists(`${file}.pub`)) {
        problems.push({
          where: file,
          text: "the private half of this host key is missing, but its .pub file is there",
          hint: "Restore it from a backup. Or remove the .pub file too: then a new key is made, which clients have to accept.",
        });
        continue;
      }
      makeKeyPair(type, file);
    } catch (error) {
      problems.push({
        where: file,
        text: `the host key is missing, and could not be made: ${reasonOf(error)}`,
        hint: "Make the folder writable for the first start, or put a host key there.",
      });
    }
  }
  return problems;
}

/** Whether there is anything of this name. A symlink that leads nowhere is a lost key, not a missing one. */
const exists = (file: string) => lstatSync(file, { throwIfNoEntry: false }) !== undefined;

/**
 * Copies the host keys of a folder to where only root can read them, with their line breaks repaired, and checks each
 * copy: ssh-keygen must read the private half, and the .pub file, if there is one, must belong to it.
 */
export function copyHostKeys(folder: string, copies: string): { keys: HostKey[]; problems: Problem[] } {
  const keys: HostKey[] = [];
  const problems: Problem[] = [];
  rmSync(copies, { recursive: true, force: true });
  mkdirSync(copies, { recursive: true, mode: 0o700 });
  for (const source of hostKeyFiles(folder)) {
    const result = copyHostKey(source, `${copies}/${basename(source)}`);
    if (isRefusal(result)) problems.push({ where: source, ...result });
    else keys.push(result);
  }
  return { keys, problems };
}

/** @returns the key, or why sshd cannot serve it; a problem of the .pub file says where it is */
function copyHostKey(source: string, copy: string): HostKey | Refusal | Problem {
  const publicFile = `${source}.pub`;
  try {
    const text = readKeyText(source);
    if (isRefusal(text)) return text;
    writeFileSync(copy, text, { mode: 0o600 });
    const wrong = wrongForm(lookAtPrivateKey(text), source);
    if (wrong) return wrong;
    const publicKey = publicHalf(copy);
    if (publicKey === null)
      return { text: "ssh-keygen cannot read this host key: it is damaged", hint: restore };
    const stated = existsSync(publicFile) ? readKeyText(publicFile) : publicKey;
    if (isRefusal(stated)) return { where: publicFile, ...stated };
    if (firstWords(stated) !== publicKey)
      return {
        where: publicFile,
        text: "this is not the public half of the private key next to it",
        hint: "Restore the pair from a backup. Or remove the .pub file, if the private key is the right one.",
      };
    const parsed = parsePublicKey(publicKey);
    return isRefusal(parsed)
      ? {
          text: `sshd does not serve this host key: ${parsed.text}`,
          hint: "Remove it and its .pub file: an Ed25519 or RSA key is then made anew, which clients have to accept.",
        }
      : { name: basename(source), publicKey };
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const code = codeOf(error);
    return (
      (isClosedToRoot(error) && foreignOwner(source)) || {
        text: `the host key cannot be read (${code})`,
        hint: makeReadable,
      }
    );
  }
}

const makeReadable = "Make it a file that root can read.";

function readKeyText(file: string): string | Refusal {
  if (!statSync(file).isFile()) return { text: "this is not a regular file", hint: makeReadable };
  return mended(readFileSync(file, "utf8"));
}

/** "type base64" of a public key's line. */
const firstWords = (line: string) =>
  line
    .trim()
    .split(/[ \t]+/)
    .slice(0, 2)
    .join(" ");

const restore =
  "Restore it from a backup. Or remove it and its .pub file: then a new one is made, which clients have to accept.";

/** Names what was given instead of a host key that sshd can serve. */
function wrongForm({ form, encrypted, isDsa }: PrivateKeyFile, file: string): Refusal | null {
  if (form === "empty")
    return { text: "ssh-keygen cannot read this host key: the file is empty", hint: restore };
  if (form === "putty")
    return {
      text: "ssh-keygen cannot read this host key: it is in PuTTY's form",
      hint: "Convert it with: puttygen FILE -O private-openssh -o FILE",
    };
  if (form === "public")
    return { text: "this is a public key, not the private half of a host key", hint: restore };
  if (isDsa)
    return {
      text: "this is a DSA key, which sshd does not serve: DSA is broken",
      hint: "Remove it and its .pub file: Ed25519 and RSA keys are made where they are missing.",
    };
  if (encrypted)
    return {
      text: "ssh-keygen cannot read this host key: it has a passphrase, which nobody can type when sshd starts",
      hint: `Remove the passphrase with: ssh-keygen -p -N "" -f ${basename(file)}`,
    };
  return null;
}

function hostKeyFiles(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder)
    .filter((name) => /^ssh_host_[a-z0-9]+_key$/.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}
