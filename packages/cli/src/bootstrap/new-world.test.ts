import { describe, expect, it } from "vitest";
import { registry } from "@aether/core/registry";
import type { Api } from "../context/api.ts";
import { nounsOfThePlace, nounsRead, readWorld } from "./new-world.ts";

describe("the world that a backup is restored into", () => {
  it("has the rows of every noun that backups hold, but for what belongs to the place", () => {
    const backedUp = registry.nouns.filter(({ backup }) => backup !== undefined).map(({ name }) => name);
    expect([...nounsOfThePlace, ...nounsRead].toSorted()).toEqual(backedUp.toSorted());
  });

  it("says of each row what the backup's facet makes of the cluster's own", async () => {
    const settings = [{ key: "cpu_warning", value: 0.75, description: "share", version: 1, index: 3, at: 1_000 }];
    const api = { call: () => Promise.resolve({ index: 3, settings }) } as unknown as Api;
    const world = await readWorld(api);
    const stored = world.get("setting", "cpu_warning");
    expect([...world.all("setting")]).toEqual([stored]);
    expect(registry.noun("setting")?.backup?.wanted(stored?.row)).toEqual({ value: 0.75, description: "share" });
    expect([world.count("setting"), world.count("node"), world.get("setting", "x")]).toEqual([1, 0, undefined]);
  });
});
