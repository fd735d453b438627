import { Machine } from "../../test/machine/machine.ts";
import { logInAllTheTime } from "./logins.ts";
import { progress, type Row, row } from "./row.ts";

const times = 200;

/** Logins through rebuilds in a row, while other keys and accounts come and go. */
export async function rebuilds(): Promise<Row> {
  progress(`logins through ${times} rebuilds`);
  const machine = await Machine.start();
  try {
    await machine.write("/sshkeys/repos/steady", await machine.makeKey("steady"));
    await machine.makeKey("other");
    if (await machine.startServer()) throw new Error(machine.log);
    await machine.pinHostKeys();
    const logins = logInAllTheTime(machine, "steady");
    await machine.ok(
      `for round in $(seq ${times}); do
         name=/sshkeys/repos/other$((round % 7))
         case $((round % 4)) in
           0) rm -f $name; update-borgusers ;;
           1) cp /client/other.pub $name; update-borgusers ;;
           2) cat /client/other.pub >>/sshkeys/repos/steady; index rebuild ;;
           3) cp /client/steady.pub /sshkeys/repos/.steady; mv /sshkeys/repos/.steady /sshkeys/repos/steady; index rebuild ;;
         esac >/dev/null
       done`,
    );
    const { tried, lost } = await logins.stop();
    return row(`logins through ${times} rebuilds`, { tried, loginsLost: lost });
  } finally {
    await machine.stop();
  }
}
