import { isIPv4, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";
import { isRefusal, type Refusal } from "../problem.ts";

/** How a key is narrowed (sshd(8), AUTHORIZED_KEYS FILE FORMAT); an empty string if it is not. */
export interface Limits {
  /** Addresses that it may come from: a pattern list, as `from="…"` takes it. */
  addresses: string;
  /** The end of its time, YYYYMMDDHHMMSSZ, as `expiry-time="…"` takes it: UTC, whatever sshd's time zone. */
  expires: string;
}

export const noLimits: Limits = { addresses: "", expires: "" };

const hint = 'Only from="ADDRESS,…", expiry-time="YYYYMMDD[HHMM[SS]][Z]", restrict and no-… are accepted.';

/** Options that take away what every key here lacks anyway. sshd asks for a FIDO key's touch by default. */
const takenAnyway = [
  "restrict",
  "no-agent-forwarding",
  "no-port-forwarding",
  "no-pty",
  "no-user-rc",
  "no-X11-forwarding",
  "touch-required",
];

/** Options that give something, force what only the folder decides, or that no login here would carry out. */
const neverTaken = [
  "agent-forwarding",
  "cert-authority",
  "command",
  "environment",
  "no-touch-required",
  "no-verify-required",
  "permitlisten",
  "permitopen",
  "port-forwarding",
  "principals",
  "pty",
  "tunnel",
  "user-rc",
  "verify-required",
  "X11-forwarding",
];

/** sshd takes the names of options in any case (opt_flag and opt_match in OpenSSH's auth-options.c and misc.c). */
const inAnyCase = (names: readonly string[], word: string) =>
  names.find((name) => name.toLowerCase() === word.toLowerCase());

/**
 * The refusal of an option that sshd knows and no key here may have. It shows the option's name only, because what
 * follows may be a secret. Null for any other text.
 */
export function neverTakenOption(text: string): Refusal | null {
  const name = inAnyCase(neverTaken, /^[a-z0-9-]*(?=$|[=, \t"])/i.exec(text)?.[0] ?? "");
  return name === undefined ? null : { text: `the option ${name} before the key is not accepted`, hint };
}

/**
 * Reads the options before a key (sshd(8), AUTHORIZED_KEYS FILE FORMAT). Those that narrow are accepted, those that
 * take away what is taken away anyway change nothing, and every other is refused.
 */
export function parseKeyOptions(text: string, timeZone: string): Limits | Refusal {
  const limits = { ...noLimits };
  const options = text.match(/(?:[^,"]|"[^"]*"?)+/g) ?? [];
  if (options.join(",") !== text) return { text: "there is an extra comma before the key", hint };
  for (const option of options) {
    if (inAnyCase(takenAnyway, option) !== undefined) continue;
    const [, name = "", value] = /^([a-z-]+)=("[^"\\]*")$/i.exec(option) ?? [];
    const field = ({ from: "addresses", "expiry-time": "expires" } as const)[name.toLowerCase()];
    if (field === undefined || value === undefined)
      return neverTakenOption(option) ?? { text: "an option before the key is not accepted", hint };
    if (limits[field] !== "") return { text: `the option ${name} is there twice`, hint };
    const text = value.slice(1, -1);
    const parsed = field === "addresses" ? readFrom(text) : readExpiry(text, timeZone);
    if (isRefusal(parsed)) return parsed;
    limits[field] = parsed;
  }
  return limits;
}

/** A pattern list that sshd can match with an address (match_host_and_ip in OpenSSH's match.c). */
function readFrom(list: string): string | Refusal {
  const patterns = list.split(",");
  for (const pattern of patterns) {
    const wrong = addressProblem(pattern.replace(/^!/, ""));
    if (wrong)
      return {
        text: `from: ${wrong}`,
        hint: 'As in from="192.0.2.7,198.51.100.0/24,!198.51.100.9,2001:db8::/32".',
      };
  }
  if (patterns.every((pattern) => pattern.startsWith("!")))
    return {
      text: "from: exclusions alone let nobody in",
      hint: 'Add what they are excluded from, as in from="!192.0.2.9,*".',
    };
  return list;
}

function addressProblem(pattern: string): string | null {
  const [address = "", bits] = pattern.split(/\/(.*)/s);
  if (bits !== undefined) return networkProblem(address, bits);
  if (isIPv4(address) || (isIPv6(address) && !address.includes("%"))) return null;
  if (/^[0-9a-fA-F.:]*[*?][0-9a-fA-F.:*?]*$/.test(address)) return null;
  return "only addresses, networks and patterns are allowed; host names are not resolved";
}

/** sshd takes a network with host bits for an error, and denies the login (addr_pton_cidr in OpenSSH's addr.c). */
function networkProblem(address: string, bits: string): string | null {
  const network = `${address}/${bits}`;
  const family = isIPv4(address) ? ipaddr.IPv4 : ipaddr.IPv6;
  const isPlain = isIPv4(address) || (isIPv6(address) && !/[.%]/.test(address));
  if (!isPlain || !/^[0-9]{1,3}$/.test(bits) || !family.isValidCIDR(network)) return "a network is not valid";
  return family.networkAddressFromCIDR(network).toString() === family.parse(address).toString()
    ? null
    : "a network's address has bits beyond its mask";
}

/** The time in UTC. Without a Z it is local time, as for sshd; in UTC it stays the same if TZ changes later. */
function readExpiry(text: string, timeZone: string): string | Refusal {
  const match = /^([0-9]{4})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})([0-9]{2})?)?(Z?)$/.exec(text);
  const wrong = {
    text: "expiry-time: not a valid time",
    hint: 'As in expiry-time="20301231Z" or expiry-time="203012312359Z".',
  };
  if (!match || match[1]! < "1970") return wrong;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const zone = match[7] === "Z" ? "UTC" : timeZone;
  try {
    const parts = { year, month, day, hour, minute, second };
    const instant = Temporal.PlainDateTime.from(parts, { overflow: "reject" })
      .toZonedDateTime(zone)
      .toInstant();
    return `${instant.toString({ smallestUnit: "second" }).replace(/[-:TZ]/g, "")}Z`;
  } catch {
    return wrong; // there is no such day or hour
  }
}
