/** Who we are at Google: where credentials are found, how tokens are had, replaced and refused, and that none is shown. */
import { flip, runPromise, type Effect } from "effect/Effect";
import { value as reveal } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { makeGcpProvider } from "../gcp.ts";
import { makeAccountLimits } from "../http/rate-limiter.ts";
import { clusterLabels } from "../labels.ts";
import type { CloudError, CloudProvider } from "../provider.ts";
import type { Fault } from "../testing/faults.ts";
import { region } from "../testing/gcp/fake.ts";
import { account, credentialFiles, project, rfc7515Pem, strangePem, workload } from "../testing/gcp/tokens.ts";
import { cluster, machine, makeGcpWorld, noFaults, type GcpClientOptions } from "../testing/gcp/world.ts";
import { findCredentials, parseCredentials } from "./credentials.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));
const look = ({ compute }: CloudProvider) => compute.list(clusterLabels(cluster.name));

const key = JSON.parse(credentialFiles.service_account()) as Record<string, string>;
const keyFile = (change: object = {}): GcpClientOptions => ({
  env: { GOOGLE_APPLICATION_CREDENTIALS: "/key.json" },
  files: { "/key.json": JSON.stringify({ ...key, ...change }) },
});
const minutes = (count: number): number => count * 60_000;

describe("a service account's key", () => {
  it("is exchanged for a token once for all calls, and again before that ends", async () => {
    const world = makeGcpWorld();
    const client = world.client(noFaults, keyFile());
    await Promise.all([look(client), look(client), look(client)].map(run));
    world.clock.advance(minutes(54));
    await run(look(client));
    expect(world.fake.tokens.given).toEqual(["assertion"]);
    world.clock.advance(minutes(2));
    await run(look(client));
    expect(world.fake.tokens.given).toEqual(["assertion", "assertion"]);
  });

  it("is used once more when its token was refused, and only once", async () => {
    const world = makeGcpWorld();
    const client = world.client(noFaults, keyFile());
    await run(look(client));
    world.fake.tokens.revoke();
    await run(look(client));
    expect(world.fake.tokens.given).toHaveLength(2);
    const unauthorised: Fault = { kind: "refuse-before", status: 401, headers: {} };
    const refused = world.client((request) => (request.url.pathname === "/token" ? undefined : unauthorised), keyFile());
    const before = world.fake.tokens.given.length;
    expect(await failure(look(refused))).toMatchObject({ _tag: "Auth", kind: "unauthenticated", status: 401 });
    expect(world.fake.tokens.given.length - before).toBe(2);
  });

  it.each([-minutes(10), minutes(10)])("works when the vendor's clock is %i ms away from ours", async (aheadMs) => {
    const world = makeGcpWorld({ aheadMs });
    const client = world.client(noFaults, keyFile());
    expect(await run(look(client))).toEqual([]);
    // It remembers what it has learned: the next assertion is right at once.
    world.clock.advance(minutes(58));
    const before = world.fake.calls.length;
    await run(look(client));
    expect(world.fake.calls.slice(before)).toEqual(["POST /token", "GET /aggregated/instances"]);
  });

  it.each([
    ["of somebody else", { private_key: strangePem() }, "Invalid JWT Signature."],
    ["of an account that is gone", { client_email: "gone@fleet-production.iam.gserviceaccount.com" }, "Invalid issuer."],
    ["that is no key", { private_key: "nonsense" }, "no RSA key in PKCS#8"],
  ])("%s is refused once, not again and again, and not shown", async (_, change, message) => {
    const world = makeGcpWorld();
    const client = world.client(noFaults, keyFile(change));
    const error = await failure(look(client));
    expect(error).toMatchObject({ _tag: "Auth", kind: "unauthenticated", message: expect.stringContaining(message) as string });
    expect(world.fake.calls.filter((call) => call !== "POST /token")).toEqual([]);
    expect(world.fake.calls.length).toBeLessThanOrEqual(1);
    const shown = JSON.stringify(error);
    const words = ["private_key" in change ? change.private_key : rfc7515Pem()].flatMap((text) => text.split("\n"));
    expect(words.filter((word) => word.length > 20 && shown.includes(word))).toEqual([]);
  });

  it("is asked for again when the token endpoint is down, within the same call", async () => {
    const world = makeGcpWorld();
    let count = 0;
    const flaky = world.client((request) => {
      const isFirst = request.url.pathname === "/token" && (count += 1) <= 2;
      return isFirst ? { kind: "refuse-before", status: 503, headers: {} } : undefined;
    }, keyFile());
    expect(await run(look(flaky))).toEqual([]);
    expect(world.fake.tokens.given).toEqual(["assertion"]);
  });

  it.each([
    "https://evil.example/token",
    "http://oauth2.googleapis.com/token",
    "https://oauth2.googleapis.com.evil.example/",
    "x",
  ])("that wants to be sent to %s is not used at all", async (token_uri) => {
    const world = makeGcpWorld();
    const error = await failure(look(world.client(noFaults, keyFile({ token_uri }))));
    expect(error).toMatchObject({ _tag: "Auth", message: expect.stringContaining("token_uri") as string });
    expect(world.fake.calls).toEqual([]);
  });
});

describe("other credentials", () => {
  it("are a login of gcloud's", async () => {
    const world = makeGcpWorld();
    await run(look(world.client()));
    expect(world.fake.tokens.given).toEqual(["refresh"]);
    const file = credentialFiles.authorized_user().replace("refresh-token-", "old-refresh-token-");
    const ended = world.client(noFaults, {
      env: { CLOUDSDK_CONFIG: "/c" },
      files: { "/c/application_default_credentials.json": file },
    });
    const error = await failure(look(ended));
    expect(error).toMatchObject({ _tag: "Auth", code: "invalid_grant" });
    expect(JSON.stringify(error)).not.toMatch(/refresh-token-0123|client-secret-0123/);
  });

  it("are those of the machine that we run on, project and name too", async () => {
    const world = makeGcpWorld();
    const env = { AETHER_GCP_METADATA_ENDPOINT: "http://127.0.0.1:4500" };
    const client = world.client(noFaults, { env, files: {}, project: null });
    const [accepted] = await run(client.preflight);
    expect(accepted).toMatchObject({ ok: true, detail: `${account}, project ${project}` });
    expect(world.fake.tokens.given).toEqual(["metadata"]);
    await run(look(client));
    expect(world.fake.calls.filter((call) => call.endsWith("/project/project-id"))).toHaveLength(1);
  });

  it("are none, and then it is said what to do, after a few tries only", async () => {
    const world = makeGcpWorld();
    const nowhere = world.client(() => ({ kind: "unsent" }), { env: {}, files: {} });
    const error = await failure(look(nowhere));
    expect(error).toMatchObject({ _tag: "Auth", kind: "unauthenticated" });
    expect(error.message).toContain("gcloud auth application-default login");
    expect(world.clock.slept.length).toBeLessThanOrEqual(4);
  });

  it("are not those of whatever else answers at the metadata service's address", async () => {
    const world = makeGcpWorld();
    const other: Fault = { kind: "refuse-before", status: 200, headers: {} };
    const error = await failure(look(world.client(() => other, { env: {}, files: {} })));
    expect(error).toMatchObject({
      _tag: "Protocol",
      message: expect.stringContaining("not Google's metadata service") as string,
    });
  });

  it("are read from the disk, and what cannot be read is said", async () => {
    const { clock } = makeGcpWorld();
    const nobody = { send: () => Promise.reject(new Error("nothing is to be asked")) };
    const seams = { transport: nobody, clock, random: () => 0, limiterOf: makeAccountLimits(clock) };
    const options = { cluster: cluster.name, region, zones: [], project, machine };
    for (const [path, message] of [
      [import.meta.dirname, /cannot be read \(EISDIR\)/],
      [`${import.meta.filename}/none`, /is not there/],
      [import.meta.filename, /no credentials file/],
    ] as const) {
      const provider = makeGcpProvider({ ...options, env: { GOOGLE_APPLICATION_CREDENTIALS: path } }, seams);
      expect(await failure(look(provider))).toMatchObject({ _tag: "Auth", message: expect.stringMatching(message) as string });
    }
  });

  const external = (change: object = {}) =>
    JSON.stringify({
      type: "external_account",
      audience: workload.audience,
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: "https://sts.googleapis.com/v1/token",
      quota_project_id: project,
      credential_source: { file: "/var/run/token" },
      ...change,
    });
  const federated = (change: object, files: Readonly<Record<string, string>>): GcpClientOptions => ({
    env: { GOOGLE_APPLICATION_CREDENTIALS: "/workload.json" },
    files: { "/workload.json": external(change), ...files },
  });

  it("are another issuer's word, in a file", async () => {
    const world = makeGcpWorld();
    await run(look(world.client(noFaults, federated({}, { "/var/run/token": `${workload.subject}\n` }))));
    const json = { credential_source: { file: "/t", format: { type: "json", subject_token_field_name: "jwt" } } };
    await run(look(world.client(noFaults, federated(json, { "/t": JSON.stringify({ jwt: workload.subject }) }))));
    expect(world.fake.tokens.given).toEqual(["exchange", "exchange"]);
    const error = await failure(look(world.client(noFaults, federated({}, {}))));
    expect(error).toMatchObject({ _tag: "Auth", message: expect.stringContaining("/var/run/token") as string });
  });

  it("are another issuer's word for a service account", async () => {
    const world = makeGcpWorld();
    const url = `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${account}:generateAccessToken`;
    const client = world.client(
      noFaults,
      federated({ service_account_impersonation_url: url }, { "/var/run/token": workload.subject }),
    );
    expect((await run(client.preflight))[0]).toMatchObject({ ok: true, detail: `${account}, project ${project}` });
    expect(world.fake.tokens.given).toEqual(["exchange", "impersonated"]);
  });

  it("are another issuer's word, from a URL that is safe to ask", async () => {
    const world = makeGcpWorld();
    const source = (url: string) => ({
      credential_source: { url, headers: { Authorization: "Bearer issuer-secret-0123456789" } },
    });
    const error = await failure(look(world.client(noFaults, federated(source("http://issuer.example/token"), {}))));
    expect(error).toMatchObject({ _tag: "Auth", message: expect.stringContaining("neither https:") as string });
    const seen: string[] = [];
    const asked = world.client(
      (request) => {
        if (request.url.hostname !== "issuer.example") return undefined;
        seen.push(`${request.url.href} ${request.headers["authorization"] ?? ""}`);
        return { kind: "refuse-before", status: 403, headers: {} };
      },
      federated(source("https://issuer.example/token?for=us"), {}),
    );
    const refused = await failure(look(asked));
    expect(refused).toMatchObject({ _tag: "Auth", kind: "forbidden" });
    expect(seen).toEqual(["https://issuer.example/token?for=us Bearer issuer-secret-0123456789"]);
    expect(JSON.stringify(refused)).not.toContain("issuer-secret");
  });

  it.each([
    ["no JSON", "{", /no credentials file/],
    ["another kind", '{"type":"gdch_service_account"}', /gdch_service_account/],
    ["half a key", '{"type":"service_account","client_email":"a@b"}', /no whole service account key/],
    ["half a login", '{"type":"authorized_user"}', /no whole login/],
    ["an exchange that is not Google's", external({ token_url: "https://sts.evil.example/v1/token" }), /token_url/],
    ["an impersonation that is not", external({ service_account_impersonation_url: "https://evil.example" }), /impersonation/],
  ])("are refused when the file is %s", (_, text, message) => {
    expect(() => parseCredentials("/file.json", text)).toThrow(message);
  });

  it("of kinds that need a program or another cloud's signature are said to be not known", () => {
    const text = external({ credential_source: { executable: { command: "/bin/token" } } });
    expect(() => parseCredentials("/file.json", text)).toThrow(
      expect.objectContaining({ error: expect.objectContaining({ _tag: "Unsupported" }) as unknown }) as Error,
    );
  });

  it("are looked for in the vendor's order", async () => {
    const files: Record<string, string> = {
      "/key.json": credentialFiles.service_account(),
      "/home/ann/.config/gcloud/application_default_credentials.json": credentialFiles.authorized_user(),
    };
    const read = (path: string) => Promise.resolve(files[path] ?? null);
    const env = { HOME: "/home/ann", GOOGLE_APPLICATION_CREDENTIALS: "/key.json" };
    const found = await findCredentials(env, read);
    expect(found.type === "service_account" && reveal(found.privateKey)).toBe(rfc7515Pem());
    const text = { HOME: "/home/ann", GOOGLE_APPLICATION_CREDENTIALS_JSON: credentialFiles.service_account() };
    expect((await findCredentials(text, read)).type).toBe("service_account");
    await expect(findCredentials({ GOOGLE_APPLICATION_CREDENTIALS_JSON: "sesame" }, read)).rejects.toThrow(/^(?!.*sesame)/);
    expect((await findCredentials({ HOME: "/home/ann" }, read)).type).toBe("authorized_user");
    expect((await findCredentials({ HOME: "/home/bob" }, read)).type).toBe("metadata");
    expect((await findCredentials({}, read)).type).toBe("metadata");
    await expect(findCredentials({ GOOGLE_APPLICATION_CREDENTIALS: "/none.json" }, read)).rejects.toThrow("/none.json");
  });
});

describe("the project", () => {
  const projects = async (options: GcpClientOptions): Promise<string> => {
    const world = makeGcpWorld();
    const seen: string[] = [];
    const client = world.client((request) => {
      seen.push(/\/projects\/([^/]+)/.exec(request.url.pathname)?.[1] ?? "");
      return undefined;
    }, options);
    await runPromise(flip(look(client))).catch(() => undefined);
    return seen.find((one) => one !== "") ?? "";
  };

  it("is the configured one, else the environment's, else the credentials'", async () => {
    const file = keyFile();
    expect(await projects({ ...file, project: "configured-1" })).toBe("configured-1");
    expect(await projects({ ...file, project: null, env: { ...file.env, GOOGLE_CLOUD_PROJECT: "from-env-1" } })).toBe(
      "from-env-1",
    );
    expect(await projects({ ...file, project: null })).toBe(project);
  });

  it("is asked for when nobody names it, and refused when it could not be one", async () => {
    const world = makeGcpWorld();
    const file = keyFile({ project_id: null });
    expect(await failure(look(world.client(noFaults, { ...file, project: null })))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(look(world.client(noFaults, { ...file, project: "a/../b" })))).toMatchObject({ _tag: "Invalid" });
    expect(world.fake.calls).toEqual([]);
  });
});
