import { finished, type Machine } from "../../test/machine/machine.ts";

/** Logs in all the time with the key of an account, two at once, until it is stopped. */
export function logInAllTheTime(
  machine: Machine,
  account: string,
): { stop(): Promise<{ tried: number; lost: number }> } {
  const loop = machine.spawn(`exec ${import.meta.dirname}/log_in_until_stopped ${account}`);
  const ended = finished(loop);
  return {
    async stop() {
      await machine.ok("touch /client/stop");
      await ended;
      const results = (await machine.ok("cat /client/logins")).trimEnd().split("\n");
      const lost = results.filter((line) => line !== "in");
      for (const line of lost) process.stderr.write(`a login was lost: ${line}\n`);
      return { tried: results.length, lost: lost.length };
    },
  };
}
