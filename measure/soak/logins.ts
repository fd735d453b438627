import { finished, type Machine } from "../../test/machine/machine.ts";

/** Logs in all the time with the key of an account, two at once, until it is stopped. */
export function logInAllTheTime(
  machine: Machine,
  account: string,
): { stop(): Promise<{ tried: number; lost: number }> } {
  const loop = machine.spawn(
    `rm -f /client/stop /client/logins
     for client in 1 2; do
       until [ -e /client/stop ]; do
         said=$(ssh -i /client/${account} -o IdentitiesOnly=yes -o UserKnownHostsFile=/client/known_hosts -o BatchMode=yes \
           ${account}@127.0.0.1 borg serve </dev/null 2>&1) && echo in >>/client/logins || echo "out: $said" >>/client/logins
       done &
     done
     wait`,
  );
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
