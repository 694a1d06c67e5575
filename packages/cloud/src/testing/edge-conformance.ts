/**
 * What every provider must keep that has secrets, load balancers and certificates. A provider's own test file calls
 * {@link edgeConformance} with a world of its own, beside {@link conformance}.
 */
import { seconds } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { make as redact, value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clusterLabels } from "../labels.ts";
import type { CloudError, Instance, InstanceId, SecretRef } from "../provider.ts";
import type { CloudWorld } from "./conformance.ts";
import { edgeKeyWords, edgePem, otherPem } from "./edge-pem.ts";

/** A place with an edge: what a person has put there before the provider comes. */
export interface EdgeWorld extends CloudWorld {
  readonly edge: EdgePlace;
}

export interface EdgePlace {
  /** Makes a secret, or a new version of it. Tells the version's name, or null where there are no versions. */
  putSecret(path: string, text: string): Promise<string | null>;
  /** A load balancer, or what instances are members of, without members. */
  addBalancer(name: string): Promise<void>;
  /** Takes an instance's labels away: from then on it is somebody else's. */
  disown(instance: Instance): Promise<void>;
  /** The vendor finds the challenge answered. Null where it issues no certificates. */
  readonly validate: ((ref: string) => Promise<void>) | null;
  /** The vendor issues without asking whose the domains are, so that there is no challenge. */
  readonly asksNoProof?: boolean;
  /** The vendor issues nothing, and the provider has been given an issuer that signs at once. */
  readonly hasIssuer?: boolean;
}

/** For providers that have certificates and no other part of the edge. */
export interface CertificateWorld extends Pick<EdgeWorld, "cluster" | "provider" | "another" | "close"> {
  readonly edge: Pick<EdgePlace, "validate" | "asksNoProof" | "hasIssuer">;
}

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));

/** Is there, or the test's world promises what the provider does not have. */
function present<A>(facet: A | undefined, name: string): A {
  if (facet === undefined) throw new Error(`the provider has no ${name}`);
  return facet;
}

export function edgeConformance(name: string, makeWorld: () => Promise<EdgeWorld>): void {
  describe(`edge of provider ${name}`, () => {
    let world: EdgeWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(() => world.close());
    secretRules(() => world);
    balancerRules(() => world);
    certificateRules(() => world);
  });
}

/** The part of {@link edgeConformance} that is about certificates. */
export function certificateConformance(name: string, makeWorld: () => Promise<CertificateWorld>): void {
  describe(`certificates of provider ${name}`, () => {
    let world: CertificateWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(() => world.close());
    certificateRules(() => world);
  });
}

function secretRules(world: () => EdgeWorld): void {
  const secrets = () => present(world().provider.secrets, "secrets");
  const textOf = async (ref: SecretRef): Promise<string> => reveal((await run(secrets().resolve(ref))).value);

  it("reads secrets whole or one field of them, in the order asked", async () => {
    await world().edge.putSecret("conform/plain", "p4ss word/ü");
    await world().edge.putSecret("conform/db", JSON.stringify({ user: { name: "ann", pin: 7 }, on: true }));
    expect(await textOf({ path: "conform/plain" })).toBe("p4ss word/ü");
    const refs = ["user.name", "user.pin", "on"].map((field) => ({ path: "conform/db", field }));
    const all = await run(secrets().resolveAll([...refs, { path: "conform/plain" }, ...refs.slice(0, 1)]));
    expect(all.map(({ value }) => reveal(value))).toEqual(["ann", "7", "true", "p4ss word/ü", "ann"]);
    expect(await run(secrets().resolveAll([]))).toEqual([]);
  });

  it("gives all secrets or none, names every one that is missing, and shows no value", async () => {
    await world().edge.putSecret("conform/plain", "very-secret-text-0123456789");
    await world().edge.putSecret("conform/json", '{"key":"very-secret-field-0123456789"}');
    const refs: readonly SecretRef[] = [
      { path: "conform/none" },
      { path: "conform/plain" },
      { path: "conform/nothing" },
      { path: "conform/json", field: "no.such" },
      { path: "conform/plain", field: "key" },
    ];
    const error = await failure(secrets().resolveAll(refs));
    expect(error._tag).toBe("NotFound");
    for (const named of ["conform/none", "conform/nothing", "conform/json#no.such", "conform/plain#key"]) {
      expect(error.message).toContain(named);
    }
    expect(JSON.stringify(error)).not.toContain("very-secret");
    expect(await failure(secrets().resolve({ path: "conform/none" }))).toMatchObject({ _tag: "NotFound" });
  });

  it("refuses a path outside of the grammar before it asks anybody", async () => {
    const refused = await failure(secrets().resolveAll([{ path: "../etc/passwd" }, { path: "a b" }]));
    expect(["Invalid", "NotFound"]).toContain(refused._tag);
    expect(refused.message).toContain("a b");
  });

  it("reads the newest version, and an older one by its name where there are versions", async () => {
    const first = await world().edge.putSecret("conform/rotated", "one");
    await world().edge.putSecret("conform/rotated", "two");
    expect(await textOf({ path: "conform/rotated" })).toBe("two");
    if (first === null) {
      expect(await failure(secrets().resolve({ path: "conform/rotated", version: "1" }))).toMatchObject({ _tag: "NotFound" });
      return;
    }
    expect(await run(secrets().resolve({ path: "conform/rotated", version: first }))).toMatchObject({ version: first });
    const both: readonly SecretRef[] = [{ path: "conform/rotated", version: first }, { path: "conform/rotated" }];
    expect((await run(secrets().resolveAll(both))).map(({ value }) => reveal(value))).toEqual(["one", "two"]);
    const missing = { path: "conform/rotated", version: first.replaceAll(/[0-9a-f]/g, "9") };
    expect(await failure(secrets().resolve(missing))).toMatchObject({ _tag: "NotFound" });
  });
}

function balancerRules(world: () => EdgeWorld): void {
  const lbs = () => present(world().provider.loadBalancers, "load balancers");
  const mine = () => clusterLabels(world().cluster.name);
  const made = async (node: string): Promise<Instance> => {
    const { compute } = world().provider;
    const { instance } = await run(compute.ensure(await world().spec(node)));
    return run(compute.awaitState(instance.id, ["running"], seconds(60)));
  };
  const members = async (): Promise<readonly InstanceId[]> =>
    (await run(lbs().targets("edge"))).map(({ instance }) => instance).toSorted();
  const ids = (...instances: readonly Instance[]): readonly InstanceId[] => instances.map(({ id }) => id).toSorted();

  it("takes instances behind a load balancer and lets them go, as often as one says it", async () => {
    await world().edge.addBalancer("edge");
    const [one, two] = [await made("n1"), await made("n2")];
    expect(await members()).toEqual([]);
    await run(lbs().register("edge", [one.id, two.id]));
    await run(lbs().register("edge", [two.id, one.id, one.id]));
    expect(await members()).toEqual(ids(one, two));
    await run(lbs().deregister("edge", [one.id], seconds(30)));
    await run(lbs().deregister("edge", [one.id], seconds(30)));
    expect(await members()).toEqual(ids(two));
    await run(lbs().register("edge", [one.id]));
    expect(await members()).toEqual(ids(one, two));
  });

  it("makes a load balancer's members equal to what is wanted, and touches no one else's", async () => {
    await world().edge.addBalancer("edge");
    const [one, two, foreign] = [await made("n1"), await made("n2"), await made("n3")];
    await run(lbs().register("edge", [one.id, foreign.id]));
    await world().edge.disown(foreign);
    expect(await run(lbs().reconcile("edge", mine(), [two.id]))).toEqual({ added: 1, removed: 1 });
    expect(await run(lbs().reconcile("edge", mine(), [two.id]))).toEqual({ added: 0, removed: 0 });
    const staying = (await run(lbs().targets("edge"))).filter(({ health }) => health !== "draining");
    expect(staying.map(({ instance }) => instance).toSorted()).toEqual(ids(two, foreign));
    expect(await failure(lbs().reconcile("edge", {}, []))).toMatchObject({ _tag: "Invalid" });
  });

  it("leaves no member behind that has been deleted", async () => {
    await world().edge.addBalancer("edge");
    const [one, two] = [await made("n1"), await made("n2")];
    await run(lbs().register("edge", [one.id, two.id]));
    await run(world().provider.compute.delete(one.id));
    await run(lbs().reconcile("edge", mine(), [two.id]));
    const staying = (await run(lbs().targets("edge"))).filter(({ health }) => health !== "draining");
    expect(staying.map(({ instance }) => instance)).toEqual([two.id]);
  });

  it("says so when there is no such load balancer", async () => {
    const one = await made("n1");
    expect(await failure(lbs().targets("nope"))).toMatchObject({ _tag: "NotFound" });
    expect(await failure(lbs().register("nope", [one.id]))).toMatchObject({ _tag: "NotFound" });
    expect(await failure(lbs().reconcile("nope", mine(), [one.id]))).toMatchObject({ _tag: "NotFound" });
  });
}

function certificateRules(world: () => CertificateWorld): void {
  const certificates = () => present(world().provider.certificates, "certificates");
  const mine = () => clusterLabels(world().cluster.name);
  const listed = async () => {
    const { list } = certificates();
    return list === undefined ? null : (await run(list(mine()))).map(({ ref }) => ref);
  };

  it("takes a certificate once, shows it, and deletes it", async () => {
    const one = await run(certificates().importPem("edge", edgePem, mine()));
    expect(one).toMatchObject({ name: "edge", state: "ready" });
    expect(one.domains.toSorted()).toEqual(["edge.example", "www.edge.example"]);
    expect(one.notAfter).toBeGreaterThan(0);
    expect(await run(certificates().importPem("edge", edgePem, mine()))).toEqual(one);
    expect(await run(certificates().get(one.ref))).toEqual(one);
    expect([[one.ref], null]).toContainEqual(await listed());
    const another = await failure(certificates().importPem("edge", otherPem, mine()));
    expect(another).toMatchObject({ _tag: "Conflict", kind: "exists" });
    expect(await run(certificates().delete(one.ref))).toBe("deleted");
    expect(await run(certificates().delete(one.ref))).toBe("absent");
    expect(await failure(certificates().get(one.ref))).toMatchObject({ _tag: "NotFound" });
    expect([[], null]).toContainEqual(await listed());
  });

  it("lists no certificate of another cluster, and none at all by an empty selector", async () => {
    const { list, importPem } = certificates();
    if (list === undefined) return;
    await run(importPem("edge", edgePem, mine()));
    const other = await run(importPem("other", otherPem, clusterLabels("another")));
    expect((await run(list(clusterLabels("another")))).map(({ ref }) => ref)).toEqual([other.ref]);
    expect(await failure(list({}))).toMatchObject({ _tag: "Invalid" });
  });

  it("shows nothing of a private key that is refused", async () => {
    const halves = redact(reveal(edgePem.key).replace("BEGIN PRIVATE", "BEGIN BROKEN"));
    const error = await failure(certificates().importPem("edge", { chain: edgePem.chain, key: halves }, mine()));
    expect(error).toMatchObject({ _tag: "Invalid" });
    const shown = JSON.stringify(error);
    expect(edgeKeyWords.filter((word) => shown.includes(word))).toEqual([]);
  });

  it("has the vendor issue a certificate once, shows what the DNS must say, or says that it cannot", async () => {
    const { validate, hasIssuer = false } = world().edge;
    if (hasIssuer) return signedByIssuer(world());
    if (validate === null) {
      const refused = await failure(certificates().ensure("edge", ["a.example"], mine()));
      expect(refused).toMatchObject({ _tag: "Unsupported", capability: "certificates" });
      return;
    }
    const domains = ["a.example", "b.example"];
    const one = await run(certificates().ensure("edge", domains, mine()));
    expect(one).toMatchObject({ name: "edge", state: "pending" });
    expect(one.domains.toSorted()).toEqual(domains);
    if (world().edge.asksNoProof === true) expect(one.challenge).toBeUndefined();
    else expect(one.challenge?.length).toBeGreaterThan(0);
    for (const record of one.challenge ?? []) {
      expect(record.name).toMatch(/^[a-z0-9_.-]*[ab]\.example$/);
      expect(record.value).not.toBe("");
    }
    const again = await run(present(world().another.certificates, "certificates").ensure("edge", domains, mine()));
    expect(again.ref).toBe(one.ref);
    const other = await failure(certificates().ensure("edge", ["c.example"], mine()));
    expect(other).toMatchObject({ _tag: "Conflict", kind: "exists" });
    await validate(one.ref);
    expect(await run(certificates().get(one.ref))).toMatchObject({ state: "ready", ref: one.ref });
    expect(await run(certificates().delete(one.ref))).toBe("deleted");
  });
}

/** One for a name and its domains, ready at once; other domains are a Conflict, and what is no domain is Invalid. */
async function signedByIssuer(world: CertificateWorld): Promise<void> {
  const certificates = present(world.provider.certificates, "certificates");
  const mine = clusterLabels(world.cluster.name);
  const domains = ["a.example", "*.b.example"];
  const one = await run(certificates.ensure("edge", domains, mine));
  expect(one).toMatchObject({ name: "edge", state: "ready" });
  expect(one.challenge).toBeUndefined();
  expect(one.domains.toSorted()).toEqual(domains.toSorted());
  const another = present(world.another.certificates, "certificates");
  expect(await run(another.ensure("edge", domains.toReversed(), mine))).toEqual(one);
  const { list } = certificates;
  if (list !== undefined) expect(await run(list(mine))).toEqual([one]);
  const other = await failure(certificates.ensure("edge", ["a.example"], mine));
  expect(other).toMatchObject({ _tag: "Conflict", kind: "exists" });
  for (const wrong of [[], ["A.example"], ["a b"], ["10.0.0.1"], ["a.*.example"]]) {
    expect(await failure(certificates.ensure("wrong", wrong, mine))).toMatchObject({ _tag: "Invalid" });
  }
  const both = await Promise.all([certificates, another].map(({ ensure }) => run(ensure("both", ["c.example"], mine))));
  expect(new Set(both.map(({ ref }) => ref)).size).toBe(1);
  expect(await run(certificates.delete(one.ref))).toBe("deleted");
  expect((await run(certificates.ensure("edge", ["a.example"], mine))).domains).toEqual(["a.example"]);
}
