import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Role } from "@aether/core/kernel/event";
import { deriveCa, type ClusterCa } from "../identity/cluster-ca.ts";
import { clientTls, type ClientTlsOptions, type TlsMaterial } from "../identity/tls.ts";
import { makePeerHttp } from "../member/peer-http.ts";
import { openFrontDoor, type FrontDoor } from "./front-door.ts";
import { makeRefusalLedger } from "./refusals.ts";

const clusterId = "00112233445566778899aabbccddeeff";
const otherId = "ffeeddccbbaa99887766554433221100";

describe("the front door", () => {
  let ca: ClusterCa;
  let foreign: ClusterCa;
  let door: FrontDoor;
  const ledger = makeRefusalLedger();
  const served: string[] = [];

  const material = async (by: ClusterCa, cluster: string, role: Role, name: string): Promise<TlsMaterial> => ({
    ca: ca.certificate,
    ...(await by.issue({ clusterId: cluster, role, name, hosts: ["127.0.0.1"], days: 1 })),
  });
  const ask = async (tls: ClientTlsOptions, method: "GET" | "POST", path: string) => {
    const http = makePeerHttp(tls);
    try {
      return await http.ask(method, `127.0.0.1:${door.port}`, path, 2_000);
    } finally {
      http.close();
    }
  };
  const as = async (role: Role, by = ca, cluster = clusterId): Promise<ClientTlsOptions> =>
    clientTls(await material(by, cluster, role, "someone"), { clusterId });

  beforeAll(async () => {
    ca = await deriveCa("the secret", "test");
    foreign = await deriveCa("another secret", "test");
    door = await openFrontDoor({
      host: "127.0.0.1",
      port: 0,
      tls: await material(ca, clusterId, "member", "n1"),
      clusterId,
      onRefused: (what, identity, address) => ledger.note(what, identity, address),
      onRequest: (req, res, call) => {
        served.push(`${call.caller.role}:${call.caller.name} ${req.method} ${call.url.pathname}`);
        res.end('{"ok":true}');
      },
      onUpgrade: (_req, socket) => socket.destroy(),
    });
  });
  afterAll(() => door.close());

  it("serves whoever the certificate names, by that name", async () => {
    expect(await ask(await as("viewer"), "GET", "/v1/settings")).toEqual({ ok: true, status: 200, body: { ok: true } });
    expect(served).toContain("viewer:someone GET /v1/settings");
  });

  it("turns away a foreign CA and another cluster's certificate at the handshake, and counts both", async () => {
    ledger.drain();
    const before = served.length;
    expect((await ask(await as("operator", foreign), "GET", "/v1/settings")).ok).toBe(false);
    expect((await ask(await as("operator", ca, otherId), "GET", "/v1/settings")).ok).toBe(false);
    expect(served).toHaveLength(before);
    const kinds = ledger.drain();
    expect(kinds.map((k) => k.what).toSorted()).toEqual(["connect: foreignCa", "connect: wrongCluster"]);
    expect(kinds.every((k) => k.identity === "")).toBe(true);
    expect(kinds.find((k) => k.what === "connect: wrongCluster")?.address).toBe("127.0.0.1");
  });

  it("turns away a viewer that writes and an operator at the peers' door, and records who it was", async () => {
    ledger.drain();
    const refused = await ask(await as("viewer"), "POST", "/v1/commands");
    expect(refused).toMatchObject({ ok: true, status: 403, body: { reason: "forbidden" } });
    expect(await ask(await as("operator"), "GET", "/v1/peer/notes")).toMatchObject({ status: 403 });
    expect(ledger.drain().map((k) => `${k.identity} ${k.what}`)).toEqual([
      "viewer:someone POST /v1/commands",
      "operator:someone GET /v1/peer/notes",
    ]);
  });

  it("says what is wrong with a path or method that does not exist", async () => {
    expect(await ask(await as("operator"), "GET", "/v2/x")).toMatchObject({ status: 404, body: { reason: "not_found" } });
    const wrong = await ask(await as("operator"), "POST", "/v1/nodes");
    expect(wrong).toMatchObject({ status: 400, body: { reason: "invalid", hint: "it takes GET" } });
  });

  it("does not count a bare connection that hangs up, nor does one disturb it", async () => {
    ledger.drain();
    await new Promise<void>((resolve) => {
      const socket = connect(door.port, "127.0.0.1", () => socket.end("hello?"));
      socket.on("close", () => resolve());
      socket.on("error", () => undefined);
    });
    expect(ledger.drain().every((k) => k.what === "connect: handshake")).toBe(true);
    expect((await ask(await as("viewer"), "GET", "/v1/settings")).ok).toBe(true);
  });
});
