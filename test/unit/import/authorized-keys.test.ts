import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAuthorizedKeys } from "../../../src/import/authorized-keys.ts";
import { clientKey } from "../../corpus/clients.ts";

const one = clientKey("client").line;
const other = clientKey("intruder").line;
const serve = 'command="borg serve --restrict-to-repository /srv/web01"';

const parse = (...lines: string[]) => parseAuthorizedKeys("old", Buffer.from(`${lines.join("\n")}\n`));

test("a line gives a key, what it opens, and the options that narrow it", () => {
  const { grants, ...rest } = parse(
    "# the web server",
    "",
    `restrict,from="192.0.2.0/24",expiry-time="20301231Z",${serve} ${one} root@web01`,
  );
  expect(rest).toEqual({ left: [], remarks: [], problems: [] });
  expect(grants).toMatchObject([
    {
      place: { where: "old", line: 3 },
      key: { comment: "root@web01", addresses: "192.0.2.0/24", expires: "20301231000000Z" },
      opens: [{ path: "/srv/web01", isRepository: true }],
      isAppendOnly: false,
      quota: null,
    },
  ]);
});

test.each([
  [`command="cd \\"/my files\\"; borg serve --restrict-to-path ." ${one}`, "/my files"],
  [`command="borg serve --restrict-to-path '/a, b'",no-pty,restrict ${one}`, "/a, b"],
  [`COMMAND="borg serve --restrict-to-path /a",No-Pty ${one}`, "/a"],
  [`#BW-ARCHIVED command="borg serve --restrict-to-path /a",restrict ${one}`, "/a"],
  [`  \t command="borg serve --restrict-to-path /a" ${one}\r`, "/a"],
])("%s opens its path", (line, path) => {
  expect(parse(line)).toMatchObject({ grants: [{ opens: [{ path }] }], left: [], remarks: [], problems: [] });
});

test("a line that BorgWarehouse has archived is archived", () => {
  expect(parse(`#BW-ARCHIVED ${serve} ${one}`).grants).toMatchObject([{ isArchived: true }]);
  expect(parse(`# ${serve} ${one}`).grants).toEqual([]);
});

test.each([
  [one, /no forced command/],
  [`restrict ${one}`, /no forced command/],
  [`command="rrsync /a" ${one}`, /not borg serve/],
  [`cert-authority,${serve} ${one}`, /the option cert-authority has no counterpart/],
  [`verify-required,${serve} ${one}`, /the option verify-required/],
  [`principals="a",cert-authority,${serve} ${one}`, /the option principals has/],
])("%s cannot be taken over", (line, reason) => {
  expect(parse(line)).toMatchObject({
    grants: [],
    left: [{ where: "old", line: 1, text: expect.stringMatching(reason) }],
    problems: [],
  });
});

test.each(["pty", "X11-forwarding", 'environment="A=b"', 'permitopen="a:1"', "no-touch-required"])(
  "%s is told, and the key taken without it",
  (option) => {
    const { grants, remarks } = parse(`${option},${serve} ${one}`);
    expect(grants).toHaveLength(1);
    expect(remarks.map(({ text }) => text)).toEqual([
      `the option ${option.split("=")[0]} is left out: no key has that here`,
    ]);
  },
);

test.each([
  [`what,${serve} ${one}`, /not known/],
  [`what="secret",${serve} ${one}`, /not known/],
  [`from="web.example.org",${serve} ${one}`, /host names/],
  [`${serve} ssh-dss AAAA`, /DSA/],
  [`${serve} ${one.slice(0, -4)}`, /base64|damaged/],
  [`${serve}`, /not an OpenSSH public key/],
  [`command="borg serve ${one}`, /not/],
  ["-----BEGIN OPENSSH PRIVATE KEY-----", /private key/],
  ["\0", /not plain text/],
])("%s stops everything", (line, reason) => {
  const { problems } = parse(`${serve} ${other}`, line);
  expect(problems).toMatchObject([{ where: "old", text: expect.stringMatching(reason) }]);
  expect(JSON.stringify(problems)).not.toContain("secret");
});

test("a key that sshd would find in an earlier line opens what that line says", () => {
  const second = `command="borg serve --restrict-to-path /b" ${one}`;
  expect(parse(`${serve} ${one}`, second)).toMatchObject({
    grants: [{ place: { line: 1 } }],
    left: [{ line: 2, text: expect.stringMatching(/line 1 too/) }],
  });
  expect(parse(`from="192.0.2.1",${serve} ${one}`, second).grants).toHaveLength(2);
});

test("whatever is in the file, each line is taken, left or a problem, and nothing is thrown", () => {
  const part = fc.constantFrom(
    ...[
      one,
      other,
      serve,
      "command=",
      "restrict",
      'from="::1"',
      ",",
      " ",
      '"',
      '\\"',
      "\\",
      "#BW-ARCHIVED ",
      "#",
      "\t",
      "=",
      "ssh-rsa",
      "é\u202e",
    ],
  );
  const line = fc.oneof(
    fc.array(part).map((parts) => parts.join("")),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const { grants, left, problems } = parse(...lines);
      for (const each of [...left, ...problems]) expect(each.text).not.toBe("");
      for (const { opens } of grants) expect(opens).not.toEqual([]);
    }),
    { numRuns: 1000 },
  );
});
