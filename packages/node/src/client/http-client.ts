/**
 * The HTTP API for programs: JSON over mutual TLS, several members to ask. Failures are values, and a request is repeated
 * at another member only where that cannot do a thing twice: before it was sent, or when it is a read, or when it carries
 * an idempotency key.
 *
 * Over node's own https, which a short-lived program has loaded in a tenth of the time that undici takes.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { reasons, reject, type Reason, type Rejection } from "@aether/core/kernel/command";
import { isEndpoint } from "./endpoint.ts";
import { ServerRefused, type ClientTlsOptions } from "../identity/tls.ts";

export interface HttpClientOptions {
  /** "host:port" of members, "[v6]:port" too. The one that answered last is asked first. RangeError on what is none. */
  readonly endpoints: readonly string[];
  readonly tls: ClientTlsOptions;
  /** For one member's answer. Default 10 s. */
  readonly timeoutMs?: number;
}

export interface HttpCall {
  readonly body?: unknown;
  /** The request may then be repeated safely. */
  readonly idempotencyKey?: string;
  /** If-Match: the version the write was decided on. */
  readonly ifVersion?: number;
  readonly timeoutMs?: number;
}

export type HttpAnswer =
  | {
      readonly ok: true;
      readonly status: number;
      readonly body: unknown;
      readonly headers: IncomingHttpHeaders;
      readonly endpoint: string;
    }
  | { readonly ok: false; readonly rejection: Rejection; readonly problem: Readonly<Record<string, unknown>> };

export interface LinesCall {
  /** The path to ask for lines from this index on. Called again, with a later index, after a broken connection. */
  readonly path: (from: number) => string;
  readonly from: number;
  /** Each line once, ascending by its `index`. Returning false ends the reading. A promise holds back the next line. */
  readonly onLine: (line: Readonly<Record<string, unknown>> & { readonly index: number }) => boolean | Promise<boolean>;
  /** Broken connections in a row without a line between them, after which it gives up. Default 20, about 5 s. */
  readonly tries?: number;
}

export type BytesAnswer =
  | { readonly ok: true; readonly bytes: AsyncIterable<Uint8Array> }
  | { readonly ok: false; readonly rejection: Rejection; readonly problem: Readonly<Record<string, unknown>> };

export interface HttpClient {
  /** Never rejects. */
  call(method: "GET" | "PUT" | "POST" | "DELETE", path: string, call?: HttpCall): Promise<HttpAnswer>;
  /** An answer as large as it likes: `bytes` gives it as it comes, and rejects when it breaks off before its end. Never rejects itself. */
  bytes(path: string): Promise<BytesAnswer>;
  /** Reads NDJSON and resumes after a broken connection. Null when the server ended it or onLine had enough. Rejects with what onLine throws. */
  lines(call: LinesCall): Promise<Rejection | null>;
  /** Breaks what is under way; a reading of lines ends as `not_ready`. */
  close(): void;
}

const answerBytesMax = 16 * 1024 * 1024;
const connectMs = 2_000;
/** A feed sends a heartbeat every 5 s; twice missed, it is taken for broken. */
const silentMs = 12_000;
const pauseMs = 250;

export function openHttpClient(o: HttpClientOptions): HttpClient {
  const wrong = o.endpoints.find((endpoint) => !isEndpoint(endpoint));
  if (o.endpoints.length === 0 || wrong !== undefined) throw new RangeError(`not "host:port": ${wrong ?? "no endpoint at all"}`);
  const agent = new Agent({ ...o.tls, keepAlive: true, maxSockets: 8, maxCachedSessions: 0 });
  let order = [...o.endpoints];
  let closed = false;
  const firstAnswer = async (method: string, path: string, call: HttpCall, repeatable: boolean): Promise<Reached> => {
    const failures: string[] = [];
    let refused = false;
    for (const endpoint of order) {
      const attempt = await ask(agent, endpoint, method, path, call, call.timeoutMs ?? o.timeoutMs ?? 10_000);
      if (attempt.a === "answer") {
        order = [endpoint, ...order.filter((other) => other !== endpoint)];
        return { message: attempt.message, endpoint };
      }
      failures.push(`${endpoint} ${attempt.why}`);
      refused ||= attempt.a === "refused";
      if (attempt.a === "unknown" && !repeatable) return ambiguous(`${method} ${path}`, attempt.why);
    }
    const said = `no member answers: ${failures.join("; ")}`;
    if (refused) return reject("unauthenticated", said, "is this certificate of this cluster, and still valid?");
    return reject("not_ready", said, "is the cluster up?");
  };
  return {
    call: async (method, path, call = {}) => {
      const repeatable = method === "GET" || call.idempotencyKey !== undefined;
      const reached = await firstAnswer(method, path, call, repeatable);
      if ("rejected" in reached) return { ok: false, rejection: reached, problem: {} };
      const text = await readAll(reached.message);
      if (text !== null) return judge(reached, text);
      const cut = "the connection broke in the middle of the answer";
      const rejection = repeatable
        ? reject("not_ready", `${method} ${path}: ${cut}`, "ask again")
        : ambiguous(`${method} ${path}`, cut);
      return { ok: false, rejection, problem: {} };
    },
    bytes: async (path) => bytesAnswer(await firstAnswer("GET", path, {}, true), path),
    lines: async (call) => {
      let from = call.from;
      for (let left = call.tries ?? 20; left > 0 && !closed; left--) {
        const reached = await firstAnswer("GET", call.path(from), {}, true);
        if (!("rejected" in reached)) {
          if (reached.message.statusCode !== 200) {
            const answer = judge(reached, (await readAll(reached.message)) ?? "");
            if (!answer.ok && answer.rejection.reason !== "not_ready") return answer.rejection;
          } else {
            const before = from;
            const ended = await eachLine(reached.message, async (line) => {
              if (line.index < from) return true;
              from = line.index + 1;
              return call.onLine(line);
            });
            if (ended) return null;
            if (from > before) left = call.tries ?? 20;
          }
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
      }
      return reject("not_ready", `no member continues ${call.path(from)}`, "resume from that index later");
    },
    close: () => {
      closed = true;
      agent.destroy();
    },
  };
}

type Reached = { readonly message: IncomingMessage; readonly endpoint: string } | Rejection;
type Attempt =
  | { readonly a: "answer"; readonly message: IncomingMessage }
  /** `unsent`: no secure connection was had, so nothing was asked. `refused`: nor was any, because of our certificate or theirs. */
  | { readonly a: "unsent" | "refused" | "unknown"; readonly why: string };

function ask(agent: Agent, endpoint: string, method: string, path: string, call: HttpCall, timeoutMs: number): Promise<Attempt> {
  const at = endpoint.lastIndexOf(":");
  const host = endpoint.slice(0, at).replaceAll(/^\[|\]$/g, "");
  const body = call.body === undefined ? null : Buffer.from(JSON.stringify(call.body));
  const headers = {
    accept: "application/json",
    ...(body === null ? {} : { "content-type": "application/json", "content-length": String(body.length) }),
    ...(call.idempotencyKey === undefined ? {} : { "idempotency-key": call.idempotencyKey }),
    ...(call.ifVersion === undefined ? {} : { "if-match": `"${call.ifVersion}"` }),
  };
  return new Promise((resolve) => {
    let sent = false;
    const req = request({ agent, host, port: Number(endpoint.slice(at + 1)), method, path, headers });
    const answering = setTimeout(() => req.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const connecting = setTimeout(() => {
      if (!sent) req.destroy(new Error(`no connection within ${connectMs} ms`));
    }, connectMs);
    const settle = (attempt: Attempt): void => {
      clearTimeout(answering);
      clearTimeout(connecting);
      resolve(attempt);
    };
    req.on("socket", (socket) => {
      // A kept-alive connection is secure already; on a new one nothing leaves before the handshake is done.
      if (req.reusedSocket) sent = true;
      else socket.once("secureConnect", () => (sent = true));
    });
    req.on("response", (message) => settle({ a: "answer", message }));
    req.on("error", (error: NodeJS.ErrnoException) => {
      // In TLS 1.3 a server judges the client after the client believes to be connected; its alert says that it read nothing.
      const refused = error instanceof ServerRefused || (error.code ?? "").includes("ALERT");
      settle({ a: refused ? "refused" : sent ? "unknown" : "unsent", why: error.code ?? error.message });
    });
    req.end(body ?? undefined);
  });
}

/** Null when the connection broke before the end. */
function readAll(message: IncomingMessage): Promise<string | null> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    message.setTimeout(silentMs, () => message.destroy());
    message.on("data", (part: Buffer) => {
      bytes += part.length;
      parts.push(part);
      if (bytes > answerBytesMax) message.destroy();
    });
    message.on("error", () => resolve(null));
    message.on("close", () => resolve(message.complete ? Buffer.concat(parts).toString("utf8") : null));
  });
}

async function bytesAnswer(reached: Reached, path: string): Promise<BytesAnswer> {
  if ("rejected" in reached) return { ok: false, rejection: reached, problem: {} };
  if (reached.message.statusCode === 200) return { ok: true, bytes: wholeBytes(reached.message, path) };
  const answer = judge(reached, (await readAll(reached.message)) ?? "");
  if (!answer.ok) return answer;
  return { ok: false, rejection: reject("not_ready", `GET ${path}: status ${answer.status}`, ""), problem: {} };
}

async function* wholeBytes(message: IncomingMessage, path: string): AsyncGenerator<Uint8Array> {
  message.setTimeout(silentMs, () => message.destroy(new Error(`GET ${path}: nothing came for ${silentMs} ms`)));
  yield* message as AsyncIterable<Uint8Array>;
  if (!message.complete) throw new Error(`GET ${path}: the connection broke in the middle of the answer`);
}

/** True when the server ended the stream, or the reader had enough; false when the connection broke. */
async function eachLine(
  message: IncomingMessage,
  onLine: (line: { readonly index: number }) => Promise<boolean>,
): Promise<boolean> {
  message.setTimeout(silentMs, () => message.destroy());
  for await (const text of textLines(message)) {
    const line = text === "" ? null : parseJson(text);
    if (line === null) continue;
    if (!isLine(line)) return false;
    if (!(await onLine(line))) return true;
  }
  return message.complete;
}

/** Whole lines, as long as the connection lasts. A line that was cut off, or never ends, is none. */
async function* textLines(message: IncomingMessage): AsyncGenerator<string> {
  message.setEncoding("utf8");
  let rest = "";
  try {
    for await (const part of message as AsyncIterable<string>) {
      const lines = (rest + part).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > answerBytesMax) return;
      yield* lines;
    }
  } catch {
    // The connection broke: message.complete tells.
  }
}

function judge(reached: { readonly message: IncomingMessage; readonly endpoint: string }, text: string): HttpAnswer {
  const { statusCode: status = 0, headers } = reached.message;
  const body = text === "" ? null : parseJson(text);
  if (status >= 200 && status < 300 && body !== undefined) return { ok: true, status, body, headers, endpoint: reached.endpoint };
  const problem = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const { reason, message, hint } = problem;
  const known = typeof reason === "string" && reason in reasons;
  const said = typeof message === "string" ? message : `status ${status} from ${reached.endpoint}: ${text.slice(0, 120)}`;
  const rejection = reject(known ? (reason as Reason) : reasonOfStatus(status), said, typeof hint === "string" ? hint : "");
  return { ok: false, rejection, problem };
}

/** For answers that are no problem document of ours: from something between, or from something that is no member. */
function reasonOfStatus(status: number): Reason {
  const found = Object.entries(reasons).find(([, known]) => known.status === status);
  return found === undefined ? "not_ready" : (found[0] as Reason);
}

const ambiguous = (what: string, why: string): Rejection =>
  reject("ambiguous", `${what} may or may not have been done: ${why}`, "read back first, or send it with an idempotency key");
const isLine = (x: unknown): x is { readonly index: number } =>
  typeof x === "object" && x !== null && "index" in x && Number.isSafeInteger(x.index);

/** Undefined when it is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
