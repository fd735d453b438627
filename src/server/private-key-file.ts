/** What an OpenSSH private key file is, as far as can be seen without its passphrase; `none` if it is not one. */
export interface PrivateKeyFile {
  form: "private" | "public" | "putty" | "empty" | "none";
  /** Whether a passphrase is needed to read it. */
  encrypted: boolean;
  isDsa: boolean;
}

/**
 * The text in the form that OpenSSH reads. Editors and other systems leave carriage returns, blanks at the ends of lines
 * or a byte order mark, or remove the last line break, which changes nothing of the key.
 */
export function mended(content: string): string {
  const lines = content
    .replace(/^\ufeff/, "")
    .trim()
    .split(/\r\n?|\n/)
    .map((line) => line.trimEnd());
  return `${lines.join("\n")}\n`;
}

/** Looks at a repaired text. */
export function lookAtPrivateKey(text: string): PrivateKeyFile {
  const frame = /^-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----\n/.exec(text);
  if (frame) {
    const inside = openSshHeader(text);
    return {
      form: "private",
      encrypted:
        frame[1] === "ENCRYPTED " || /^Proc-Type: .*ENCRYPTED/m.test(text) || (inside?.encrypted ?? false),
      isDsa: frame[1] === "DSA " || inside?.type === "ssh-dss",
    };
  }
  const other = { encrypted: false, isDsa: false };
  if (text.trim() === "") return { form: "empty", ...other };
  if (text.startsWith("PuTTY-User-Key-File")) return { form: "putty", ...other };
  const isPublic = /^(ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA|^-----?-? ?BEGIN ([A-Z0-9]+ )?PUBLIC KEY/.test(text);
  return { form: isPublic ? "public" : "none", ...other };
}

/** The cipher and the key's type, which are not encrypted (OpenSSH's PROTOCOL.key); null for another form, or a damaged one. */
function openSshHeader(text: string): { encrypted: boolean; type: string } | null {
  const body = /^-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)/.exec(text)?.[1];
  const bytes = Buffer.from(body ?? "", "base64");
  const magic = "openssh-key-v1\0";
  if (bytes.toString("latin1", 0, magic.length) !== magic) return null;
  let at = magic.length;
  const next = () => {
    const start = at + 4;
    at = start + bytes.readUInt32BE(at);
    return bytes.subarray(start, at);
  };
  try {
    const cipher = next().toString("latin1");
    next(); // the name of the key derivation function
    next(); // its options
    at += 4; // the number of keys
    at += 4; // the length of the public key, whose first string is its type
    return { encrypted: cipher !== "none", type: next().toString("latin1") };
  } catch {
    return null;
  }
}
