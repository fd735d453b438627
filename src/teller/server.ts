import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { reasonOf } from "../failure.ts";
import { statusAsJson } from "../ledger/status.ts";
import { jsonLines, note } from "../report.ts";
import { metricsText, processMetricsText } from "./metrics.ts";
import { overviewPage, refusalPage, repositoryPage } from "./page.ts";
import { type Published, silence } from "./published.ts";
import { StateFile } from "./state-file.ts";
import { styleHash } from "./style.ts";

/**
 * Serves the page and the metrics.
 * @param listen HOST:PORT; without a HOST on all addresses
 * @param folder what the keeper publishes
 * @returns when it listens
 */
export function serve(listen: string, folder: string): Promise<Server> {
  const state = new StateFile(folder);
  const server = createServer(limits, (request, response) => {
    answer(request, state)
      .catch((error): Answer => {
        note(`the page cannot be shown: ${reasonOf(error)}`);
        return plain(500, "The state cannot be shown.");
      })
      .then((result) => send(request, response, result));
  });
  boundConnections(server);
  const [, host, port] = /^(.*):([0-9]+)$/.exec(listen) ?? [];
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: Number(port), ...(host && { host: host.replace(/^\[(.*)\]$/, "$1") }) }, () => {
      server.off("error", reject);
      server.on("error", (error) => note(`the page cannot be served: ${reasonOf(error)}`));
      resolve(server);
    });
  });
}

/** Sizes in bytes, times in milliseconds. */
const limits = {
  ...{ maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 5000, connectionsCheckingInterval: 1000 },
  keepAlive: false,
};
/** A browser has six, a proxy as many as there are people. What a slow client leaves unread takes memory for each. */
const mostConnections = 50;
const longestConnection = 30_000; // milliseconds

/** Each connection ends by its time, and the oldest where there are too many: slow clients take nobody's place. */
function boundConnections(server: Server): void {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    const deadline = setTimeout(() => socket.destroy(), longestConnection);
    deadline.unref();
    open.add(socket);
    socket.on("close", () => {
      clearTimeout(deadline);
      open.delete(socket);
    });
    const [oldest] = open;
    if (open.size > mostConnections && oldest) {
      open.delete(oldest);
      oldest.destroy();
    }
  });
}

interface Answer {
  code: number;
  type: string;
  text: string;
}

const plain = (code: number, sentence: string): Answer => ({
  ...{ code, type: "text/plain; charset=utf-8", text: `${sentence}\n` },
});
const page = (code: number, text: string): Answer => ({ code, type: "text/html; charset=utf-8", text });

async function answer({ method, url = "" }: IncomingMessage, file: StateFile): Promise<Answer> {
  if (method !== "GET" && method !== "HEAD") return plain(405, "Only GET and HEAD are answered.");
  const [, path = "", query = ""] = /^([^?]*)\??(.*)$/s.exec(url) ?? [];
  const now = Date.now();
  const state = file.read();
  const silent = silence(state, now);
  const repository = /^\/repository\/([^/]+)$/.exec(path)?.[1];
  const found =
    path === "/"
      ? overviewPage(state, Number(new URLSearchParams(query).get("page") ?? 1), now)
      : repository !== undefined
        ? pageOfRepository(repository, file, state, now)
        : null;
  if (found !== null) return page(200, found);
  switch (path) {
    case "/healthz":
      return silent === null ? plain(200, "ok") : plain(503, silent);
    case "/metrics":
      return metrics(state);
    case "/status.json":
      return state === null ? plain(503, silent ?? "") : statusJson(state);
    default:
      return page(404, refusalPage(state, "Not found", "There is nothing of this name here.", now));
  }
}

function pageOfRepository(
  encoded: string,
  file: StateFile,
  state: Published | null,
  now: number,
): string | null {
  const name = decoded(encoded);
  if (name === null || state === null) return null;
  return repositoryPage(state, name, () => file.sessions(name), now);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

async function metrics(state: Published | null): Promise<Answer> {
  const text = `${state === null ? "" : await metricsText(state)}${await processMetricsText()}`;
  return { code: 200, type: "text/plain; version=0.0.4; charset=utf-8", text };
}

function statusJson(state: Published): Answer {
  const lines = jsonLines(state.repositories.map(({ status }) => statusAsJson(status)));
  return { code: 200, type: "application/json", text: `${lines.join("\n")}\n` };
}

/** Nobody frames a page, keeps it, or is told of it, and it loads nothing but itself. */
const headers = {
  "Content-Security-Policy": `default-src 'none'; style-src ${styleHash}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
  Connection: "close",
};

function send({ method }: IncomingMessage, response: ServerResponse, { code, type, text }: Answer): void {
  const content = Buffer.from(text);
  response.writeHead(code, {
    ...headers,
    ...(code === 405 && { Allow: "GET, HEAD" }),
    ...{ "Content-Type": type, "Content-Length": content.length },
  });
  response.end(method === "HEAD" ? undefined : content);
}
