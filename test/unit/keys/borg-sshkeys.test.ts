import { expect, test } from "vitest";
import { borgAccount } from "../../../src/keys/borg-sshkeys.ts";
import { clientKey } from "../../corpus/clients.ts";

const one = clientKey("client").line;
const two = clientKey("p256").line;

test.each(["", " \n", "\t"])("%j gives no account and no problem", (borgKeys) => {
  expect(borgAccount({ borgKeys })).toEqual({ account: null, problems: [] });
});

test("keys are separated by commas or line breaks, but not by a comma inside an option", () => {
  const from = `from="192.0.2.1,192.0.2.2" ${one}`;
  for (const separator of [",", "\n", ",\n"]) {
    const { account, problems } = borgAccount({ borgKeys: `${from}${separator}${two}` });
    expect(problems).toEqual([]);
    expect(account).toMatchObject({ name: "borg", role: "admin", source: "BORG_SSHKEYS" });
    expect(account?.keys.map(({ addresses }) => addresses)).toEqual(["192.0.2.1,192.0.2.2", ""]);
  }
});

test("a key that is not valid is a problem of the setting", () => {
  expect(borgAccount({ borgKeys: "ssh-ed25519 AAAA" }).problems).toMatchObject([{ where: "BORG_SSHKEYS" }]);
});
