/** A bootstrap at a vendor that is killed at each of its twelve steps, and when the vendor has made a machine and not said so. */
import { afterEach, describe, expect, it } from "vitest";
import { stepNames } from "../bootstrap/journal.ts";
import { CloudStage } from "../testing/cloud-stage.ts";
import { hetzner } from "../testing/cloud-vendors.ts";
import type { Running } from "../testing/operator.ts";

let stage: CloudStage<ReturnType<typeof hetzner>> | null = null;
/** The commands that a request of its own kills. */
let doomed: Running | null = null;
afterEach(async () => {
  await stage?.dispose();
  stage = null;
});

describe("a bootstrap in a cloud that is killed", () => {
  it("at each of its steps in turn is finished by the next run: the same identity, no machine twice", async () => {
    const there = await CloudStage.open("prod", 3, hetzner);
    stage = there;
    const ids = new Set<string | undefined>();
    for (const [at, name] of stepNames.entries()) {
      const running = there.begin("cluster", "bootstrap", "--config", there.operator.file);
      await running.sees(`[${String(at + 1).padStart(2)}/12] ${name} … `);
      running.process.kill("SIGKILL");
      await running.ended;
      if (at >= 5) ids.add(there.operator.journal().identity?.clusterId);
    }
    const finished = await there.bootstrap();
    expect(finished.code, finished.stderr).toBe(0);
    ids.add(there.operator.journal().identity?.clusterId);
    expect(ids.size).toBe(1);
    expect(there.vendor.fake.made).toHaveLength(3);
    const again = await there.bootstrap();
    expect(again.code, again.stderr).toBe(0);
    expect(there.vendor.fake.made).toHaveLength(3);

    const states = () => [...new Set([...there.vendor.fake.servers.values()].map(({ status }) => status))];
    const stopped = await there.run("cluster", "stop");
    expect(stopped.code, stopped.stderr).toBe(0);
    expect(states()).toEqual(["off"]);
    const started = await there.run("cluster", "start");
    expect(started, started.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining("started n1, n2, n3") });
    expect(states()).toEqual(["running"]);
    expect(there.vendor.fake.made).toHaveLength(3);
    expect(there.vendor.violations()).toEqual([]);
  }, 180_000);

  it("after any of its creates was applied and before its answer came makes none of them again", async () => {
    const there = await CloudStage.open("prod", 3, hetzner, ({ method, url, body }) => {
      // The probe of the preflight names no server.
      const isCreate = method === "POST" && url.pathname.endsWith("/servers") && Buffer.from(body ?? []).includes('"name"');
      if (!isCreate || doomed === null) return undefined;
      doomed.process.kill("SIGKILL");
      return { kind: "drop-after" };
    });
    stage = there;
    for (let run = 0; run < 3; run += 1) {
      doomed = there.begin("cluster", "bootstrap", "--config", there.operator.file);
      await doomed.ended;
    }
    doomed = null;
    const finished = await there.bootstrap();
    expect(finished.code, finished.stderr).toBe(0);
    expect(there.vendor.fake.made).toHaveLength(3);
  }, 120_000);
});
