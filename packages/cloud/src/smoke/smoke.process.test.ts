/** The script that is run against real clouds, run against their fakes; and, when one says so, against the real ones. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
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

  it.skipIf(process.env["AETHER_SMOKE"] !== "yes").each(["hetzner", "aws", "gcp", "azure"])(
    "on the real %s (AETHER_SMOKE=yes and its credentials)",
    { timeout: 30 * 60_000 },
    async (name) => {
      const { code, out, err } = await smoke([name], process.env);
      expect({ code, out, err }).toMatchObject({ code: 0 });
    },
  );
});
