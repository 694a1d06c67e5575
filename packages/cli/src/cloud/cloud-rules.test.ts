import { describe, expect, it } from "vitest";
import { labelKeys } from "@aether/cloud/labels";
import type { InstanceId } from "@aether/cloud/provider";
import { parseClusterFile } from "@aether/core/config/cluster-file";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import type { KnownClusters } from "./known-clusters.ts";
import { whyOrphan } from "./orphans.ts";
import { placeAfter, placesFor } from "./places.ts";
import { costText, estimateFor } from "./prices.ts";
import { sideBySide } from "./side-by-side.ts";

function settings(lines: string): CloudSettings {
  const text = `[cluster]\nname = "a"\n[cloud]\nprovider = "hetzner"\nregion = "fsn1"\ninstance_type = "cx22"\n${lines}`;
  const parsed = parseClusterFile(`${text}[security]\ncluster_secret = "0123456789"\n`, { env: {}, readSecret: () => undefined });
  if ("errors" in parsed || parsed.ok.machines === null) throw new Error(JSON.stringify(parsed));
  return parsed.ok.machines;
}

describe("the places that a node's machine is tried in", () => {
  const both = settings('zones = ["fsn1", "nbg1"]\nother_instance_types = ["cx32"]\n');
  const all = (at: number): readonly string[] => placesFor(both, at).map(({ zone, size }) => `${size} ${zone}`);

  it("are all zones with the wanted size, then with the others; neighbours begin in different zones", () => {
    expect(all(0)).toEqual(["cx22 fsn1", "cx22 nbg1", "cx32 fsn1", "cx32 nbg1"]);
    expect(all(1)).toEqual(["cx22 nbg1", "cx22 fsn1", "cx32 nbg1", "cx32 fsn1"]);
    expect(all(2)).toEqual(all(0));
  });

  it("come one after the other, each once, and then there is none", () => {
    const walked: string[] = [];
    let place = placesFor(both, 1)[0] ?? null;
    for (; place !== null; place = placeAfter(both, 1, place)) walked.push(`${place.size} ${place.zone}`);
    expect(walked).toEqual(all(1));
  });

  it("are the region alone where the file names no zone", () => {
    expect(placesFor(settings(""), 4)).toEqual([{ zone: "fsn1", size: "cx22" }]);
  });
});

describe("an instance that carries Aether's labels", () => {
  const of = (clusterId: string, node: string, id: string) => ({
    id: id as InstanceId,
    labels: { [labelKeys.clusterId]: clusterId, [labelKeys.node]: node },
  });
  const known: KnownClusters = {
    places: [],
    clusters: new Map([
      ["running", { claimed: new Set(["1", "2"]), unsettled: new Set(["n3"]) }],
      ["silent", { claimed: null, unsettled: new Set() }],
    ]),
  };

  it("is an orphan when no cluster of its id is known, or when its own does not know it", () => {
    expect(whyOrphan(of("foreign", "n1", "9"), known)).toContain("no cluster of this id");
    expect(whyOrphan(of("running", "n1", "7"), known)).toContain("does not know this instance as n1");
  });

  it("is none while its cluster claims it, is making or removing one of that name, or cannot be asked", () => {
    expect(whyOrphan(of("running", "n1", "1"), known)).toBeNull();
    expect(whyOrphan(of("running", "n3", "7"), known)).toBeNull();
    expect(whyOrphan(of("silent", "n1", "7"), known)).toBeNull();
  });
});

describe("what a machine costs", () => {
  it("is a list price with its date, or unknown: never a guess", () => {
    const known = estimateFor("aws", "T3.Medium", true);
    expect(known).toMatchObject({ currency: "USD", hourly: 0.0466, basis: expect.stringContaining("early 2025") });
    expect(costText(known, 3)).toBe("some 0.140 USD an hour, 102 USD a month");
    expect(costText(estimateFor("gcp", "x9-huge", true), 3)).toBe("unknown");
  });
});

describe("what is done side by side", () => {
  it("goes on to its end when one of it fails, never more at once than are allowed, and then says the first failure", async () => {
    let [running, most] = [0, 0];
    const ended: number[] = [];
    const act = async (item: number): Promise<number> => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((done) => setImmediate(done));
      running -= 1;
      ended.push(item);
      if (item === 3 || item === 11) throw new Error(`item ${item}`);
      return item;
    };
    const items = Array.from({ length: 20 }, (_, at) => at);
    await expect(sideBySide(items, act)).rejects.toThrow("item 3");
    expect([most, ended.length]).toEqual([8, 20]);
    expect(await sideBySide([1, 2], act)).toEqual([1, 2]);
    expect(await sideBySide([], act)).toEqual([]);
  });
});
