/** A vendor in memory: what any fake offers, and two ways to reach it: at once, or over real HTTP on loopback. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { HttpRequest, HttpResponse, Outcome, Transport } from "../http/transport.ts";
import type { Fault } from "./faults.ts";

export interface VendorFake {
  /** Answers one request; its effects are there when this returns. */
  readonly handle: (request: HttpRequest) => HttpResponse;
  /** The vendor's way to say these, to who made this request. */
  readonly refusal: (status: number, headers: Readonly<Record<string, string>>, request: HttpRequest) => HttpResponse;
}

/** Says what happens to the n-th request (from 0) that comes. Undefined: nothing bad. */
export type FaultPlan = (request: HttpRequest, at: number) => Fault | undefined;

/** Thrown out of a client whose process was killed: nothing of it runs on. */
export class Killed extends Error {
  override readonly name = "Killed";
}

/**
 * Reaches the fake without a socket. A killed client stays killed: all that it asks afterwards throws too, so that no
 * handler of an error can act where a dead process could not.
 */
export function directTransport(vendor: VendorFake, prefix: string, plan: FaultPlan): Transport {
  const fake = {
    refusal: vendor.refusal,
    handle: (request: HttpRequest) => vendor.handle({ ...request, url: belowPrefix(request.url, prefix) }),
  };
  let count = 0;
  let isKilled = false;
  const lost = (code: string): Outcome => ({ kind: "unanswered", maybeApplied: true, code, message: `${code} by plan` });
  return {
    send: async (request, signal) => {
      // A turn of the event loop, as a network would take, so that those who ask at once do so in turns.
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      if (isKilled) throw new Killed("asked by a dead process");
      const fault = plan(request, count);
      count += 1;
      switch (fault?.kind) {
        case undefined:
          return { kind: "answered", response: fake.handle(request) };
        case "kill-before":
        case "kill-after":
          isKilled = true;
          if (fault.kind === "kill-after") fake.handle(request);
          throw new Killed("killed by plan");
        case "unsent":
          return { kind: "unanswered", maybeApplied: false, code: "ECONNREFUSED", message: "refused by plan" };
        case "drop-before":
          return lost("ECONNRESET");
        case "drop-after":
          fake.handle(request);
          return lost("ECONNRESET");
        case "slow":
          fake.handle(request);
          return lost("ETIMEDOUT");
        case "refuse-before":
          return { kind: "answered", response: fake.refusal(fault.status, fault.headers, request) };
        case "refuse-after":
          fake.handle(request);
          return { kind: "answered", response: fake.refusal(fault.status, fault.headers, request) };
        case "cut": {
          const whole = fake.handle(request);
          return { kind: "answered", response: { ...whole, body: whole.body.subarray(0, Math.floor(whole.body.length / 2)) } };
        }
        case "twice":
          fake.handle(request);
          return { kind: "answered", response: fake.handle(request) };
      }
    },
  };
}

function belowPrefix(url: URL, prefix: string): URL {
  if (!url.pathname.startsWith(`${prefix}/`)) throw new Error(`${url.pathname} is not below ${prefix}`);
  const below = new URL(url);
  below.pathname = url.pathname.slice(prefix.length);
  return below;
}

export interface ServedFake {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** The fake behind a real HTTP server on 127.0.0.1, below `prefix`. */
export async function serveFake(fake: VendorFake, prefix: string, plan: FaultPlan): Promise<ServedFake> {
  let count = 0;
  const server = createServer((incoming, response) => {
    // A vendor has an answer for every path, if only to tell its time; that is what its root is asked for.
    const isRoot = incoming.method === "GET" && incoming.url === `${prefix}/`;
    if (isRoot || incoming.url?.startsWith(`${prefix}/`) !== true) return void response.writeHead(404).end();
    readRequest(incoming, prefix)
      .then((request) => {
        const fault = plan(request, count);
        count += 1;
        deliver(fake, request, fault, incoming, response);
      })
      // Only a client that left in the middle of its own request comes here.
      .catch(() => incoming.socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function readRequest(incoming: IncomingMessage, prefix: string): Promise<HttpRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
  const url = belowPrefix(new URL(incoming.url ?? "/", "http://fake"), prefix);
  const method = incoming.method as HttpRequest["method"];
  return { method, url, headers, body: chunks.length === 0 ? null : Buffer.concat(chunks) };
}

function deliver(
  fake: VendorFake,
  request: HttpRequest,
  fault: Fault | undefined,
  incoming: IncomingMessage,
  response: ServerResponse,
): void {
  const say = ({ status, headers, body }: HttpResponse): unknown =>
    response.writeHead(status, status === 204 ? headers : { ...headers, "content-length": String(body.length) }).end(body);
  switch (fault?.kind) {
    case undefined:
      return void say(fake.handle(request));
    case "drop-after":
      fake.handle(request);
      return void incoming.socket.destroy();
    case "kill-before":
    case "kill-after":
      throw new Error("a client is killed where it runs: use directTransport");
    case "unsent":
    case "drop-before":
      return void incoming.socket.destroy();
    case "slow":
      // Never ended: the client leaves at its deadline.
      fake.handle(request);
      return void response.writeHead(200).write("{");
    case "refuse-before":
      return void say(fake.refusal(fault.status, fault.headers, request));
    case "refuse-after":
      fake.handle(request);
      return void say(fake.refusal(fault.status, fault.headers, request));
    case "cut": {
      const { status, headers, body } = fake.handle(request);
      response.writeHead(status, { ...headers, "content-length": String(body.length) });
      return void response.write(body.subarray(0, Math.floor(body.length / 2)), () => incoming.socket.destroy());
    }
    case "twice":
      fake.handle(request);
      return void say(fake.handle(request));
  }
}
