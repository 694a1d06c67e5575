import { flip, runPromise, type Effect } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { clusterLabels } from "../labels.ts";
import type { CloudError, CloudProvider } from "../provider.ts";
import { operator, place, type FakeAzureOptions } from "../testing/azure/fake.ts";
import { principalCertificate, principalKey } from "../testing/azure/principal-pem.ts";
import { azureSpec, cluster, makeAzureWorld, secretOf } from "../testing/azure/world.ts";
import { edgePem } from "../testing/edge-pem.ts";
import { serveFake } from "../testing/http-fake.ts";
import { makeUndiciTransport } from "../http/undici-transport.ts";
import type { AzureCredentials } from "./credentials.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));
const mine = clusterLabels(cluster.name);
const list = ({ compute }: CloudProvider) => compute.list(mine);

const client = "99999999-8888-7777-6666-123456789abc";
const certificate: AzureCredentials = {
  kind: "certificate",
  tenant: place.tenant,
  client,
  path: "/etc/aether/azure.pem",
  password: null,
};
const workload: AzureCredentials = { kind: "workload", tenant: place.tenant, client, path: "/var/run/token" };
const federated = "eyJhbGciOiJSUzI1NiJ9.a-token-of-another-issuer.c2lnbmF0dXJl";
const principals = [operator, { client, certificate: principalCertificate, federated }];

const makeWorld = (options: Partial<FakeAzureOptions> = {}) => {
  const world = makeAzureWorld({ principals, ...options });
  world.files.set("/etc/aether/azure.pem", principalCertificate + principalKey);
  world.files.set("/var/run/token", `${federated}\n`);
  const asked = () => world.fake.calls.filter((call) => call === "POST token").length;
  return { ...world, asked };
};

describe("Azure's tokens", () => {
  it("are asked for once, however many calls there are at the same time", async () => {
    const world = makeWorld();
    const one = world.client();
    await Promise.all(Array.from({ length: 20 }, () => run(list(one))));
    expect([world.asked(), world.fake.directory.given]).toEqual([1, 1]);
  });

  it("are of two kinds: one for machines, another for the vault", async () => {
    const world = makeWorld();
    world.fake.vault.putSecret("a", "1");
    const one = world.client();
    for (let time = 0; time < 3; time += 1) {
      await run(list(one));
      if (one.secrets === undefined) throw new Error("a vault was named");
      await run(one.secrets.resolve({ path: "a" }));
    }
    expect(world.asked()).toBe(2);
    expect(world.fake.violations).toEqual([]);
  });

  it("are replaced before they end", async () => {
    const world = makeWorld();
    const one = world.client();
    await run(list(one));
    world.clock.advance(3_600_000 - 299_000);
    await run(list(one));
    expect(world.asked()).toBe(2);
    world.clock.advance(3_600_000 - 301_000);
    await run(list(one));
    expect(world.asked()).toBe(2);
  });

  it("are asked for once more when the vendor refuses one, and then the refusal counts", async () => {
    const world = makeWorld();
    const one = world.client();
    await run(list(one));
    world.fake.directory.revokeAll();
    await Promise.all([run(list(one)), run(list(one)), run(list(one))]);
    expect(world.asked()).toBe(2);
    const deaf = world.client((request) =>
      request.url.pathname.endsWith("/token") ? undefined : { kind: "refuse-before", status: 401, headers: {} },
    );
    expect(await failure(deaf.compute.get("conform-n1.00000000-0000-0000-0000-000000000000" as never))).toMatchObject({
      _tag: "Auth",
      kind: "unauthenticated",
    });
    expect(world.asked()).toBe(4);
  });

  it.each<[string, AzureCredentials]>([
    ["a certificate's key signs", certificate],
    ["another issuer vouches", workload],
  ])("are given where %s", async (_, credentials) => {
    const world = makeWorld();
    expect(await run(list(world.client(undefined, { credentials })))).toEqual([]);
    expect(await run(world.client(undefined, { credentials }).preflight)).toContainEqual({
      check: "the credentials are accepted",
      ok: true,
      detail: `application ${client} of directory ${place.tenant}`,
    });
  });

  it.each([1_200_000, -1_200_000])("are given though our clock is wrong by %i ms: the vendor's own tells", async (aheadMs) => {
    const world = makeWorld({ aheadMs });
    const one = world.client(undefined, { credentials: certificate });
    expect(await run(list(one))).toEqual([]);
    expect(world.asked()).toBe(2);
    const checks = await run(one.preflight);
    expect(checks).toContainEqual({ check: "the clocks agree", ok: false, detail: "they differ by 1200 s" });
  });

  it.each<[string, AzureCredentials, string]>([
    ["a wrong secret", secretOf({ ...operator, secret: "wrong~secret-0123456789abcdef" }), "AADSTS7000215"],
    ["an application that is not known", secretOf({ client: "unknown", secret: "s" }), "AADSTS700016"],
    ["a directory that is none", { ...secretOf(operator), tenant: "elsewhere.example" } as AzureCredentials, "AADSTS90002"],
  ])("are refused for %s, at once and without a second try", async (_, credentials, code) => {
    const world = makeWorld();
    const error = await failure(list(world.client(undefined, { credentials })));
    expect(error).toMatchObject({ _tag: "Auth", kind: "unauthenticated", code, requestId: "t-1" });
    expect(JSON.stringify(error)).not.toContain("wrong~secret");
    // Three lists begin at once; what one is told serves all.
    expect(world.asked()).toBe(1);
    expect(world.clock.slept).toEqual([]);
    expect((await run(world.client(undefined, { credentials }).preflight)).map(({ ok }) => ok)).toEqual([false]);
  });

  it.each<[string, string]>([
    ["no file", ""],
    ["no certificate", principalKey],
    ["no key", principalCertificate],
    ["a key that is not RSA", edgePem.chain],
  ])("are not asked for with %s where a certificate is wanted, and nothing of it is shown", async (_, text) => {
    const world = makeWorld();
    if (text === "") world.files.clear();
    else world.files.set("/etc/aether/azure.pem", text);
    const error = await failure(list(world.client(undefined, { credentials: certificate })));
    expect(error).toMatchObject({ _tag: "Auth", kind: "unauthenticated" });
    expect(error.message).toMatch(/^\/etc\/aether\/azure\.pem /);
    const words = (principalKey + principalCertificate).split("\n").filter((line) => line.length > 40);
    expect(words.filter((word) => error.message.includes(word))).toEqual([]);
    expect(world.asked()).toBe(0);
  });

  it("never stand in an error, and neither does what they are asked for with", async () => {
    const world = makeWorld();
    const one = world.client((request) =>
      request.method === "PUT" ? { kind: "refuse-before", status: 500, headers: {} } : undefined,
    );
    const loud = { ...azureSpec("n1"), userData: redact(`password: ${operator.secret ?? ""}`) };
    const error = await failure(one.compute.ensure(loud));
    expect(error._tag).toBe("Transient");
    // The vendor repeats the token that it refuses.
    const refused = world.client((request) => {
      if (request.method === "GET") world.fake.directory.revokeAll();
      return undefined;
    });
    const echoed = await failure(list(refused));
    expect(echoed).toMatchObject({ _tag: "Auth", message: "The access token is invalid: Bearer <redacted>" });
    expect(JSON.stringify([error, echoed])).not.toMatch(/eyJ[\w-]{12,}|azure~secret/);
  });

  it("come from the machine itself where there is one of the vendor's", async () => {
    const world = makeWorld({ machineClient: client });
    const served = await serveFake(world.fake, "", () => undefined);
    const transport = makeUndiciTransport();
    try {
      const env = { AETHER_AZURE_METADATA_ENDPOINT: served.url, AETHER_AZURE_ENDPOINT: served.url };
      const one = world.over(transport, { credentials: { kind: "managed", client: null }, env });
      expect(await run(list(one))).toEqual([]);
      const other = world.over(transport, { credentials: { kind: "managed", client: "of-another" }, env });
      expect(await failure(list(other))).toMatchObject({ _tag: "Auth", code: "invalid_request", message: "Identity not found" });
      expect(world.asked()).toBe(0);
    } finally {
      await transport.close();
      await served.close();
    }
  });

  it("say what to do where there is neither a variable nor a machine of the vendor's", async () => {
    const world = makeWorld();
    const unreachable = world.client(() => ({ kind: "unsent" }), { credentials: { kind: "managed", client: null } });
    const error = await failure(list(unreachable));
    expect(error).toMatchObject({ _tag: "Transient", maybeApplied: false, op: "ask the machine for its token" });
    expect(error.message).toContain("the login of the Azure CLI is not read: make a service principal");
  });

  it("go to no metadata service but the machine's own", () => {
    const world = makeWorld();
    const env = { AETHER_AZURE_METADATA_ENDPOINT: "http://10.0.0.1" };
    expect(() => world.client(undefined, { credentials: { kind: "managed", client: null }, env })).toThrowError(
      "AETHER_AZURE_METADATA_ENDPOINT is http: and not on this computer",
    );
  });
});
