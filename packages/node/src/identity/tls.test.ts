import { once } from "node:events";
import { createServer, request, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { connect as connectTcp, type Socket } from "node:net";
import { connect, type ConnectionOptions } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { PeerIdentity } from "./certificate-identity.ts";
import { deriveCa, type ClusterCa } from "./cluster-ca.ts";
import { guardServer, identityOf, type RefusedConnection } from "./guard.ts";
import { clientTls, ServerRefused, serverTls, type ExpectedServer, type TlsMaterial } from "./tls.ts";

const clusterId = "a".repeat(32);
const otherId = "b".repeat(32);
let ca: ClusterCa;
let stranger: ClusterCa;
beforeAll(async () => {
  [ca, stranger] = await Promise.all([deriveCa("the secret", "prod"), deriveCa("another secret", "prod")]);
});

async function material(role: "member" | "operator" | "viewer", name: string, id = clusterId, by = ca): Promise<TlsMaterial> {
  const issued = await by.issue({ clusterId: id, role, name, hosts: role === "member" ? ["127.0.0.1"] : [], days: 1 });
  return { ca: by.certificate, ...issued };
}

interface Door {
  readonly port: number;
  readonly refused: RefusedConnection[];
  readonly requests: string[];
  readonly revoked: Set<string>;
}
const open: Server[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }
});

async function startDoor(m: TlsMaterial): Promise<Door> {
  const refused: RefusedConnection[] = [];
  const requests: string[] = [];
  const revoked = new Set<string>();
  const server = createServer(serverTls(m), (req, res) => {
    requests.push(req.url ?? "");
    res.end(JSON.stringify(identityOf(req.socket)));
  });
  guardServer(server, { clusterId, isRevoked: (f) => revoked.has(f), onRefused: (r) => refused.push(r) });
  server.listen(0, "127.0.0.1");
  open.push(server);
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, refused, requests, revoked };
}

function ask(port: number, m: TlsMaterial, expected: ExpectedServer = { clusterId }): Promise<PeerIdentity> {
  return new Promise((resolve, reject) => {
    const req = request({ ...clientTls(m, expected), host: "127.0.0.1", port, path: "/who", agent: false }, (res) => {
      let text = "";
      res.on("data", (d: Buffer) => (text += d.toString()));
      res.on("end", () => resolve(JSON.parse(text) as PeerIdentity));
    });
    req.on("error", reject);
    req.end();
  });
}

/** Connects, sends a request blindly, and resolves when the server has hung up. */
async function knock(options: ConnectionOptions): Promise<void> {
  const socket = connect({ host: "127.0.0.1", rejectUnauthorized: false, ...options }, () =>
    socket.write("GET /who HTTP/1.1\r\n\r\n"),
  );
  socket.on("error", () => {});
  socket.resume();
  await closed(socket);
}

/** `once` of node:events would reject on the error that a refused client sees first. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));

const why = (e: unknown): string => (e instanceof ServerRefused ? e.refusal.refused : String((e as { code?: string }).code));

describe("mutual TLS", () => {
  it("lets a certificate of the cluster in and tells the server who it is", async () => {
    const door = await startDoor(await material("member", "n1"));
    const who = await ask(door.port, await material("viewer", "eve"));
    expect(who).toMatchObject({ clusterId, role: "viewer", name: "eve" });
    expect(who.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(door.refused).toEqual([]);
  });

  it("refuses, before HTTP, whoever has no certificate, a foreign one, another cluster's or a revoked one", async () => {
    const door = await startDoor(await material("member", "n1"));
    await knock({ port: door.port });
    const foreign = await material("operator", "mallory", clusterId, stranger);
    await knock({ port: door.port, cert: foreign.certificate, key: foreign.key });
    const neighbour = await material("operator", "olga", otherId);
    await knock({ port: door.port, cert: neighbour.certificate, key: neighbour.key });
    const operator = await material("operator", "olga");
    door.revoked.add((await ask(door.port, operator)).fingerprint);
    await knock({ port: door.port, cert: operator.certificate, key: operator.key });
    expect(door.refused.map((r) => `${r.why} ${r.address}`)).toEqual([
      "noCertificate 127.0.0.1",
      "foreignCa 127.0.0.1",
      "wrongCluster 127.0.0.1",
      "revoked 127.0.0.1",
    ]);
    expect(door.requests).toEqual(["/who"]);
  });

  it("believes a certificate for the cluster's edge nothing, neither a client's nor a server's", async () => {
    const edge = { ca: ca.certificate, ...(await ca.issueEdge(["localhost", "n1.example"], 1)) };
    const door = await startDoor(await material("member", "n1"));
    await knock({ port: door.port, cert: edge.certificate, key: edge.key });
    expect([door.refused.length, door.requests]).toEqual([1, []]);
    const shown = await startDoor(edge);
    const answer = await ask(shown.port, await material("operator", "olga")).then(() => "believed", why);
    expect([answer, shown.requests]).toEqual(["malformed", []]);
  });

  it("speaks nothing older than TLS 1.3, counts plain HTTP as refused, and a bare connect not at all", async () => {
    const door = await startDoor(await material("member", "n1"));
    const m = await material("viewer", "eve");
    await knock({ port: door.port, cert: m.certificate, key: m.key, maxVersion: "TLSv1.2" });
    const plain = connectTcp(door.port, "127.0.0.1", () => plain.write("GET / HTTP/1.1\r\n\r\n"));
    plain.on("error", () => {}).resume();
    await closed(plain);
    const probe = connectTcp(door.port, "127.0.0.1", () => probe.end());
    probe.resume();
    await closed(probe);
    expect(door.refused.map((r) => r.why)).toEqual(["handshake", "handshake"]);
    expect(door.requests).toEqual([]);
  });

  it("never resumes a session, so that every connection is judged anew", async () => {
    const door = await startDoor(await material("member", "n1"));
    const m = await material("viewer", "eve");
    const tickets: Buffer[] = [];
    const socket = connect({ ...clientTls(m, { clusterId }), host: "127.0.0.1", port: door.port });
    socket.on("session", (s) => tickets.push(s));
    await once(socket, "secureConnect");
    socket.write("GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    socket.resume();
    await closed(socket);
    for (const session of [...tickets, socket.getSession()]) {
      const again = connect({ ...clientTls(m, { clusterId }), host: "127.0.0.1", port: door.port, session });
      await once(again, "secureConnect");
      expect(again.isSessionReused()).toBe(false);
      again.destroy();
    }
  });

  it("makes clients refuse a server of another cluster, another name, or without a member's certificate", async () => {
    const viewer = await material("viewer", "eve");
    const elsewhere = await startDoor(await material("member", "n1", otherId));
    const n2 = await startDoor(await material("member", "n2"));
    const impostor = await startDoor(await material("viewer", "n1"));
    const foreign = await startDoor(await material("member", "n1", clusterId, stranger));
    const result = async (door: Door, expected?: ExpectedServer): Promise<string> =>
      ask(door.port, viewer, expected).then(() => "in", why);
    expect(await result(elsewhere)).toBe("wrongCluster");
    expect(await result(n2, { clusterId, name: "n1" })).toBe("wrongName");
    expect(await result(n2, { clusterId, name: "n2" })).toBe("in");
    expect(await result(impostor)).toBe("wrongRole");
    expect(await result(foreign)).toMatch(/SELF_SIGNED_CERT_IN_CHAIN|SIGNATURE_FAILURE/);
    expect([elsewhere, impostor, foreign].map((d) => d.requests.length)).toEqual([0, 0, 0]);
  });
});
