import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { HttpRequest } from "./transport.ts";
import {
  connectMsTo,
  defaultTransportLimits,
  makeUndiciTransport,
  type TransportLimits,
  type UndiciTransport,
} from "./undici-transport.ts";

const never = new AbortController().signal;

describe("the transport", () => {
  it("does not wait long for a metadata service, which away from a vendor's machines nobody is", () => {
    const waits = ["http://169.254.169.254/", "http://metadata.google.internal/", "https://ec2.eu-central-1.amazonaws.com/"];
    expect(waits.map((url) => connectMsTo(new URL(url), defaultTransportLimits))).toEqual([1_000, 1_000, 10_000]);
    expect(connectMsTo(new URL("http://169.254.169.254/"), { ...defaultTransportLimits, connectMs: 300 })).toBe(300);
  });

  let server: Server | null = null;
  let transport: UndiciTransport | null = null;
  afterEach(async () => {
    await transport?.close();
    server?.closeAllConnections();
    server?.close();
    [server, transport] = [null, null];
  });

  const serve = async (answer: RequestListener): Promise<URL> => {
    server = createServer(answer).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
  };
  const send = (url: URL, limits: Partial<TransportLimits> = {}, rest: Partial<HttpRequest> = {}, signal = never) => {
    transport = makeUndiciTransport({ ...defaultTransportLimits, ...limits });
    return transport.send({ method: "GET", url, headers: {}, body: null, ...rest }, signal);
  };

  it("carries method, headers and body there and the answer back", async () => {
    const url = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        response.setHeader("x-twice", ["a", "b"]);
        response
          .writeHead(201)
          .end(`${request.method} ${request.url} ${String(request.headers["x-mine"])} ${Buffer.concat(chunks).toString()}`);
      });
    });
    const outcome = await send(url, {}, { method: "POST", headers: { "x-mine": "yes" }, body: Buffer.from("body") });
    if (outcome.kind !== "answered") throw new Error(outcome.kind);
    expect(Buffer.from(outcome.response.body).toString()).toBe("POST /v1 yes body");
    expect(outcome.response).toMatchObject({ status: 201, headers: { "x-twice": "a, b" } });
  });

  it("follows no redirect by itself", async () => {
    const url = await serve((_, response) => response.writeHead(302, { location: "http://127.0.0.1:9/" }).end());
    expect(await send(url)).toMatchObject({ kind: "answered", response: { status: 302 } });
  });

  it("knows that nothing happened when there was no connection", async () => {
    const url = await serve(() => undefined);
    server?.close();
    await once(server as Server, "close");
    expect(await send(url)).toMatchObject({ kind: "unanswered", maybeApplied: false, code: "ECONNREFUSED" });
  });

  it("does not know what happened when the connection broke before the answer", async () => {
    const url = await serve((request) => request.socket.destroy());
    expect(await send(url)).toMatchObject({ kind: "unanswered", maybeApplied: true });
  });

  it("does not take a part of an answer for the answer", async () => {
    const url = await serve((request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("only this", () => request.socket.destroy());
    });
    expect(await send(url)).toMatchObject({ kind: "unanswered", maybeApplied: true });
  });

  it("ends at its deadline, whether the answer never begins or never ends", async () => {
    const silent = await serve(() => undefined);
    expect(await send(silent, { exchangeMs: 100 })).toMatchObject({ kind: "unanswered", maybeApplied: true, code: "ETIMEDOUT" });
    await transport?.close();
    server?.closeAllConnections();
    server?.close();
    const dripping = await serve((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write("."), 10);
      response.on("close", () => clearInterval(drip));
    });
    expect(await send(dripping, { exchangeMs: 100 })).toMatchObject({ kind: "unanswered", code: "ETIMEDOUT" });
  });

  it("reads no more than it may", async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(5000)));
    expect(await send(url, { responseBytesMax: 4999 })).toEqual({ kind: "oversized", bytesMax: 4999 });
    expect(await send(url, { responseBytesMax: 5000 })).toMatchObject({ kind: "answered" });
  });

  it("stops when its caller does", async () => {
    const caller = new AbortController();
    const url = await serve(() => caller.abort(new Error("the caller left")));
    await expect(send(url, {}, {}, caller.signal)).rejects.toThrow("the caller left");
  });

  it("sends nothing in clear to another computer", async () => {
    await expect(send(new URL("http://192.0.2.1/"))).rejects.toThrow("without TLS");
  });
});
