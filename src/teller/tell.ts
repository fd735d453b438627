import { createInterface } from "node:readline";
import { jsonObject } from "../json-object.ts";
import { publishedFolder } from "../paths.ts";
import { exitCode } from "../problem.ts";
import { ordersAtOnce, sendOne } from "./sender.ts";
import { serve } from "./server.ts";

/** How many orders wait at most; the keeper hands over no more than are worked on at once. */
const mostWaiting = 100;

/**
 * The process that speaks with the world. The keeper writes on its standard input, a line of JSON each, first what it is to
 * serve and then orders, and reads on its standard output how each went. It ends when that input does, after what it has begun.
 * @returns the exit code
 */
export async function tell(): Promise<number> {
  const waiting: Record<string, unknown>[] = [];
  let sending = 0;
  let hasEnded = false;
  let isServing = false;
  return new Promise((resolve) => {
    const goOn = () => {
      while (sending < ordersAtOnce && waiting.length > 0) {
        sending += 1;
        sendOne(waiting.shift()!).then((answer) => {
          say(answer);
          sending -= 1;
          goOn();
        });
      }
      if (hasEnded && sending === 0) resolve(exitCode.done);
    };
    createInterface({ input: process.stdin })
      .on("line", (line) => {
        const order = jsonObject(line);
        if (!order) return;
        if ("listen" in order) {
          if (typeof order.listen !== "string" || isServing) return;
          isServing = true;
          serve(order.listen, publishedFolder).catch((error: Error) => say({ failed: error.message }));
        } else if (waiting.length < mostWaiting) {
          waiting.push(order);
          goOn();
        } else say({ id: order.id, results: ["too much waits to be sent"] });
      })
      .on("close", () => {
        hasEnded = true;
        goOn();
      });
  });
}

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
