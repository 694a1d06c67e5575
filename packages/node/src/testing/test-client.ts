/** A plain HTTPS client for tests: one question, one answer, headers in sight, no retries of its own. */
import { Agent, request } from "node:https";
import type { IncomingHttpHeaders } from "node:http";
import type { ClientTlsOptions } from "../identity/tls.ts";

export interface TestAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Parsed JSON, or the text when it is not JSON. */
  readonly body: unknown;
}

export interface TestClient {
  /** Rejects when the node cannot be reached or does not answer within 15 s. */
  ask(method: string, address: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<TestAnswer>;
  /** The same to the first node that answers, whatever it answers. */
  any(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<TestAnswer>;
  /** Reads NDJSON lines until `enough` says so or the stream ends; then hangs up. */
  lines(
    address: string,
    path: string,
    enough: (lines: readonly Record<string, unknown>[]) => boolean,
  ): Promise<Record<string, unknown>[]>;
  readonly tls: ClientTlsOptions;
  close(): void;
}

const answerMs = 15_000;

export function makeTestClient(tls: ClientTlsOptions, addresses: () => readonly string[]): TestClient {
  const agent = new Agent({ ...tls, keepAlive: true });
  const open = (method: string, address: string, path: string, headers: Record<string, string>) => {
    const [host, port] = address.split(":");
    return request({ agent, host, port, method, path, headers });
  };
  const ask: TestClient["ask"] = (method, address, path, body, headers = {}) =>
    new Promise((resolve, fail) => {
      const payload = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
      const req = open(method, address, path, {
        ...(payload === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      });
      const timer = setTimeout(() => req.destroy(new Error(`no answer from ${address} within ${answerMs} ms`)), answerMs);
      req.on("response", (res) => {
        const chunks: Buffer[] = [];
        res.on("data", (chunk: Buffer) => chunks.push(chunk));
        res.on("error", fail);
        res.on("end", () => {
          clearTimeout(timer);
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body: parse(Buffer.concat(chunks).toString("utf8")) });
        });
      });
      req.on("error", (error) => {
        clearTimeout(timer);
        fail(error);
      });
      req.end(payload);
    });
  return {
    ask,
    tls,
    any: async (method, path, body, headers) => {
      let last: unknown = new Error("no nodes");
      for (const address of addresses()) {
        try {
          return await ask(method, address, path, body, headers);
        } catch (error) {
          last = error;
        }
      }
      throw last;
    },
    lines: (address, path, enough) =>
      new Promise((resolve, fail) => {
        const found: Record<string, unknown>[] = [];
        const req = open("GET", address, path, {});
        const timer = setTimeout(() => req.destroy(new Error(`not enough lines of ${path} within ${answerMs} ms`)), answerMs);
        const done = (): void => {
          clearTimeout(timer);
          resolve(found);
          req.destroy();
        };
        req.on("response", (res) => {
          let rest = "";
          res.setEncoding("utf8");
          res.on("data", (chunk: string) => {
            const parts = (rest + chunk).split("\n");
            rest = parts.pop() ?? "";
            for (const part of parts) if (part !== "") found.push(JSON.parse(part) as Record<string, unknown>);
            if (enough(found)) done();
          });
          res.on("end", done);
          res.on("error", () => undefined);
        });
        req.on("error", fail);
        req.end();
      }),
    close: () => agent.destroy(),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
