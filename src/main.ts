import { authorizedKeys } from "./login/authorized-keys.ts";
import { setDeadline } from "./login/deadline.ts";

/**
 * sshd and the client wait for the answer, and a login that is not decided by then is denied. The answer needs a hundredth
 * of that processor time. The wall time is longer, so that a small share of a processor makes it late and not denied; two
 * answers fit into sshd's LoginGraceTime (libexec/sshd_config.template).
 */
const longestLogin = { processor: 2, real: 20 }; // seconds

const name = process.argv0.split("/").at(-1) ?? "";
const words = process.argv.slice(2);

if (name === "borgserver" && words[0] === "authorized-keys" && words.length === 3) {
  setDeadline(longestLogin);
  process.exit(await authorizedKeys(words[1]!, words[2]!));
}
// libexec/resident.py's, while a client waits: without what operators' commands would load.
if (name === "borgserver" && words[0] === "keep-manifest" && words.length === 2) {
  const { keepManifest } = await import("./repositories/manifests.ts");
  keepManifest(words[1]!, Date.now());
  process.exit(0);
}
// The entrypoint's. It stays, so it loads no more than it needs.
if (name === "borgserver" && words[0] === "keep") {
  const { keep } = await import("./keeper/keep.ts");
  process.exit(await keep(words.slice(1)));
}
// libexec/teller.py's.
if (name === "borgserver" && words[0] === "tell") {
  const { tell } = await import("./teller/tell.ts");
  process.exit(await tell());
}
const { run } = await import("./operator/command.ts");
process.exitCode = await run(name, words);
