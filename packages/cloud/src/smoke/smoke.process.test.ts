/** The script that is run against real clouds, run against their fakes; and, when one says so, against the real ones. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { fakeDefaults as awsDefaults, FakeEc2 } from "../testing/aws/fake.ts";
import { FakeAzure, operator, place } from "../testing/azure/fake.ts";
import { FakeGcp, region } from "../testing/gcp/fake.ts";
import { credentialFiles, project } from "../testing/gcp/tokens.ts";
import { fakeDefaults as hetznerDefaults, FakeHetzner } from "../testing/hetzner/fake.ts";
import { serveFake, type ServedFake, type VendorFake } from "../testing/http-fake.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Runs it to its end. `onLine` sees every line as it comes. */
async function smoke(
  args: readonly string[],
  env: Env,
  onLine: (line: string, kill: (signal: "SIGINT") => void) => void = () => {},
) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "smoke.ts"), ...args], {
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    for (const line of chunk.toString().split("\n")) onLine(line, (signal) => void child.kill(signal));
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

const served: ServedFake[] = [];
afterAll(() => Promise.all(served.map((one) => one.close())));
const serve = async (fake: VendorFake, prefix: string): Promise<string> => {
  const one = await serveFake(fake, prefix, () => undefined);
  served.push(one);
  return one.url;
};

/** Vendors that are quick, a file's part of them, and credentials where their users keep them. */
const otherVendors = {
  aws: {
    vendor: new FakeEc2({ now: Date.now, bootMs: 1, stopMs: 1, terminateMs: 1, lagMs: 0 }),
    file: 'region = "eu-central-1"\ninstance_type = "t4g.small"\nimage = "ami-0123456789abcdef0"\n',
    env: {
      AWS_ACCESS_KEY_ID: awsDefaults.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: awsDefaults.keys.secretAccessKey,
    },
  },
  gcp: {
    vendor: new FakeGcp({ now: Date.now, bootMs: 1, operationMs: 1, deleteMs: 1, stopMs: 1, lagMs: 0 }),
    file: `region = "${region}"\ninstance_type = "e2-medium"\nimage = "ubuntu-os-cloud/ubuntu-2404-lts-amd64"\n`,
    env: { GOOGLE_CLOUD_PROJECT: project },
  },
  azure: {
    vendor: new FakeAzure({ now: Date.now, bootMs: 1, powerMs: 1, deleteMs: 1, lagMs: 0 }),
    file: 'region = "westeurope"\ninstance_type = "Standard_B2s"\n[azure]\nsubnet = "nodes"\n',
    env: {
      AZURE_TENANT_ID: place.tenant,
      AZURE_CLIENT_ID: operator.client,
      AZURE_CLIENT_SECRET: operator.secret,
      AZURE_SUBSCRIPTION_ID: place.subscription,
      AZURE_RESOURCE_GROUP: place.resourceGroup,
    },
  },
} as const;

describe("npm run smoke", () => {
  const fake = (): FakeHetzner => new FakeHetzner({ now: Date.now, bootMs: 1, actionMs: 1, deleteMs: 1, lagMs: 0 });
  const env = (url: string): Env => ({ AETHER_SMOKE: "yes", HCLOUD_TOKEN: hetznerDefaults.token, AETHER_HETZNER_ENDPOINT: url });

  it("does nothing unless it is told that it may", async () => {
    const vendor = fake();
    const { AETHER_SMOKE: _, ...others } = env(await serve(vendor, "/v1"));
    expect(await smoke(["hetzner"], others)).toMatchObject({
      code: 2,
      err: expect.stringContaining("AETHER_SMOKE is not yes") as string,
    });
    expect((await smoke(["mars"], { AETHER_SMOKE: "yes" })).code).toBe(2);
    expect(vendor.calls).toEqual([]);
  });

  it.concurrent("lives one machine's life and leaves none", async () => {
    const vendor = fake();
    const { code, out, err } = await smoke(["hetzner"], env(await serve(vendor, "/v1")));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/ok {4}delete: deleted[\s\S]*sweep after: 0 deleted\n$/);
    expect([vendor.made.length, vendor.servers.size, vendor.violations]).toEqual([1, 0, []]);
  });

  it.concurrent("sweeps also after Ctrl-C", async () => {
    const vendor = fake();
    const ended = await smoke(["hetzner"], env(await serve(vendor, "/v1")), (line, kill) => {
      if (line.startsWith("ok    ensure:")) kill("SIGINT");
    });
    expect(ended).toMatchObject({ code: 130, out: expect.stringContaining("sweep after: 1 deleted") as string });
    expect([vendor.made.length, vendor.servers.size]).toEqual([1, 0]);
  });

  it.concurrent.each(Object.keys(otherVendors) as (keyof typeof otherVendors)[])("lives it on %s too", async (name) => {
    const { vendor, file, env: credentials } = otherVendors[name];
    const folder = mkdtempSync(join(tmpdir(), "aether-smoke-"));
    const config = join(folder, "cluster.toml");
    writeFileSync(
      config,
      `[cluster]\nname = "a"\n[security]\ncluster_secret = "0123456789"\n[cloud]\nprovider = "${name}"\n${file}`,
    );
    writeFileSync(join(folder, "login.json"), credentialFiles.authorized_user());
    const url = await serve(vendor, "");
    const reached = { AETHER_SMOKE: "yes", HOME: folder, [`AETHER_${name.toUpperCase()}_ENDPOINT`]: url, ...credentials };
    const login = name === "gcp" ? { GOOGLE_APPLICATION_CREDENTIALS: join(folder, "login.json") } : {};
    const { code, out, err } = await smoke([name, "--config", config], { ...reached, ...login });
    rmSync(folder, { recursive: true });
    expect({ code, err }, out).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/ok {4}delete: deleted[\s\S]*sweep after: 0 deleted\n$/);
    expect(vendor.violations).toEqual([]);
  });

  it.skipIf(process.env["AETHER_SMOKE"] !== "yes").each(["hetzner", "aws", "gcp", "azure"])(
    "on the real %s (AETHER_SMOKE=yes and its credentials)",
    { timeout: 30 * 60_000 },
    async (name) => {
      const { code, out, err } = await smoke([name], process.env);
      expect({ code, out, err }).toMatchObject({ code: 0 });
    },
  );
});
