import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { deriveCa, type ClusterCa } from "../identity/cluster-ca.ts";
import { guardServer } from "../identity/guard.ts";
import { clientTls, serverTls, type ClientTlsOptions, type TlsMaterial } from "../identity/tls.ts";
import { openHttpClient, type HttpClient } from "./http-client.ts";

const clusterId = "a".repeat(32);
let ca: ClusterCa;
let operator: ClientTlsOptions;
beforeAll(async () => {
  ca = await deriveCa("the cluster secret", "prod");
  operator = clientTls(await material("operator"), { clusterId });
});
async function material(role: "member" | "operator", by = ca, cluster = clusterId): Promise<TlsMaterial> {
  return { ca: ca.certificate, ...(await by.issue({ clusterId: cluster, role, name: "x", hosts: [], days: 1 })) };
}

const cleanup: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).toReversed()) await step();
});

interface Member {
  readonly endpoint: string;
  /** "METHOD path body" of each request, with its key and version. */
  readonly asked: string[];
}
type Handler = (req: IncomingMessage, res: ServerResponse, body: string) => void;
async function start(handle: Handler, cluster = clusterId): Promise<Member> {
  const asked: string[] = [];
  const server: Server = createServer(serverTls(await material("member", ca, cluster)), (req, res) => {
    let body = "";
    req.on("data", (part: Buffer) => (body += part.toString()));
    req.on("end", () => {
      const extras = [req.headers["idempotency-key"], req.headers["if-match"]].filter((x) => x !== undefined);
      asked.push([req.method, req.url, body, ...extras].filter((x) => x !== "").join(" "));
      handle(req, res, body);
    });
  });
  guardServer(server, { clusterId: cluster, isRevoked: () => false, onRefused: () => undefined });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return { endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
function open(endpoints: readonly string[], tls = operator, timeoutMs = 2_000): HttpClient {
  const client = openHttpClient({ endpoints, tls, timeoutMs });
  cleanup.push(() => client.close());
  return client;
}
const json: Handler = (_req, res) => void res.writeHead(200, { "content-type": "application/json" }).end('{"index":7}');
const hangUp: Handler = (req) => void req.socket.destroy();
const nobody = "127.0.0.1:1";

/** Ten lines in all, four a connection, the last of which is cut off in the middle of a line. */
const feed: Handler = (req, res) => {
  const from = Number(new URL(req.url ?? "", "https://x").searchParams.get("from"));
  res.writeHead(200, { "content-type": "application/x-ndjson" });
  for (let index = from; index <= Math.min(from + 3, 10); index++) res.write(`${JSON.stringify({ index })}\n\n`);
  if (from + 3 >= 10) res.end();
  else res.write('{"index":', () => res.destroy());
};

describe("the HTTP client", () => {
  it("asks the next member when one is not there, and goes on with the one that answered", async () => {
    const [one, two] = [await start(json), await start(json)];
    const client = open([nobody, one.endpoint, two.endpoint]);
    const answer = await client.call("PUT", "/v1/settings/a", { body: { value: 1 }, idempotencyKey: "r1", ifVersion: 4 });
    expect(answer).toMatchObject({ ok: true, status: 200, body: { index: 7 }, endpoint: one.endpoint });
    await client.call("GET", "/v1/cluster");
    expect(one.asked).toEqual(['PUT /v1/settings/a {"value":1} r1 "4"', "GET /v1/cluster"]);
    expect(two.asked).toEqual([]);
  });

  it("never sends a write twice that nobody would recognise as the same", async () => {
    const [broken, other] = [await start(hangUp), await start(json)];
    const write = await open([broken.endpoint, other.endpoint]).call("POST", "/v1/commands", { body: {} });
    expect(write).toMatchObject({ ok: false, rejection: { reason: "ambiguous" } });
    expect(other.asked).toEqual([]);
    const keyed = await open([broken.endpoint, other.endpoint]).call("POST", "/v1/commands", { body: {}, idempotencyKey: "r" });
    const read = await open([broken.endpoint, other.endpoint]).call("GET", "/v1/nodes");
    expect([keyed.ok, read.ok, other.asked.length]).toEqual([true, true, 2]);
  });

  it("keeps its time limit", async () => {
    const silent = await start(() => undefined);
    const before = performance.now();
    const answer = await open([silent.endpoint], operator, 200).call("GET", "/v1/nodes");
    expect(answer).toMatchObject({ ok: false, rejection: { reason: "not_ready" } });
    expect(performance.now() - before).toBeLessThan(1_500);
  });

  it("turns problem documents into rejections, and foreign errors too", async () => {
    const problem = { reason: "compacted", message: "index 4 is gone", hint: "begin at 9", first: 9 };
    const member = await start((req, res) => {
      if (req.url === "/problem") res.writeHead(410, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
      else if (req.url === "/proxy") res.writeHead(404).end("<html>");
      else res.writeHead(200).end("not json");
    });
    const client = open([member.endpoint]);
    expect(await client.call("GET", "/problem")).toMatchObject({
      ok: false,
      rejection: { reason: "compacted", message: "index 4 is gone", hint: "begin at 9" },
      problem: { first: 9 },
    });
    expect(await client.call("GET", "/proxy")).toMatchObject({ ok: false, rejection: { reason: "not_found" } });
    expect((await client.call("GET", "/junk")).ok).toBe(false);
  });

  it("says that it is the certificate, its own or the server's", async () => {
    const member = await start(json);
    const stranger = await deriveCa("another secret", "prod");
    const foreign = clientTls(await material("operator", stranger), { clusterId });
    // A foreign certificate may be refused by an alert or by hanging up; a server of another cluster is refused by us.
    expect((await open([member.endpoint], foreign).call("GET", "/v1/nodes")).ok).toBe(false);
    const elsewhere = await start(json, "b".repeat(32));
    expect(await open([elsewhere.endpoint]).call("POST", "/v1/commands", { body: {} })).toMatchObject({
      ok: false,
      rejection: { reason: "unauthenticated", message: expect.stringContaining("wrongCluster") as string },
    });
    expect([member.asked, elsewhere.asked]).toEqual([[], []]);
  });

  it("reads a feed across broken connections and members, each line once", async () => {
    const [one, two] = [await start(feed), await start(feed)];
    const seen: number[] = [];
    const ended = await open([one.endpoint, two.endpoint]).lines({
      path: (from) => `/v1/events?from=${from}`,
      from: 1,
      onLine: (line) => {
        seen.push(line.index);
        return true;
      },
    });
    expect(ended).toBeNull();
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect([...one.asked, ...two.asked].toSorted()).toEqual([
      "GET /v1/events?from=1",
      "GET /v1/events?from=5",
      "GET /v1/events?from=9",
    ]);
  });

  it("ends a feed when the reader has enough, when it is refused, and when nobody continues it", async () => {
    const member = await start((req, res) => {
      if (req.url === "/gone") res.writeHead(410).end('{"reason":"compacted","message":"gone","hint":""}');
      else if (req.url === "/endless") res.writeHead(200).write('{"index":1}\n{"index":2}\n');
      else res.destroy();
    });
    const client = open([member.endpoint]);
    const seen: number[] = [];
    const onLine = (line: { readonly index: number }): boolean => {
      seen.push(line.index);
      return line.index < 2;
    };
    expect(await client.lines({ path: () => "/endless", from: 1, onLine })).toBeNull();
    expect(seen).toEqual([1, 2]);
    expect(await client.lines({ path: () => "/gone", from: 1, onLine })).toMatchObject({ reason: "compacted" });
    expect(await client.lines({ path: () => "/broken", from: 1, onLine, tries: 2 })).toMatchObject({ reason: "not_ready" });
  });

  it("reads no further once it is closed", async () => {
    const member = await start((_req, res) => void res.writeHead(200).write('{"index":1}\n'));
    const client = open([member.endpoint]);
    const ended = client.lines({
      path: () => "/endless",
      from: 1,
      onLine: () => {
        client.close();
        return true;
      },
    });
    expect(await ended).toMatchObject({ reason: "not_ready" });
    expect(member.asked).toEqual(["GET /endless"]);
  });

  it("gives a large answer as it comes, and says when it broke off or was refused", async () => {
    const large = Buffer.alloc(3_000_000, "pack");
    const whole = await start((_req, res) => void res.writeHead(200).end(large));
    const parts: Uint8Array[] = [];
    const answer = await open([nobody, whole.endpoint]).bytes("/v1/backup/repository/x");
    if (!answer.ok) throw new Error(answer.rejection.message);
    for await (const part of answer.bytes) parts.push(part);
    expect(parts.length).toBeGreaterThan(1);
    expect(Buffer.concat(parts).equals(large)).toBe(true);
    const cut = await start((_req, res) => void res.writeHead(200, { "content-length": "9" }).write("half", () => res.destroy()));
    const half = await open([cut.endpoint]).bytes("/x");
    if (!half.ok) throw new Error(half.rejection.message);
    const readOn = async (): Promise<void> => {
      for await (const part of half.bytes) parts.push(part);
    };
    await expect(readOn()).rejects.toThrow();
    const missing = await start((_req, res) => void res.writeHead(404).end('{"reason":"not_found","message":"no x","hint":""}'));
    expect(await open([missing.endpoint]).bytes("/x")).toMatchObject({
      ok: false,
      rejection: { reason: "not_found", message: "no x" },
    });
    expect(await open([nobody]).bytes("/x")).toMatchObject({ ok: false, rejection: { reason: "not_ready" } });
  });
});
