import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { flip, runPromise, type Effect } from "effect/Effect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defaultTransportLimits, makeUndiciTransport } from "../http/undici-transport.ts";
import type { CloudError, CloudProvider } from "../provider.ts";
import { fakeDefaults } from "../testing/aws/fake.ts";
import { makeAwsWorld, type AwsWorld } from "../testing/aws/world.ts";
import { serveFake } from "../testing/http-fake.ts";
import type { Environment } from "./credentials.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));
const role = "arn:aws:iam::123456789012:role/aether";
const instanceArn = "arn:aws:sts::123456789012:assumed-role/aether-node/session";

describe("credentials on AWS", () => {
  let world: AwsWorld;
  let home = "";
  beforeEach(() => {
    world = makeAwsWorld();
    home = mkdtempSync(join(tmpdir(), "aether-chain-"));
  });
  afterEach(async () => {
    rmSync(home, { recursive: true });
    await world.close();
  });
  const file = (name: string, text: string): string => {
    const path = join(home, name);
    writeFileSync(path, text);
    return path;
  };
  const bare = (env: Environment = {}): CloudProvider => world.bare({ HOME: home, ...env });
  const whoAmI = async (provider: CloudProvider): Promise<string> => {
    const [first] = await run(provider.preflight);
    return first?.detail.replace(" of account 123456789012", "") ?? "";
  };
  const keysIn = (env: Environment): Environment => ({
    ...env,
    AWS_ACCESS_KEY_ID: fakeDefaults.keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: fakeDefaults.keys.secretAccessKey,
  });

  it("are the environment's before all others", async () => {
    const env = keysIn({ AWS_PROFILE: "nobody", AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://127.0.0.1/v2/credentials" });
    expect(await whoAmI(bare(env))).toBe("arn:aws:iam::123456789012:user/ops");
    expect(world.metadata.calls).toEqual([]);
  });

  it("are a profile's, by itself or by a role that it leads to", async () => {
    const files = { AWS_SHARED_CREDENTIALS_FILE: file("c", world.credentialsFile("default")) };
    expect(await whoAmI(bare(files))).toBe("arn:aws:iam::123456789012:user/ops");
    const config = file("config", `[profile ops]\nrole_arn = ${role}\nsource_profile = default\n`);
    expect(await whoAmI(bare({ ...files, AWS_CONFIG_FILE: config, AWS_PROFILE: "ops" }))).toBe(`${role}/session`);
  });

  it("are a web identity's, whose token is read anew each time", async () => {
    const token = file("token", `${world.fake.sts.webToken}\n`);
    const provider = bare({ AWS_WEB_IDENTITY_TOKEN_FILE: token, AWS_ROLE_ARN: role });
    expect(await whoAmI(provider)).toBe(`${role}/session`);
    world.fake.sts.webToken = "web-identity-token-of-tomorrow";
    writeFileSync(token, world.fake.sts.webToken);
    world.clock.advance(3_500_000);
    expect(await whoAmI(provider)).toBe(`${role}/session`);
    expect(world.fake.sts.sessions.size).toBe(2);
  });

  it("are a container's, shown its token, at addresses of the host only", async () => {
    const token = file("token", world.metadata.containerToken);
    const relative = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/v2/credentials", AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: token };
    expect(await whoAmI(bare(relative))).toContain("assumed-role/task/");
    const full = (url: string) =>
      bare({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url, AWS_CONTAINER_AUTHORIZATION_TOKEN: world.metadata.containerToken });
    expect(await whoAmI(full("http://169.254.170.23/v2/credentials"))).toContain("assumed-role/task/");
    for (const url of ["http://10.0.0.7/v2/credentials", "http://evil.example/", "nonsense", "https://a:b@x.example/"]) {
      expect(await failure(full(url).compute.list({ "aether-cluster": "x" }))).toMatchObject({ _tag: "Invalid" });
    }
    expect(world.metadata.calls).toEqual(["GET /v2/credentials", "GET /v2/credentials"]);
  });

  it("are the instance's role at last, asked for by the second version of its metadata service", async () => {
    expect(await whoAmI(bare())).toBe(instanceArn);
    const folder = "/latest/meta-data/iam/security-credentials/";
    expect(world.metadata.calls).toEqual(["PUT /latest/api/token", `GET ${folder}`, `GET ${folder}aether-node`]);
  });

  it("are asked for once for all who need them, and anew five minutes before they end", async () => {
    const provider = bare();
    const all = () => Promise.all([1, 2, 3, 4].map(() => run(provider.compute.list({ "aether-cluster": "x" }))));
    await all();
    world.clock.advance(3_600_000 - 310_000);
    await all();
    expect(world.fake.sts.sessions.size).toBe(1);
    world.clock.advance(20_000);
    await all();
    expect(world.fake.sts.sessions.size).toBe(2);
  });

  it("that have ended before they should are replaced, and the call is made again", async () => {
    const provider = bare();
    expect(await whoAmI(provider)).toBe(instanceArn);
    const endAll = () => world.fake.sts.sessions.forEach((session) => (session.endsAt = world.clock.now()));
    endAll();
    expect(await whoAmI(provider)).toBe(instanceArn);
    expect(world.fake.sts.sessions.size).toBe(2);
    endAll();
    await run(provider.compute.list({ "aether-cluster": "x" }));
    expect(world.fake.sts.sessions.size).toBe(3);
  });

  it("that are nowhere to be had: one is told where they were looked for", async () => {
    world.metadata.role = null;
    const list = (provider: CloudProvider) => failure(provider.compute.list({ "aether-cluster": "x" }));
    const nowhere = { _tag: "Auth", kind: "unauthenticated", message: expect.stringContaining("AWS_ACCESS_KEY_ID") as string };
    expect(await list(bare())).toMatchObject(nowhere);
    world.metadata.calls.length = 0;
    expect(await list(bare({ AWS_EC2_METADATA_DISABLED: "true" }))).toMatchObject(nowhere);
    expect(world.metadata.calls).toEqual([]);
    const elsewhere = world.bare({ HOME: home }, () => ({ kind: "unsent" }));
    expect(await list(elsewhere)).toMatchObject(nowhere);
    expect(await list(bare({ AWS_PROFILE: "nobody" }))).toMatchObject({
      _tag: "Auth",
      message: expect.stringContaining("nobody") as string,
    });
    expect(await list(bare({ AWS_WEB_IDENTITY_TOKEN_FILE: join(home, "none"), AWS_ROLE_ARN: role }))).toMatchObject({
      _tag: "Auth",
    });
  });

  it("that were there and cannot be had for a moment are worth another try", async () => {
    let isAway = false;
    const provider = world.bare({ HOME: home }, (request) =>
      isAway && request.url.hostname === "169.254.169.254" ? { kind: "unsent" } : undefined,
    );
    await run(provider.compute.list({ "aether-cluster": "x" }));
    isAway = true;
    world.clock.advance(4_000_000);
    expect(await failure(provider.compute.list({ "aether-cluster": "x" }))).toMatchObject({
      _tag: "Transient",
      maybeApplied: false,
    });
  });

  it("stand in no error, even where the vendor throws them back", async () => {
    const token = file("token", "web-identity-token-of-somebody-else");
    const error = await failure(
      bare({ AWS_WEB_IDENTITY_TOKEN_FILE: token, AWS_ROLE_ARN: role }).compute.list({ "aether-cluster": "x" }),
    );
    expect(error).toMatchObject({
      _tag: "Auth",
      code: "InvalidIdentityToken",
      message: expect.stringContaining("<redacted>") as string,
    });
    expect(JSON.stringify(error)).not.toContain("somebody-else");
  });

  it("come over real HTTP too, from a stand-in of the metadata service on this computer", async () => {
    const [api, metadata] = [
      await serveFake(world.fake, "", () => undefined),
      await serveFake(world.metadata, "", () => undefined),
    ];
    const transport = makeUndiciTransport(defaultTransportLimits);
    const env = { HOME: home, AETHER_AWS_ENDPOINT: api.url, AETHER_AWS_METADATA_ENDPOINT: metadata.url };
    expect(await whoAmI(world.bare(env, undefined, transport))).toBe(instanceArn);
    await transport.close();
    await Promise.all([api.close(), metadata.close()]);
  });
});
