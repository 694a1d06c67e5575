/** Makers and machines over real TLS on loopback: who is believed, who is not, and what is on the disk afterwards. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer as createTls, connect as connectTls, type TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { value as reveal, make as redact } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseNodeFile } from "@aether/core/config/node-file";
import { makeLog } from "../daemon/log.ts";
import { deriveCa } from "../identity/cluster-ca.ts";
import { makeOwnKey } from "../identity/self-signed.ts";
import { serverTls } from "../identity/tls.ts";
import { writeDurably } from "../member/durable-file.ts";
import { freePort } from "../testing/cluster-harness.ts";
import { randomLoopback } from "../testing/loopback.ts";
import { makeBirths, type Births, type BirthsGiven } from "./birth.ts";
import { birthText, keyFingerprint, parseBirth, type Birth } from "./birth-file.ts";
import { enrol, EnrolmentFailed } from "./enrol.ts";
import { fileNames, giftBody } from "./gift.ts";
import { dial, OneSocket, post, type Answered } from "./exchange.ts";
import { freshNonce, makerProof, type Encounter } from "./proof.ts";
import { awaitMaker, doors, proofHeader, type WaitEnded, type WaitingRoomOptions } from "./waiting-room.ts";

const cluster = { id: "00112233445566778899aabbccddeeff", name: "prod" };
const port = await freePort();
const secret = "the-cluster-secret-planted-here";
const token = "hcloud-token-planted-here";

const given: BirthsGiven = {
  cluster,
  secret: redact(secret),
  settings: { nodePort: port, bundleUrl: null },
  machineOf: ({ zone, size }) => ({ size, image: "debian-12", zone, publicIp: true, networks: [], firewalls: [], sshKeys: [] }),
  daemon: { raft: {}, history: {}, backup: { enabled: false } },
  files: { backupToken: redact("backup-token-planted-here"), providerEnv: redact({ HCLOUD_TOKEN: token }) },
};

let folder = "";
let lines: string[] = [];
let births: Births;
let host = "";

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "aether-birth-"));
  [lines, host] = [[], randomLoopback()];
  births = await makeBirths(given);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const n1 = { node: "n1", attempt: 1 };
const log = makeLog(
  (line) => lines.push(line),
  () => new Date(0),
);
const room = (birth: Birth, options: Partial<WaitingRoomOptions> = {}): Promise<WaitEnded> =>
  awaitMaker({ birth, folder, host, log, waitMs: 60_000, refusalMs: 0, ...options });
const identity = (from: Births = births) =>
  from.identityOf({
    node: "n1",
    member: 1,
    advertise: `${host}:${port}`,
    seeds: [{ name: "n1", member: 1, address: `${host}:${port}` }],
  });
const make = (from: Births = births, attempt = 1, withinMs = 20_000): Promise<"enrolled" | "already"> =>
  enrol({ address: `${host}:${port}`, birth: from.birthOf({ node: "n1", attempt }), identity: identity(from), withinMs });
const fault = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof EnrolmentFailed ? error.fault : String(error)),
  );
const isUnborn = (): boolean => !existsSync(join(folder, fileNames.configuration));

describe("a machine and its maker", () => {
  it("become a node: its files are there, readable by nobody else, and name each other", async () => {
    const born = room(births.birthOf(n1));
    expect(await make()).toBe("enrolled");
    expect(await born).toBe("born");
    expect(readdirSync(folder).toSorted()).toEqual(
      ["backup-token", "ca.pem", "cluster-secret", "node.json", "node.key", "node.pem", "provider-env.json"].toSorted(),
    );
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o077, name).toBe(0);
    const parsed = parseNodeFile(readFileSync(join(folder, "node.json"), "utf8"));
    if ("errors" in parsed) throw new Error(parsed.errors.join());
    expect(parsed.ok).toMatchObject({
      cluster,
      node: { name: "n1", member: 1 },
      listen: { host: "0.0.0.0", port },
      advertise: `${host}:${port}`,
      dataDir: join(folder, "data"),
      tls: { ca: `file:${folder}/ca.pem`, key: `file:${folder}/node.key` },
      backup: { enabled: false, remoteToken: `file:${folder}/backup-token` },
      fleet: { clusterSecret: `file:${folder}/cluster-secret`, providerEnv: `file:${folder}/provider-env.json` },
    });
    expect(readFileSync(join(folder, "cluster-secret"), "utf8")).toBe(`${secret}\n`);
    expect(JSON.parse(readFileSync(join(folder, "provider-env.json"), "utf8"))).toEqual({ HCLOUD_TOKEN: token });
  });

  it("tell nobody a secret: not in the log, not in an error", async () => {
    const ticket = reveal(births.birthOf(n1).ticket);
    const stranger = await makeBirths({ ...given, secret: redact("another-cluster-secret") });
    const born = room(births.birthOf(n1));
    const refused = await make(stranger).catch((error: Error) => `${error.message} ${error.stack} ${JSON.stringify(error)}`);
    await make();
    await born;
    const said = [...lines, refused].join("\n");
    expect(said).toContain("born");
    for (const planted of [ticket, secret, token, "planted"]) expect(said, planted).not.toContain(planted);
  });

  it("find each other when the maker is first", async () => {
    const making = make();
    const born = room(births.birthOf(n1));
    expect(await making).toBe("enrolled");
    expect(await born).toBe("born");
  });

  it("give up after their time", async () => {
    expect(await room(births.birthOf(n1), { waitMs: 10 })).toBe("tooLong");
    expect(await fault(make(births, 1, 10))).toBe("unreachable");
    const aborted = new AbortController();
    const making = enrol({
      address: `${host}:${port}`,
      birth: births.birthOf(n1),
      identity: identity(),
      withinMs: 60_000,
      signal: aborted.signal,
    });
    aborted.abort(new Error("not the leader any more"));
    await expect(making).rejects.toThrow(/not the leader any more|aborted/);
  });
});

/** A visitor who speaks the protocol by hand. */
interface Visitor {
  /** `nonce`: one that was heard before. */
  readonly hello: (nonce?: string) => Promise<{ readonly answered: Answered; readonly encounter: Encounter }>;
  readonly give: (body: Uint8Array, proof: string) => Promise<Answered>;
  readonly publicKey: string;
  readonly leave: () => void;
  readonly socket: TLSSocket;
}

async function visit(): Promise<Visitor> {
  for (;;) {
    const socket = await dial(`${host}:${port}`, AbortSignal.timeout(20_000));
    if ("silent" in socket) continue;
    const agent = new OneSocket(socket);
    const key = socket.getPeerX509Certificate()?.publicKey;
    if (key === undefined) throw new Error("a waiting machine shows a certificate");
    const signal = AbortSignal.timeout(20_000);
    return {
      hello: async (makerNonce = freshNonce()) => {
        const answered = await post(agent, doors.hello, Buffer.from(JSON.stringify({ nonce: makerNonce })), {}, signal);
        return { answered, encounter: { makerNonce, nodeNonce: String(answered.body["nonce"]), tlsKey: keyFingerprint(key) } };
      },
      give: (body, proof) => post(agent, doors.gift, body, { [proofHeader]: proof }, signal),
      publicKey: key.export({ type: "spki", format: "pem" }).toString(),
      leave: () => socket.destroy(),
      socket,
    };
  }
}

describe("a machine does not believe", () => {
  it("a maker with the ticket of an earlier attempt, and that maker does not believe it", async () => {
    const born = room(births.birthOf({ node: "n1", attempt: 2 }));
    expect(await fault(make(births, 1))).toBe("impostor");
    const visitor = await visit();
    const { encounter } = await visitor.hello();
    const body = await giftBody(identity(), visitor.publicKey);
    const refused = await visitor.give(body, makerProof(births.birthOf(n1), encounter, body));
    expect([refused.status, isUnborn()]).toEqual([403, true]);
    expect(await make(births, 2)).toBe("enrolled");
    await born;
  });

  it("what was recorded from another encounter, nor a gift without a hello, nor two gifts after one hello", async () => {
    const birth = births.birthOf(n1);
    const born = room(birth);
    const [first, second, third] = [await visit(), await visit(), await visit()];
    const { encounter } = await first.hello();
    const body = await giftBody(identity(), first.publicKey);
    const proof = makerProof(birth, encounter, body);
    // Whoever recorded both requests says both again.
    await second.hello(encounter.makerNonce);
    expect((await second.give(body, proof)).status).toBe(403);
    expect((await third.give(body, proof)).status).toBe(403);
    const changed = Buffer.concat([body, Buffer.from(" ")]);
    expect((await first.give(changed, proof)).status).toBe(403);
    await expect(first.give(body, proof)).rejects.toThrow(/./);
    expect(isUnborn()).toBe(true);
    expect(lines.filter((line) => line.includes(" refused "))).toHaveLength(3);
    await make();
    await born;
  });

  it("a second gift that was sent before the first one was refused", async () => {
    const birth = births.birthOf(n1);
    const stop = new AbortController();
    const written: string[] = [];
    const write = (path: string): Promise<void> => {
      written.push(path);
      return Promise.resolve();
    };
    // The first one's answer comes late enough for the second one to be read.
    const waits = room(birth, { signal: stop.signal, write, refusalMs: 100 });
    const visitor = await visit();
    const { encounter } = await visitor.hello();
    const body = await giftBody(identity(), visitor.publicKey);
    const gift = (proof: string): Buffer => {
      const head = `POST ${doors.gift} HTTP/1.1\r\nhost: node\r\n${proofHeader}: ${proof}\r\ncontent-length: ${body.length}\r\n\r\n`;
      return Buffer.concat([Buffer.from(head), body]);
    };
    const left = new Promise((resolve) => visitor.socket.once("close", resolve));
    visitor.socket.write(Buffer.concat([gift("wrong"), gift(makerProof(birth, encounter, body))]));
    await left;
    stop.abort();
    expect([await waits, written]).toEqual(["stopped", []]);
  });

  it("its maker when the CA, the cluster or the node is not that of its birth", async () => {
    const birth = births.birthOf(n1);
    const otherCa = await deriveCa("another", cluster.name);
    const otherKey = await makeOwnKey("another");
    const wrong: readonly (readonly [string, Birth, Partial<ReturnType<typeof identity>>])[] = [
      ["CA", { ...birth, caFingerprint: "0".repeat(64) }, {}],
      ["another key", birth, { certify: () => identity().certify(otherKey.publicKey) }],
      [
        "not of that CA",
        birth,
        { certify: (key) => otherCa.certify({ clusterId: cluster.id, role: "member", name: "n1", hosts: [], days: 1 }, key) },
      ],
      ["another node", birth, { certify: births.identityOf({ node: "n2", member: 2, advertise: "h:1", seeds: [] }).certify }],
      ["another node", birth, { configuration: { ...identity().configuration, node: { name: "n2", member: 2 } } }],
      ["another node", birth, { configuration: { ...identity().configuration, cluster: { ...cluster, name: "test" } } }],
      ["cannot be used", birth, { configuration: { ...identity().configuration, advertise: "nowhere" } }],
    ];
    for (const [words, its, change] of wrong) {
      const stop = new AbortController();
      const waits = room(its, { signal: stop.signal });
      const maker = { address: `${host}:${port}`, birth: its, identity: { ...identity(), ...change }, withinMs: 20_000 };
      expect(await enrol(maker).catch((error: Error) => error)).toMatchObject({
        fault: "refused",
        message: expect.stringContaining(words) as string,
      });
      expect(readdirSync(folder), words).toEqual([]);
      stop.abort();
      expect(await waits).toBe("stopped");
    }
  });
});

describe("a machine", () => {
  it("takes one maker at a time, and the later one finds its work done", async () => {
    const birth = births.birthOf(n1);
    const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const write = async (path: string, text: string): Promise<void> => {
      asked.resolve();
      await answered.promise;
      await writeDurably(path, text);
    };
    const born = room(birth, { write });
    const second = await visit();
    const first = make();
    await asked.promise;
    const { encounter } = await second.hello();
    const body = await giftBody(identity(), second.publicKey);
    const late = await second.give(body, makerProof(birth, encounter, body));
    expect(late).toEqual({ status: 409, body: { why: "another maker is giving" } });
    answered.resolve();
    expect([await first, await born]).toEqual(["enrolled", "born"]);
    second.leave();
    const daemon = await serveAs(folder);
    expect(await make()).toBe("already");
    const other = births.birthOf({ node: "n2", attempt: 1 });
    const forOther = enrol({ address: `${host}:${port}`, birth: other, identity: identity(), withinMs: 20_000 });
    expect(await fault(forOther)).toBe("otherNode");
    daemon();
  });

  it("whose disk fails in the middle has become nothing, and takes the same maker again", async () => {
    const names = ["node.key", "cluster-secret", "node.json"];
    for (const failing of names) {
      const its = join(folder, failing);
      let left = 1;
      const write = async (path: string, text: string): Promise<void> => {
        if (path.endsWith(failing) && left > 0) {
          left -= 1;
          expect(existsSync(join(its, fileNames.configuration))).toBe(false);
          throw new Error("ENOSPC: no space left on device");
        }
        await writeDurably(path, text);
      };
      const born = room(births.birthOf(n1), { folder: its, write });
      expect(await make(), failing).toBe("enrolled");
      await born;
      expect(left).toBe(0);
    }
    expect(lines.filter((line) => line.includes("ENOSPC"))).toHaveLength(names.length);
  });

  it("that was killed while it wrote begins anew: no file of the earlier try stays", async () => {
    for (const name of Object.values(fileNames)) {
      if (name !== fileNames.configuration && name !== fileNames.data) writeFileSync(join(folder, name), "half of it");
    }
    const born = room(births.birthOf(n1));
    expect(await make()).toBe("enrolled");
    await born;
    const [key, certificate] = ["node.key", "node.pem"].map((name) => readFileSync(join(folder, name), "utf8"));
    expect(new X509Certificate(certificate ?? "").checkPrivateKey(createPrivateKey(key ?? ""))).toBe(true);
    for (const name of readdirSync(folder)) expect(readFileSync(join(folder, name), "utf8"), name).not.toContain("half");
  });

  it("lets nobody send it more than it expects, nor open more than eight doors", async () => {
    const stop = new AbortController();
    const waits = room(births.birthOf(n1), { signal: stop.signal });
    const visitor = await visit();
    await visitor.hello();
    const tooMuch = Buffer.alloc(256 * 1024 + 1, 32);
    expect(
      await visitor.give(tooMuch, "x").then(
        ({ status }) => status,
        () => "cut",
      ),
    ).toBeOneOf([413, "cut"]);
    visitor.leave();
    const others: Visitor[] = [];
    for (let n = 0; n < 8; n++) others.push(await visit());
    const ninth = await dial(`${host}:${port}`, AbortSignal.timeout(20_000));
    expect(ninth).toMatchObject({ silent: expect.any(String) as string });
    const [one] = others;
    expect((await one?.hello())?.answered.status).toBe(200);
    expect((await one?.hello())?.answered).toEqual({ status: 409, body: { why: "one hello for a connection" } });
    for (const other of others) other.leave();
    stop.abort();
    expect(await waits).toBe("stopped");
    expect(isUnborn()).toBe(true);
  });
});

describe("somebody between a machine and its maker", () => {
  it("who passes everything on is noticed: the key that the maker sees is not the machine's", async () => {
    const born = room(births.birthOf(n1));
    const mine = await makeOwnKey("aether n1 waits");
    const between = randomLoopback();
    const seen: string[] = [];
    const server = createTls({ key: mine.key, cert: mine.certificate, minVersion: "TLSv1.3" }, (victim: TLSSocket) => {
      const machine = connectTls({ host, port, rejectUnauthorized: false });
      const its = (): string =>
        JSON.stringify(machine.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "pem" }));
      victim.on("data", (bytes) => seen.push(bytes.toString("latin1")));
      // It is a good one: it puts its own key, which is as long, in place of the machine's.
      machine.on("data", (bytes) =>
        victim.write(bytes.toString("latin1").replace(its(), JSON.stringify(mine.publicKey)), "latin1"),
      );
      victim.pipe(machine);
      victim.on("error", () => machine.destroy());
      machine.on("error", () => victim.destroy());
      victim.on("close", () => machine.destroy());
      machine.on("close", () => victim.destroy());
    });
    await new Promise<void>((resolve) => server.listen({ host: between, port }, () => resolve()));
    await visit().then((visitor) => visitor.leave());
    const maker = { address: `${between}:${port}`, birth: births.birthOf(n1), identity: identity(), withinMs: 20_000 };
    expect(await fault(enrol(maker))).toBe("impostor");
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(seen.join("")).toContain("POST /enrolment/hello");
    expect(seen.join("")).not.toContain(doors.gift);
    expect(isUnborn()).toBe(true);
    expect(await make()).toBe("enrolled");
    await born;
  });
});

describe("a birth file", () => {
  it("comes back as it was written, and names its faults without its ticket", () => {
    const birth = births.birthOf(n1);
    const parsed = parseBirth(birthText(birth));
    if ("errors" in parsed) throw new Error(parsed.errors.join());
    expect({ ...parsed.ok, ticket: reveal(parsed.ok.ticket) }).toEqual({ ...birth, ticket: reveal(birth.ticket) });
    expect(JSON.stringify(parsed.ok)).not.toContain(reveal(birth.ticket));
    const broken = parseBirth(
      birthText(birth).replace('"attempt":1', '"attempt":0').replace(reveal(birth.ticket), "planted-and-too-short"),
    );
    expect(broken).toEqual({ errors: [expect.stringContaining("attempt"), expect.stringContaining("ticket")] });
    expect(JSON.stringify(broken)).not.toContain("planted");
    expect(parseBirth("no json")).toEqual({ errors: ["the text is not JSON"] });
  });
});

/** A server with the certificate that the node was given, as its daemon has. Returns what ends it. */
async function serveAs(its: string): Promise<() => void> {
  const [ca = "", certificate = "", key = ""] = ["ca.pem", "node.pem", "node.key"].map((name) =>
    readFileSync(join(its, name), "utf8"),
  );
  const server = createTls(serverTls({ ca, certificate, key }));
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen({ host, port }, () => resolve()));
  return () => server.close();
}
