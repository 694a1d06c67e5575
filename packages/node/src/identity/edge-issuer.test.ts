import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterLabels } from "@aether/cloud/labels";
import { makeLocalProvider } from "@aether/cloud/local";
import { makeLocalCertificates } from "@aether/cloud/local/certificates";
import type { Certificates, CloudError } from "@aether/cloud/provider";
import { certificateConformance, type CertificateWorld } from "@aether/cloud/testing/edge-conformance";
import { otherPem } from "@aether/cloud/testing/edge-pem";
import { networkFaults } from "@aether/cloud/testing/faults";
import type { FaultPlan } from "@aether/cloud/testing/http-fake";
import { makeHetznerWorld, noFaults } from "@aether/cloud/testing/hetzner/world";
import { flip, runPromise, type Effect } from "effect/Effect";
import { value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readIdentity } from "./certificate-identity.ts";
import { deriveCa } from "./cluster-ca.ts";
import { edgeIssuer } from "./edge-issuer.ts";

const clusterId = "0123456789abcdef0123456789abcdef";
const labels = clusterLabels("conform");
const day = 86_400_000;
const authority = deriveCa("a secret nobody would guess", "conform");
const issuer = edgeIssuer(() => authority);
const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));
const folder = (): string => mkdtempSync(join(tmpdir(), "aether-edge-"));

certificateConformance("hetzner, signed by the cluster's CA", () => {
  const world = makeHetznerWorld();
  const client = () => world.client(noFaults, { issuer });
  return Promise.resolve({ ...world, provider: client(), another: client(), edge: { validate: null, hasIssuer: true } });
});

const localWorld = (withIssuer: boolean) => (): Promise<CertificateWorld> => {
  const root = folder();
  const daemon = { node: process.execPath, nodeOptions: [], entry: "no daemon is started here" };
  const places = { cluster: "conform", registryDir: join(root, "instances"), nodesDir: join(root, "nodes"), daemon, graceMs: 1 };
  const client = () => makeLocalProvider(withIssuer ? { ...places, issuer } : places);
  return Promise.resolve({
    cluster: { id: clusterId, name: "conform" },
    provider: client(),
    another: client(),
    edge: { validate: null, hasIssuer: withIssuer },
    close: () => Promise.resolve(rmSync(root, { recursive: true, force: true })),
  });
};
certificateConformance("local, signed by the cluster's CA", localWorld(true));
certificateConformance("local, without the cluster secret", localWorld(false));

describe("an edge certificate", () => {
  it("is of the cluster's CA, for a server of these names and at most 398 days, and names nobody of the cluster", async () => {
    const ca = await authority;
    const signed = await issuer.issue(["api.example", "*.api.example"]);
    if ("why" in signed) throw new Error(signed.why);
    const leaf = new X509Certificate(signed.chain);
    expect(leaf.verify(new X509Certificate(ca.certificate).publicKey)).toBe(true);
    expect(leaf.subjectAltName).toBe("DNS:api.example, DNS:*.api.example");
    expect(leaf.checkHost("www.api.example")).toBe("*.api.example");
    expect([leaf.ca, leaf.keyUsage]).toEqual([false, ["1.3.6.1.5.5.7.3.1"]]);
    expect(leaf.validToDate.getTime() - leaf.validFromDate.getTime()).toBeLessThanOrEqual(398 * day);
    expect(leaf.validToDate.getTime()).toBeGreaterThan(Date.now() + 390 * day);
    expect(readIdentity(leaf, clusterId, () => false, Date.now())).toMatchObject({ refused: "malformed" });
    expect(JSON.stringify(signed)).not.toContain(reveal(signed.key).split("\n")[1]);
  });

  it("is signed for no nonsense", async () => {
    const ca = await authority;
    const wrong: readonly string[][] = [
      [],
      ["a b"],
      ["::1"],
      ["127.0.0.1"],
      ["*"],
      ["x, URI:aether://y"],
      Array<string>(33).fill("a.example"),
    ];
    for (const domains of wrong) await expect(ca.issueEdge(domains, 30)).rejects.toThrow(RangeError);
    for (const days of [0, 399, 1.5, NaN]) await expect(ca.issueEdge(["a.example"], days)).rejects.toThrow(RangeError);
  });
});

describe("an edge certificate at Hetzner", () => {
  it("is kept for two thirds of its life, then made anew under its name, unless it is somebody else's", async () => {
    const world = makeHetznerWorld();
    const { certificates } = world.client(noFaults, { issuer });
    if (certificates === undefined) throw new Error("Hetzner has certificates");
    const one = await run(certificates.ensure("edge", ["a.example"], labels));
    await run(certificates.importPem("theirs", otherPem, clusterLabels("another")));
    world.clock.advance(59 * day); // the vendor's fake says that each is for 90 days
    expect(await run(certificates.ensure("edge", ["a.example"], labels))).toEqual(one);
    world.clock.advance(2 * day);
    const next = await run(certificates.ensure("edge", ["a.example"], labels));
    expect(next.ref).not.toBe(one.ref);
    expect(await failure(certificates.get(one.ref))).toMatchObject({ _tag: "NotFound" });
    const theirs = ["other.example", "www.other.example"];
    expect(await failure(certificates.ensure("theirs", theirs, labels))).toMatchObject({ _tag: "Conflict", kind: "exists" });
    expect([...world.fake.certificates.values()].map(({ name }) => name).toSorted()).toEqual(["edge", "theirs"]);
  });

  it.each(networkFaults)("is one, labelled from the start, whatever happens to its upload: %s", async (_words, fault) => {
    const world = makeHetznerWorld();
    let posts = 0;
    const plan: FaultPlan = ({ method }) => (method === "POST" && posts++ === 0 ? fault : undefined);
    const { certificates } = world.client(plan, { issuer });
    const ensure = (certificates as Certificates).ensure("edge", ["a.example"], labels);
    // it may fail when nobody can tell whether it was done; whoever then says it again gets the one there is
    await Promise.allSettled([run(ensure)]);
    expect(world.fake.certificates.size).toBeLessThanOrEqual(1);
    const one = await run(ensure);
    expect([...world.fake.certificates.values()].map((c) => [String(c.id), c.labels])).toEqual([[one.ref, labels]]);
    expect(posts).toBeGreaterThan(0);
  });

  it("needs an issuer that can sign, and says what is missing", async () => {
    const { certificates } = makeHetznerWorld().client(noFaults, {
      issuer: { issue: () => Promise.resolve({ why: "no secret here" }) },
    });
    const refused = await failure((certificates as Certificates).ensure("edge", ["a.example"], labels));
    expect(refused).toMatchObject({ _tag: "Unsupported", capability: "certificates", message: "no secret here" });
  });
});

describe("an edge certificate of the local provider", () => {
  let dir: string;
  beforeEach(() => (dir = folder()));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const at = (days: number): Certificates => makeLocalCertificates({ dir, issuer, now: () => Date.now() + days * day });

  it("is a file that only its owner reads, chain and key together, and is gone after a deletion", async () => {
    const one = await run(at(0).ensure("edge", ["a.example"], labels));
    expect(readdirSync(dir).toSorted()).toEqual(["edge.json", "edge.pem"]);
    const path = join(dir, "edge.pem");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const text = readFileSync(path, "utf8");
    expect(new X509Certificate(text).subjectAltName).toBe("DNS:a.example");
    expect(text).toMatch(/END CERTIFICATE-----\n-----BEGIN PRIVATE KEY/);
    expect(readFileSync(join(dir, "edge.json"), "utf8")).not.toContain("PRIVATE");
    await run(at(0).delete(one.ref));
    expect(readdirSync(dir)).toEqual([]);
    expect(await run(at(0).delete("../../etc.passwd"))).toBe("absent");
  });

  it("is kept for two thirds of its life and made anew then, or when a change of it was cut off", async () => {
    const one = await run(at(0).ensure("edge", ["a.example"], labels));
    expect(await run(at(260).ensure("edge", ["a.example"], labels))).toEqual(one);
    const next = await run(at(270).ensure("edge", ["a.example"], labels));
    expect(next.ref).not.toBe(one.ref);
    rmSync(join(dir, "edge.pem")); // as a deletion leaves it that was killed
    const whole = await run(at(0).ensure("edge", ["b.example"], labels));
    expect(new X509Certificate(readFileSync(join(dir, "edge.pem"))).subjectAltName).toBe("DNS:b.example");
    expect(await run(at(0).list?.(labels) ?? failNow())).toEqual([whole]);
  });
});

const failNow = (): never => {
  throw new Error("the local provider lists its certificates");
};
