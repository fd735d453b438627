import { authorizedKeys } from "./login/authorized-keys.ts";
import { setDeadline } from "./login/deadline.ts";

/**
 * sshd waits for the answer while a client does; a login that could not be decided by then is denied. The answer
 * needs a hundredth of that processor time. The wall time is for a small share of a processor, on which the same takes
 * long without being stuck; two answers fit into sshd's LoginGraceTime (libexec/sshd_config.template).
 */
const longestLogin = { processor: 2, real: 20 }; // seconds

const name = process.argv0.split("/").at(-1) ?? "";
const words = process.argv.slice(2);

if (name === "borgserver" && words[0] === "authorized-keys" && words.length === 3) {
  setDeadline(longestLogin);
  process.exit(await authorizedKeys(words[1]!, words[2]!));
}
const { run } = await import("./operator/command.ts");
process.exitCode = await run(name, words);
