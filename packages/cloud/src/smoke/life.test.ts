/** What a smoke does when the vendor is not as it should be. */
import { describe, expect, it } from "vitest";
import { makeHetznerWorld } from "../testing/hetzner/world.ts";
import type { FaultPlan } from "../testing/http-fake.ts";
import { smoke, smokeCluster } from "./life.ts";
import { smokeSettings } from "./settings.ts";

async function lived(plan: FaultPlan = () => undefined, options: Parameters<typeof makeHetznerWorld>[0] = {}) {
  const world = makeHetznerWorld(options);
  const settings = smokeSettings("hetzner", null, {});
  if (typeof settings === "string") throw new Error(settings);
  const lines: string[] = [];
  const provider = world.client(plan, { cluster: smokeCluster.name });
  const parts = {
    provider,
    settings,
    clock: world.clock,
    signal: AbortSignal.timeout(60_000),
    say: (line: string) => void lines.push(line),
  };
  const holds = await smoke(parts).catch((failure: unknown) => String(failure));
  return { holds, text: lines.join("\n"), fake: world.fake };
}

describe("a smoke", () => {
  it("waits for lists that lag, and ends with nothing left", async () => {
    const { holds, text, fake } = await lived();
    expect(text).toContain("sweep after: 0 deleted");
    expect([holds, fake.servers.size, fake.made.length]).toEqual([true, 0, 1]);
  });

  it("makes nothing where preflight says no", async () => {
    const { holds, text, fake } = await lived(undefined, { room: { nbg1: 1 } });
    expect(text).toContain("FAILED the location: there is no location fsn1");
    expect([holds, fake.made]).toEqual([false, []]);
  });

  it("sweeps what it made when a step fails", async () => {
    const { holds, text, fake } = await lived(({ method }) =>
      method === "PUT" ? { kind: "refuse-before", status: 401, headers: {} } : undefined,
    );
    expect(text).toMatch(/FAILED Transient[\s\S]*sweep after: 1 deleted/);
    expect([holds, fake.servers.size]).toEqual([false, 0]);
  });

  it("says that something may be left when it could not sweep", async () => {
    let created = false;
    const { holds } = await lived(({ method, url }) => {
      created ||= method === "POST" && url.pathname.endsWith("/servers");
      return created && method === "DELETE" ? { kind: "unsent" } : undefined;
    });
    expect(holds).toContain("aether-cluster=aether-smoke may be left and cost money");
  });

  it("takes a cluster file's machine, and only of that provider", () => {
    const file = (provider: string) => ({
      name: "cluster.toml",
      text:
        `[cluster]\nname = "a"\n[cloud]\nprovider = "${provider}"\nregion = "nbg1"\ninstance_type = "cx99"\n` +
        '[security]\ncluster_secret = "${secrets:x}"\n',
    });
    expect(smokeSettings("hetzner", file("hetzner"), {})).toMatchObject({ region: "nbg1", instanceType: "cx99" });
    expect(smokeSettings("aws", file("hetzner"), {})).toBe("cluster.toml is about hetzner, not aws");
    expect(smokeSettings("aws", { name: "x.toml", text: "[cluster]\n" }, {})).toContain("x.toml");
  });
});
