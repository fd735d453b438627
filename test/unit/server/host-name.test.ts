import { expect, test } from "vitest";
import { randomName, requireUsableHostName } from "../../../src/server/host-name.ts";

test.each(["3f2a9c0b1d4e", "borgserver-7d4b9c6f5d-x2x9q", "backup-5c6b7d8f9-zxcvb"])(
  "a name that an engine gave at random is told, where another server had the storage: %s",
  (name) => {
    expect(randomName(name, ["left"])?.text).toBe(
      `the host name ${name} looks random, and this storage has records of left`,
    );
    expect(randomName(name, ["left", "right"])?.text).toContain("of left and 1 more");
    expect(randomName(name, [])).toBeNull();
  },
);

test.each([
  "backup",
  "borgserver-0",
  "backup-eu-west-1",
  "node-12345",
  "3f2a9c0b1d4",
  "deadbeef",
  "nas-archive-media",
])("a name that people give is none: %s", (name) => expect(randomName(name, ["left"])).toBeNull());

test("a name that a folder beside the records has is refused", () => {
  for (const name of ["repositories", "manifests"])
    expect(() => requireUsableHostName(name)).toThrow(`the host name cannot be "${name}"`);
  requireUsableHostName("backup");
});
