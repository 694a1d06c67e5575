/**
 * The API over node's own https: nothing to load that a short command would wait for. Mutual TLS 1.3; a server of another
 * cluster is refused at the handshake.
 */
import { Agent, request, type RequestOptions } from "node:https";
import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { reasons, type Reason } from "@aether/core/kernel/command";
import { clientTls } from "@aether/node/identity/tls";
import { exit, Failure, refused } from "../shell/failure.ts";
import type { Api, CallOptions } from "./api.ts";

/** PEM texts. */
export interface Credentials {
  readonly clusterId: string;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

type Method = "GET" | "PUT" | "POST" | "DELETE";

const timeoutMs = 10_000;
const connectMs = 2_000;
const answerBytesMax = 16 * 1024 * 1024;

/** Asks the endpoints in order until one answers; the one that did is asked first the next time. */
export function openHttpsApi(endpoints: readonly string[], credentials: Credentials): Api {
  const agent = new Agent({
    ...clientTls(credentials, { clusterId: credentials.clusterId }),
    keepAlive: true,
    maxSockets: 4,
    maxCachedSessions: 0,
  });
  let order = [...endpoints];
  const firstAnswer = async (send: (endpoint: string) => Promise<IncomingMessage>): Promise<IncomingMessage> => {
    const silent: string[] = [];
    for (const endpoint of order) {
      try {
        const answer = await send(endpoint);
        order = [endpoint, ...order.filter((other) => other !== endpoint)];
        return answer;
      } catch (error) {
        if (error instanceof Failure) throw error;
        silent.push(`${endpoint} ${whyNot(error)}`);
      }
    }
    throw unreachable(silent);
  };
  return {
    call: async <A>(method: Method, path: string, options: CallOptions = {}) => {
      const answer = await firstAnswer((endpoint) => ask(agent, endpoint, method, path, options));
      return judge(answer, await readAll(answer)) as A;
    },
    lines: async (path, onLine) => {
      const answer = await firstAnswer((endpoint) => ask(agent, endpoint, "GET", path, { timeoutMs: 0 }));
      if (answer.statusCode !== 200) return void judge(answer, await readAll(answer));
      return eachLine(answer, onLine);
    },
    close: () => {
      agent.destroy();
      return Promise.resolve();
    },
  };
}

/** Resolves with the answer's head. Rejects when there is none in time. */
function ask(agent: Agent, endpoint: string, method: Method, path: string, options: CallOptions): Promise<IncomingMessage> {
  const at = endpoint.lastIndexOf(":");
  const body = options.body === undefined ? null : Buffer.from(JSON.stringify(options.body));
  const within = options.timeoutMs ?? timeoutMs;
  const wanted: RequestOptions = {
    agent,
    method,
    path,
    host: endpoint.slice(0, at).replaceAll(/^\[|\]$/g, ""),
    port: Number(endpoint.slice(at + 1)),
    headers: {
      accept: "application/json",
      ...(body === null ? {} : { "content-type": "application/json", "content-length": String(body.length) }),
      ...(options.ifVersion === undefined ? {} : { "if-match": `"${options.ifVersion}"` }),
      ...(options.requestKey === undefined ? {} : { "idempotency-key": options.requestKey }),
    },
  };
  return new Promise((resolve, reject) => {
    const sent = request(wanted, (answer) => {
      clearTimeout(connecting);
      if (within === 0) clearTimeout(answering);
      answer.once("close", () => clearTimeout(answering));
      resolve(answer);
    });
    const connecting = setTimeout(() => sent.destroy(new Error(`no connection within ${connectMs} ms`)), connectMs);
    const answering = setTimeout(
      () => sent.destroy(new Error(`no answer within ${within} ms`)),
      within === 0 ? timeoutMs : within,
    );
    sent.once("socket", (socket) => {
      if (!socket.connecting && "authorized" in socket && socket.authorized === true) clearTimeout(connecting);
      else socket.once("secureConnect", () => clearTimeout(connecting));
    });
    sent.once("error", (error) => {
      clearTimeout(connecting);
      clearTimeout(answering);
      reject(error);
    });
    sent.end(body ?? undefined);
  });
}

function readAll(answer: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    answer.on("data", (part: Buffer) => {
      bytes += part.length;
      parts.push(part);
      if (bytes > answerBytesMax) answer.destroy(new Error(`an answer of more than ${answerBytesMax} bytes`));
    });
    answer.once("end", () => resolve(Buffer.concat(parts).toString("utf8")));
    answer.once("error", (error) => reject(broken(error)));
  });
}

async function eachLine(answer: IncomingMessage, onLine: (line: unknown) => boolean): Promise<void> {
  const lines = createInterface({ input: answer, crlfDelay: Infinity });
  try {
    for await (const line of lines) {
      if (line !== "" && !onLine(JSON.parse(line))) return;
    }
  } catch (error) {
    throw broken(error);
  } finally {
    lines.close();
    answer.destroy();
  }
}

/** A 2xx answer's body, or the Failure that its problem stands for. */
function judge(answer: IncomingMessage, text: string): unknown {
  const status = answer.statusCode ?? 0;
  let body: unknown;
  try {
    body = text === "" ? null : JSON.parse(text);
  } catch {
    throw new Failure(
      exit.failed,
      `status ${status} with a body that is not JSON: ${text.slice(0, 80)}`,
      "is this an Aether member?",
    );
  }
  if (status >= 200 && status < 300) return body;
  const problem = body as { reason?: string; message?: string; hint?: string } | null;
  if (problem?.reason !== undefined && problem.reason in reasons) {
    throw refused({ reason: problem.reason as Reason, message: problem.message ?? problem.reason, hint: problem.hint ?? "" });
  }
  throw new Failure(exit.failed, `status ${status}: ${text.slice(0, 200)}`, "");
}

function unreachable(silent: readonly string[]): Failure {
  const refusedBy = silent.find((line) => line.includes("refused us"));
  const hint =
    refusedBy === undefined
      ? "is the cluster up? aether cluster status; aether cluster start brings local members back"
      : "is this context's certificate of this cluster, and still valid? aether context list";
  const list = silent.length === 0 ? "the context names no endpoint" : silent.join("; ");
  return new Failure(exit.notReady, `no member answers: ${list}`, hint);
}

const broken = (error: unknown): Failure =>
  new Failure(exit.notReady, `the connection broke in the middle of an answer: ${whyNot(error)}`, "run this again");

/** In words. OpenSSL's alerts mean that the server did not accept our certificate. */
function whyNot(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
  if (code === "ECONNREFUSED") return "does not listen";
  if (code === "ECONNRESET" || code.includes("ALERT") || code === "EPROTO") return `refused us (${code})`;
  return error instanceof Error ? error.message : String(error);
}
