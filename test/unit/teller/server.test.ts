import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import { statusAsJson } from "../../../src/ledger/status.ts";
import { serve } from "../../../src/teller/server.ts";
import { publish, published, put, repository, session } from "./made-up.ts";

let folder: string;
let server: Server;
let origin: string;

beforeEach(async () => {
  folder = mkdtempSync(`${tmpdir()}/teller-`);
  server = await serve("127.0.0.1:0", folder);
  const address = server.address();
  origin = `http://127.0.0.1:${typeof address === "object" && address?.port}`;
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const get = (path: string, init: RequestInit = {}) => fetch(origin + path, init);
const textOf = async (path: string) => (await get(path)).text();

test("every answer closes the browser in", async () => {
  publish(folder, published([repository("web", Date.now())], Date.now()));
  for (const path of ["/", "/repository/web", "/metrics", "/healthz", "/status.json", "/nothing"]) {
    const { headers } = await get(path);
    expect(headers.get("content-security-policy")).toMatch(
      /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cache-control")).toBe("no-store");
    expect([...headers.keys()].filter((name) => /set-cookie|server|powered/.test(name))).toEqual([]);
  }
});

test("a page loads nothing, runs nothing and sends nothing", async () => {
  publish(folder, published([repository("web", Date.now())], Date.now()), { web: [session(Date.now())] });
  for (const path of ["/", "/repository/web"]) {
    const page = await textOf(path);
    expect(page).not.toMatch(
      /<(?:script|link|img|iframe|form|object|embed|base)\b|\bstyle=|\bon[a-z]+=|https?:|url\(|@import/i,
    );
    expect([...page.matchAll(/\b(?:href|src)="([^"]*)"/g)].every(([, to]) => /^[/#]/.test(to!))).toBe(true);
  }
});

test("/status.json is what status --json prints", async () => {
  const names = ["web", 'quo"te', "a\u202eb"];
  const all = names.map((name) => repository(name, Date.now(), { lastCheck: null }));
  publish(folder, published(all, Date.now()));
  const text = await textOf("/status.json");
  expect(JSON.parse(text)).toEqual(all.map(({ status }) => statusAsJson(status)));
  expect(text).toContain('    "repository": "a\\u202eb",\n');
});

test("healthz is ok as long as the keeper publishes", async () => {
  const answer = async () => {
    const response = await get("/healthz");
    return [response.status, await response.text()];
  };
  expect(await answer()).toEqual([
    ...[503, "Nothing is known yet. The keeper, which starts with the server, finds it out.\n"],
  ]);
  publish(folder, published([], Date.now()));
  expect(await answer()).toEqual([200, "ok\n"]);
  publish(folder, published([], Date.UTC(2026, 0, 1)));
  expect(await answer()).toEqual([503, "The keeper has not answered since 2026-01-01T00:00:00Z.\n"]);
});

test("the last state that was put there counts, also after one that was damaged or taken away", async () => {
  expect(await textOf("/")).toContain("Nothing is known yet.");
  expect((await get("/status.json")).status).toBe(503);
  expect(await textOf("/metrics")).toMatch(/^# HELP process_cpu_seconds_total/);
  publish(folder, published([repository("first", Date.now())], Date.now()));
  expect(await textOf("/")).toContain("first");
  for (const damaged of ["{", "", "null", "[]", '{"made":1,"repositories":7}']) {
    put(`${folder}/state.json`, damaged);
    expect(await textOf("/")).toContain("Nothing is known yet.");
  }
  put(`${folder}/state.json`, '{"made":1,"repositories":[7]}');
  expect((await get("/")).status).toBe(500);
  rmSync(`${folder}/state.json`);
  expect((await get("/healthz")).status).toBe(503);
  publish(folder, published([repository("second", Date.now())], Date.now()));
  expect(await textOf("/")).toContain("second");
  expect(await textOf("/metrics")).toContain('borgserver_repository_late{repository="second"} 0');
});

test("a repository's page is found by its name, whatever that is", async () => {
  const names = ["web", "100%", "a b/ü", "../state", "?x#y"];
  publish(
    folder,
    published(
      names.map((name) => repository(name, Date.now())),
      Date.now(),
    ),
    Object.fromEntries(names.map((name) => [name, [session(Date.now(), { account: `of ${name}` })]])),
  );
  for (const name of names)
    expect(await textOf(`/repository/${encodeURIComponent(name)}`)).toContain(`<td>of ${name}</td>`);
  put(`${folder}/sessions/${"0".repeat(64)}.json`, "[]");
  for (const path of [
    "/repository/other",
    "/repository/%",
    "/repository/",
    "/repository/web/",
    "/repository/%00",
  ])
    expect([path, (await get(path)).status]).toEqual([path, 404]);
});

test("sessions that cannot be read leave the page whole", async () => {
  publish(folder, published([repository("web", Date.now())], Date.now()), { web: [session(Date.now())] });
  expect(await textOf("/repository/web")).toContain("The last 1 session");
  const { nameOfSessions } = await import("../../../src/teller/published.ts");
  for (const damaged of ["{", "{}"]) {
    put(`${folder}/sessions/${nameOfSessions("web")}`, damaged);
    expect(await textOf("/repository/web")).toContain("No session is known yet.");
  }
});

test("what is not there is not found, and only reading is answered", async () => {
  publish(folder, published([], Date.now()));
  for (const path of [
    "/x",
    "//",
    "/?page=2",
    "/?page=0",
    "/?page=x",
    "/?page=1.0",
    "/metrics/",
    "/state.json",
    "/../state.json",
  ])
    expect([path, (await get(path)).status]).toEqual([path, 404]);
  for (const path of ["/?page=1", "/?x=y"]) expect((await get(path)).status).toBe(200);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const { status, headers } = await get("/", { method });
    expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  }
  const head = await get("/", { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  expect(head.headers.get("content-length")).toBe(String((await textOf("/")).length));
});

test("a new state is told at once", async () => {
  const all = (late: boolean) => published([repository("web", Date.now(), { late })], Date.now());
  publish(folder, all(false));
  expect(await textOf("/metrics")).toContain('borgserver_repository_late{repository="web"} 0');
  expect(await textOf("/")).toContain("nothing needs attention");
  publish(folder, all(true));
  expect(await textOf("/metrics")).toContain('borgserver_repository_late{repository="web"} 1');
  expect(await textOf("/")).toContain("1 needs attention");
  expect(JSON.parse(await textOf("/status.json"))).toMatchObject([{ repository: "web", late: true }]);
});

test("slow clients take nobody's place", async () => {
  publish(folder, published([], Date.now()));
  const began = performance.now();
  const slow = Array.from({ length: 200 }, () => connect(Number(new URL(origin).port), "127.0.0.1"));
  for (const socket of slow) {
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\n");
  }
  await Promise.all(
    slow.slice(0, 100).map((socket) => new Promise((resolve) => socket.on("close", resolve))),
  );
  expect((await get("/healthz")).status).toBe(200);
  expect(performance.now() - began).toBeLessThan(3000); // before any of them had to send the rest
  for (const socket of slow) socket.destroy();
});

test("headers have a limit", async () => {
  publish(folder, published([], Date.now()));
  const answerTo = async (length: number) => {
    try {
      return (await get("/healthz", { headers: { "X-Long": "x".repeat(length) } })).status;
    } catch {
      return "no answer";
    }
  };
  expect(await answerTo(7000)).toBe(200);
  expect(await answerTo(9000)).not.toBe(200);
});

test.each(["127.0.0.1:0", ":0", "[::1]:0", "localhost:0"])("it listens at %s", async (listen) => {
  const one = await serve(listen, folder);
  const address = one.address();
  const host = listen.startsWith("[") ? "[::1]" : listen.startsWith("l") ? "localhost" : "127.0.0.1";
  const response = await fetch(`http://${host}:${typeof address === "object" && address?.port}/healthz`);
  expect(response.status).toBe(503);
  one.close();
});

test("a port that is taken is an error", async () => {
  await expect(serve(origin.slice("http://".length), folder)).rejects.toThrow("EADDRINUSE");
});
