import fc from "fast-check";
import { expect, test } from "vitest";
import { borgAccount } from "../../../src/keys/borg-sshkeys.ts";
import { parseKeyFile } from "../../../src/keys/key-file.ts";
import { neverTakenOption, parseKeyOptions as parse } from "../../../src/keys/key-options.ts";
import { keyLine } from "../../../src/login/key-line.ts";
import { isRefusal } from "../../../src/problem.ts";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFLrGwIdOiVVIOCVNQhQXHUtODBVFpCgYS0LqGBXbXI6";

const parseKeyOptions = (text: string) => parse(text, "UTC");

test.each([
  "192.0.2.7",
  "192.0.2.0/24",
  "0.0.0.0/0",
  "10.0.*.?",
  "*",
  "2001:db8::/32",
  "2001:db8:0:1::/64",
  "::1",
  "2001:db8::5/128",
  "::/0",
  "192.0.2.7/32",
  "192.0.2.6/31",
  "::ffff:192.0.2.1",
  "2001:DB8::/32",
  "192.0.2.*,!192.0.2.9",
  "*:*",
  "!192.0.2.9,192.0.2.0/24",
])('from="%s" is taken as it is', (list) => {
  expect(parseKeyOptions(`from="${list}"`)).toEqual({ addresses: list, expires: "" });
});

const notAnAddress = /host names are not/;
const notANetwork = /a network is not valid/;
const beyondTheMask = /bits beyond its mask/;

test.each([
  ["", notAnAddress],
  ["192.0.2", notAnAddress],
  ["fe80::1%eth0", notAnAddress],
  ["web.example.org", notAnAddress],
  ["*.example.org", notAnAddress],
  ["10.*x", notAnAddress],
  ["x10.*", notAnAddress],
  ["192.0.2.1,", notAnAddress],
  ["192.0.2.1, 192.0.2.2", notAnAddress],
  ["!!192.0.2.1,*", notAnAddress],
  ["192.0.2.0/33", notANetwork],
  ["2001:db8::/129", notANetwork],
  ["192.0.2.0/24/1", notANetwork],
  ["192.0.2.0/", notANetwork],
  ["192.0.2.0/1000", notANetwork],
  ["192.0.2.0/+8", notANetwork],
  ["192.0.2.0/8x", notANetwork],
  ["10.*/8", notANetwork],
  ["/8", notANetwork],
  ["10/8", notANetwork],
  ["::ffff:192.0.2.0/120", notANetwork],
  ["fe80::%eth0/64", notANetwork],
  ["192.0.2.1/24", beyondTheMask],
  ["0.0.0.1/0", beyondTheMask],
  ["192.0.2.127/31", beyondTheMask],
  ["2001:db8::1/32", beyondTheMask],
  ["::1/127", beyondTheMask],
  ["!192.0.2.9", /exclusions alone/],
  ["!192.0.2.9,!192.0.2.10", /exclusions alone/],
])('from="%s" is refused, for its own reason, with an example', (list, reason) => {
  expect(parseKeyOptions(`from="${list}"`)).toEqual({
    text: expect.stringMatching(reason),
    hint: expect.stringMatching(/as in from="!?192\.0\.2\./i),
  });
});

test("a time with Z is UTC, one without is local, and both are written as UTC", () => {
  const expiry = (text: string, zone = "UTC") => parse(`expiry-time="${text}"`, zone);
  expect(expiry("20301231Z", "Asia/Kolkata")).toEqual({ addresses: "", expires: "20301231000000Z" });
  expect(expiry("203012312359Z")).toEqual({ addresses: "", expires: "20301231235900Z" });
  // UTC+5:30, without summer time
  expect(expiry("20300101053000", "Asia/Kolkata")).toEqual({ addresses: "", expires: "20300101000000Z" });
  expect(expiry("20300101", "Asia/Kolkata")).toEqual({ addresses: "", expires: "20291231183000Z" });
});

test("a time is told to the second, from 1970 on", () => {
  const expiry = (text: string) => parse(`expiry-time="${text}"`, "UTC");
  expect(expiry("20300102030405Z")).toEqual({ addresses: "", expires: "20300102030405Z" });
  expect(expiry("19700101Z")).toEqual({ addresses: "", expires: "19700101000000Z" });
  expect(expiry("20280229Z")).toEqual({ addresses: "", expires: "20280229000000Z" });
});

test("what can be taken is said of what is not", () => {
  for (const text of ['command="x"', "bogus", 'from="192.0.2.1",from="192.0.2.1"', ","])
    expect(parseKeyOptions(text)).toMatchObject({ hint: expect.stringContaining('from="ADDRESS') });
  expect(parseKeyOptions('expiry-time="soon"')).toMatchObject({
    hint: expect.stringContaining('expiry-time="20301231Z"'),
  });
});

test.each(["ptyx", "xpty", "pty;x", "pty-x", "ptyé", "", " pty"])(
  "%j is no option that sshd knows",
  (text) => {
    expect(neverTakenOption(text)).toBeNull();
  },
);

test.each(["pty", "PTY,restrict", "pty x", "pty\tx", 'pty"x"', 'command="x"'])(
  "%j begins with an option that sshd knows",
  (text) => {
    expect(neverTakenOption(text)?.text).toMatch(/option (pty|command) /);
  },
);

test("a local time that clocks show twice, or never, is taken as before the change", () => {
  const berlin = (text: string) => parse(`expiry-time="${text}"`, "Europe/Berlin");
  expect(berlin("202610250230")).toEqual({ addresses: "", expires: "20261025003000Z" });
  expect(berlin("202603290230")).toEqual({ addresses: "", expires: "20260329013000Z" });
});

test.each([
  "",
  "tomorrow",
  "2030",
  "20301301Z",
  "20300230Z",
  "203001012460Z",
  "20300101250000Z",
  "2030-01-01",
  "+1d",
  "20300101z",
  "x20300101Z",
  "20300101Zx",
  "2030010112Z",
  "2030010112345Z",
  "20301231235960Z",
  "20300000Z",
  "19691231Z",
  "00010101Z",
])('expiry-time="%s" is refused', (text) => {
  expect(parseKeyOptions(`expiry-time="${text}"`)).toMatchObject({ text: "expiry-time: not a valid time" });
});

test.each([
  "no-restrict",
  'no-pty="yes"',
  "from=192.0.2.1",
  'from="192.0.2.1"x',
  'from="192.0.2.1\\"',
  'from="192.0.2.1',
])("%s is refused", (text) => {
  expect(parseKeyOptions(text)).toMatchObject({ text: expect.stringMatching(/not accepted/) });
});

test.each([
  "restrict",
  "no-pty",
  "no-agent-forwarding,no-port-forwarding,no-user-rc",
  "No-X11-Forwarding",
  "touch-required",
  "restrict,RESTRICT",
])("%s takes away what no key has, and changes nothing", (text) => {
  expect(parseKeyOptions(text)).toEqual({ addresses: "", expires: "" });
  expect(parseKeyOptions(`${text},from="192.0.2.1",${text}`)).toEqual({
    addresses: "192.0.2.1",
    expires: "",
  });
});

test.each([
  ["command", 'command="secret"'],
  ["command", 'COMMAND="echo \\"secret\\""'],
  ["command", 'from="192.0.2.1",command="secret"'],
  ["environment", 'environment="A=secret"'],
  ["cert-authority", "cert-authority"],
  ["principals", 'principals="secret"'],
  ["permitopen", 'permitopen="secret:1"'],
  ["permitlisten", 'no-pty,permitlisten="1"'],
  ["tunnel", 'tunnel="0"'],
  ["pty", "restrict,pty"],
  ["user-rc", "User-RC"],
  ["port-forwarding", "port-forwarding"],
  ["agent-forwarding", "agent-forwarding"],
  ["X11-forwarding", "x11-forwarding"],
  ["no-touch-required", "no-touch-required"],
  ["no-verify-required", "no-verify-required"],
  ["verify-required", "verify-required"],
])("the problem names %s, and not its value, in %s", (name, text) => {
  const refusal = parseKeyOptions(text);
  expect(refusal).toMatchObject({ text: `the option ${name} before the key is not accepted` });
  expect(JSON.stringify(refusal)).not.toContain("secret");
});

test("an option may be there once, in any order and any case, as for sshd", () => {
  expect(parseKeyOptions('Expiry-Time="20300101Z",FROM="192.0.2.1"')).toEqual({
    addresses: "192.0.2.1",
    expires: "20300101000000Z",
  });
  expect(parseKeyOptions('from="192.0.2.1",from="192.0.2.2"')).toMatchObject({
    text: "the option from is there twice",
  });
});

test("a file keeps the limits of each key; one key with two limits is a problem", () => {
  const file = (text: string) => parseKeyFile("f", Buffer.from(text));
  expect(file(`from="192.0.2.1",expiry-time="20300101Z" ${key} a`).keys).toMatchObject([
    { addresses: "192.0.2.1", expires: "20300101000000Z", comment: "a" },
  ]);
  const { keys, problems } = file(`from="192.0.2.1" ${key}\n${key}\n`);
  expect(keys).toHaveLength(1);
  expect(problems).toMatchObject([{ line: 2, text: "the key is in line 1 too, with other options" }]);
});

test("BORG_SSHKEYS is split at commas between keys, not inside an option", () => {
  const { account, problems } = borgAccount({ borgKeys: `from="192.0.2.1,192.0.2.2" ${key} a` });
  expect(problems).toEqual([]);
  expect(account?.keys).toMatchObject([{ addresses: "192.0.2.1,192.0.2.2" }]);
});

test("every pattern list that is taken makes a key line", () => {
  const pattern = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.stringMatching(/^!?[0-9a-f.:*?%/]{1,12}$/),
    fc.string({ maxLength: 8 }),
  );
  let taken = 0;
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 3 }), (patterns) => {
      const limits = parseKeyOptions(`from="${patterns.join(",")}"`);
      if (isRefusal(limits)) return;
      taken++;
      expect(keyLine(["borg"], limits, "ssh-rsa", "AAAA")).toContain(`,from="${limits.addresses}" ssh-rsa`);
    }),
    { numRuns: 5000 },
  );
  expect(taken).toBeGreaterThan(500);
});

test.each([",", ',from="192.0.2.1"', 'from="192.0.2.1",', 'from="192.0.2.1",,expiry-time="20300101Z"'])(
  "%s is refused for its comma",
  (text) => {
    expect(parseKeyOptions(text)).toMatchObject({ text: "there is an extra comma before the key" });
  },
);
