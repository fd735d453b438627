import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { reasonOf } from "../failure.ts";
import { statusAsJson } from "../ledger/status.ts";
import { jsonLines, note } from "../report.ts";
import { metricsText, processMetricsText } from "./metrics.ts";
import { overviewPage, pagesOf, refusalPage, repositoryPage } from "./page.ts";
import { type Published, silence } from "./published.ts";
import { Remembered } from "./remembered.ts";
import { StateFile } from "./state-file.ts";
import { styleHash } from "./style.ts";

/**
 * Serves the page and the metrics.
 * @param listen HOST:PORT; without a HOST on all addresses
 * @param folder what the keeper publishes
 * @returns when it listens
 */
export function serve(listen: string, folder: string): Promise<Server> {
  const answers = new Answers(folder);
  const server = createServer(limits, (request, response) => {
    answers
      .to(request)
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
  content: Buffer[];
}

const plain = (code: number, sentence: string): Answer => ({
  ...{ code, type: "text/plain; charset=utf-8", content: [Buffer.from(`${sentence}\n`)] },
});
const page = (code: number, content: string | Buffer): Answer => ({
  ...{
    code,
    type: "text/html; charset=utf-8",
    content: [typeof content === "string" ? Buffer.from(content) : content],
  },
});

/** Answers from the state as it is now. */
class Answers {
  readonly #file: StateFile;
  readonly #remembered = new Remembered();

  constructor(folder: string) {
    this.#file = new StateFile(folder);
  }

  async to({ method, url = "" }: IncomingMessage): Promise<Answer> {
    if (method !== "GET" && method !== "HEAD") return plain(405, "Only GET and HEAD are answered.");
    const [, path = "", query = ""] = /^([^?]*)\??(.*)$/s.exec(url) ?? [];
    const now = Date.now();
    const state = this.#file.read();
    switch (path) {
      case "/":
        return this.#overview(state, new URLSearchParams(query).get("page") ?? "1", now);
      case "/healthz": {
        const silent = silence(state, now);
        return silent === null ? plain(200, "ok") : plain(503, silent);
      }
      case "/metrics":
        return this.#metrics(state, now);
      case "/status.json":
        return this.#status(state, now);
      default:
        return this.#repository(state, path, now);
    }
  }

  async #overview(state: Published | null, which: string, now: number): Promise<Answer> {
    if (!/^[1-9][0-9]{0,5}$/.test(which) || Number(which) > pagesOf(state)) return notFound(state, now);
    const make = () => overviewPage(state, Number(which), now);
    return page(200, state === null ? make() : await this.#remembered.get(state, `/${which}`, now, make));
  }

  async #metrics(state: Published | null, now: number): Promise<Answer> {
    const ofState = state && (await this.#remembered.get(state, "metrics", now, () => metricsText(state)));
    const ofProcess = Buffer.from(await processMetricsText());
    return {
      ...{ code: 200, type: "text/plain; version=0.0.4; charset=utf-8" },
      content: [...(ofState ? [ofState] : []), ofProcess],
    };
  }

  async #status(state: Published | null, now: number): Promise<Answer> {
    if (state === null) return plain(503, silence(state, now) ?? "");
    const make = () =>
      `${jsonLines(state.repositories.map(({ status }) => statusAsJson(status))).join("\n")}\n`;
    const content = [await this.#remembered.get(state, "status", now, make)];
    return { code: 200, type: "application/json", content };
  }

  #repository(state: Published | null, path: string, now: number): Answer {
    const name = decoded(/^\/repository\/([^/]+)$/.exec(path)?.[1] ?? "");
    const found = state && name ? repositoryPage(state, name, () => this.#file.sessions(name), now) : null;
    return found === null ? notFound(state, now) : page(200, found);
  }
}

const notFound = (state: Published | null, now: number) =>
  page(404, refusalPage(state, "Not found", "There is nothing of this name here.", now));

/** @returns null where it is not the encoding of a text */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
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

function send({ method }: IncomingMessage, response: ServerResponse, { code, type, content }: Answer): void {
  response.writeHead(code, {
    ...headers,
    ...(code === 405 && { Allow: "GET, HEAD" }),
    ...{ "Content-Type": type, "Content-Length": content.reduce((sum, { length }) => sum + length, 0) },
  });
  if (method !== "HEAD") for (const part of content) response.write(part);
  response.end();
}
