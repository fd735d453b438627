import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { published, repository } from "../unit/teller/made-up.ts";
import { Served } from "./served.ts";

// Clients that take their time, before the program as it is compiled: its runtime is another than that of the unit tests.

let served: Served;

beforeAll(async () => {
  served = await Served.start();
  const all = Array.from({ length: 5000 }, (_, at) => repository(`web${at}`, Date.now()));
  served.publish(published(all, Date.now()));
});
afterAll(() => served?.stop());

const request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
const seconds = (since: number) => (performance.now() - since) / 1000;
const answers = async () => (await fetch(`${served.origin}/healthz`)).status;

/** A client that sends this, bit by bit where it is told to. @returns when its connection has ended, in seconds */
async function lifeOf(text: string, bit = text.length): Promise<number> {
  const began = performance.now();
  const socket = connect(served.port, "127.0.0.1").on("error", () => {});
  const closed = once(socket, "close");
  socket.resume();
  let isOpen = true;
  closed.then(() => {
    isOpen = false;
  });
  for (let at = 0; isOpen && at < text.length; at += bit) {
    socket.write(text.slice(at, at + bit));
    await pause(100);
  }
  await closed;
  return seconds(began);
}

test.each([
  ["nothing", "", 0],
  ["half of a request", request.slice(0, 20), 20],
  ["a request byte by byte that never ends", `${request.slice(0, -2)}${"X: y\r\n".repeat(200)}`, 1],
  ["a body that never comes", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 100],
])("a client that sends %s is gone within ten seconds", async (_, text, bit) => {
  const life = lifeOf(text, bit || 1);
  expect(await answers()).toBe(200);
  expect(await life).toBeLessThan(10);
});

test("a client that does not read its answer is gone after half a minute", async () => {
  const before = sockets();
  const socket = connect(served.port, "127.0.0.1")
    .on("error", () => {})
    .pause();
  socket.write(request);
  const began = performance.now();
  while (sockets() === before) await pause(10);
  while (sockets() > before) {
    expect(seconds(began)).toBeLessThan(35);
    await pause(100);
  }
  expect(seconds(began)).toBeGreaterThan(20); // it was no answer that fits into the kernel
  socket.destroy();
});

/** How many the program has. */
function sockets(): number {
  const folder = `/proc/${served.pid}/fd`;
  const isSocket = (name: string) => {
    try {
      return readlinkSync(`${folder}/${name}`).startsWith("socket:");
    } catch {
      return false; // it was closed meanwhile
    }
  };
  return readdirSync(folder).filter(isSocket).length;
}

test("longer headers than eight kilobytes end a connection", async () => {
  const long = (length: number) => `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(length)}\r\n\r\n`;
  const answerTo = async (text: string) => {
    const socket = connect(served.port, "127.0.0.1").on("error", () => {});
    socket.write(text);
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk;
    });
    await once(socket, "close");
    return got;
  };
  expect(await answerTo(long(6000))).toMatch(/^HTTP\/1.1 200 /);
  expect(await answerTo(long(9000))).not.toMatch(/^HTTP\/1.1 200 /);
});

test("three hundred clients that read nothing take neither its memory nor anybody's place", async () => {
  const began = performance.now();
  const clients = Array.from({ length: 300 }, () => connect(served.port, "127.0.0.1"));
  const ends = clients.map(async (socket) => {
    socket.on("error", () => {}).pause();
    socket.write(request);
    await once(socket, "close");
  });
  const waits: number[] = [];
  for (let tries = 0; tries < 20; tries++) {
    const asked = performance.now();
    expect(await answers()).toBe(200);
    waits.push(seconds(asked));
    await pause(100);
  }
  const most =
    Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${served.pid}/status`, "utf8"))![1]) / 1000;
  console.log(`memory ${Math.round(most)} MB; longest wait ${Math.max(...waits).toFixed(2)} s`);
  expect(most).toBeLessThan(1000);
  for (const client of clients) client.resume(); // a connection's end is seen behind what was not read
  await Promise.all(ends);
  expect(seconds(began)).toBeLessThan(40);
  expect(await answers()).toBe(200);
});
