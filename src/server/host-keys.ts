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
import { parsePublicKey } from "../keys/public-key.ts";
import { makeKeyPair, publicHalf } from "../keys/ssh-keygen.ts";
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

/** Made at the first start; other types that the operator puts there are served too. */
const types = ["ed25519", "rsa"];

/** Makes the host keys that are missing. What exists is never replaced. */
export function makeMissingHostKeys(folder: string): Problem[] {
  const problems: Problem[] = [];
  for (const type of types) {
    const file = `${folder}/ssh_host_${type}_key`;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (stands(file)) continue;
      if (stands(`${file}.pub`)) {
        problems.push({
          where: file,
          text: "The private half of this host key is missing, the .pub file is there.",
          hint: "Restore it from a backup; or remove the .pub file too, then a new key is made and clients have to accept it.",
        });
        continue;
      }
      makeKeyPair(type, file);
    } catch (error) {
      problems.push({
        where: file,
        text: `There is no such host key, and none could be made: ${(error as Error).message}.`,
        hint: "Make the folder writable for the first start, or put a host key there.",
      });
    }
  }
  return problems;
}

/** Whether there is anything of this name; a symlink that leads nowhere is a key that got lost. */
const stands = (file: string) => lstatSync(file, { throwIfNoEntry: false }) !== undefined;

/**
 * Copies the host keys of a folder to where only root can read them, mends the copies' line breaks, and checks each: ssh-keygen must read the
 * private half, and the .pub file, where there is one, must belong to it.
 */
export function readHostKeys(folder: string, copies: string): { keys: HostKey[]; problems: Problem[] } {
  const keys: HostKey[] = [];
  const problems: Problem[] = [];
  rmSync(copies, { recursive: true, force: true });
  mkdirSync(copies, { recursive: true, mode: 0o700 });
  for (const source of hostKeyFiles(folder)) {
    const file = `${copies}/${basename(source)}`;
    const hint = "Make it a file that root can read.";
    try {
      if (!statSync(source).isFile()) {
        problems.push({ where: source, text: "This is not a regular file.", hint });
        continue;
      }
      const hasPublicHalf = existsSync(`${source}.pub`);
      if (hasPublicHalf && !statSync(`${source}.pub`).isFile()) {
        problems.push({ where: `${source}.pub`, text: "This is not a regular file.", hint });
        continue;
      }
      const text = mended(readFileSync(source, "utf8"));
      writeFileSync(file, text, { mode: 0o600 });
      const wrong = wrongForm(lookAtPrivateKey(text), source);
      if (wrong) {
        problems.push({ where: source, ...wrong });
        continue;
      }
      const publicKey = publicHalf(file);
      const stated = hasPublicHalf
        ? mended(readFileSync(`${source}.pub`, "utf8"))
            .trim()
            .split(/[ \t]+/)
            .slice(0, 2)
            .join(" ")
        : publicKey;
      if (publicKey === null)
        problems.push({
          where: source,
          text: "ssh-keygen cannot read this host key; it is damaged.",
          hint: restore,
        });
      else if (stated !== publicKey)
        problems.push({
          where: `${source}.pub`,
          text: "This is not the public half of the private key beside it.",
          hint: "Restore the pair from a backup; or remove the .pub file if the private key is the right one.",
        });
      else {
        const parsed = parsePublicKey(publicKey);
        if (isRefusal(parsed))
          problems.push({
            where: source,
            text: `sshd does not serve this host key: ${parsed.text}`,
            hint: "Remove it and its .pub file; an Ed25519 or RSA key is then made anew and clients have to accept it.",
          });
        else keys.push({ name: basename(source), publicKey });
      }
    } catch (error) {
      if (error instanceof OperatorError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      const foreign = code === "EACCES" || code === "EPERM" ? foreignOwner(source) : null;
      problems.push({
        where: source,
        ...(foreign ?? { text: `The host key cannot be read (${code}).`, hint }),
      });
    }
  }
  return { keys, problems };
}

const restore =
  "Restore it from a backup; or remove it and its .pub file, then a new one is made and clients have to accept it.";

/** What sshd could not serve as a host key, told as what it is. */
function wrongForm({ form, encrypted, isDsa }: PrivateKeyFile, file: string): Refusal | null {
  if (form === "empty")
    return { text: "ssh-keygen cannot read this host key; the file is empty.", hint: restore };
  if (form === "putty")
    return {
      text: "ssh-keygen cannot read this host key; it has PuTTY's form.",
      hint: "Convert it with: puttygen FILE -O private-openssh -o FILE",
    };
  if (form === "public")
    return { text: "This is a public key, not the private half of a host key.", hint: restore };
  if (isDsa)
    return {
      text: "This is a DSA key, which sshd does not serve: DSA is broken.",
      hint: "Remove it and its .pub file; Ed25519 and RSA keys are made where they are missing.",
    };
  if (encrypted)
    return {
      text: "ssh-keygen cannot read this host key: it has a passphrase, and nobody types one when sshd starts.",
      hint: `Take it away where it is known, with: ssh-keygen -p -N "" -f ${basename(file)}`,
    };
  return null;
}

/**
 * known_hosts lines (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) that let clients pin this server before they first connect.
 * @param address HOST or HOST:PORT; an IPv6 address with a port in brackets, [ADDRESS]:PORT
 * @returns null where the address is none
 */
export function knownHosts(address: string, keys: readonly Pick<HostKey, "publicKey">[]): string[] | null {
  const match =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)|([0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*))(?::([0-9]{1,5}))?$/.exec(
      address,
    );
  if (!match) return null;
  const host = (match[1] ?? match[2] ?? match[3] ?? "").toLowerCase();
  const port = Number(match[4] ?? 22);
  if (port < 1 || port > 65535) return null;
  const pattern = port === 22 ? host : `[${host}]:${port}`;
  return keys.map(({ publicKey }) => `${pattern} ${publicKey}`);
}

function hostKeyFiles(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder)
    .filter((name) => /^ssh_host_[a-z0-9]+_key$/.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}
