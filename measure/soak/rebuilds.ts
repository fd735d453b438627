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
    await machine.ok(`${import.meta.dirname}/rebuild ${times}`);
    const { tried, lost } = await logins.stop();
    return row(`logins through ${times} rebuilds`, { tried, loginsLost: lost });
  } finally {
    await machine.stop();
  }
}
