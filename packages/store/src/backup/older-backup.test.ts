/** Backups that were written long ago, by versions that knew other forms. */
import { join } from "node:path";
import { planRestore } from "@aether/core/backup/plan";
import { BackupFault, type WantedThing } from "@aether/core/backup/thing-files";
import type { BackupFacet, Noun } from "@aether/core/kernel/noun";
import { makePlainWorld } from "@aether/core/kernel/plain-world";
import { makeRegistry, type Registry } from "@aether/core/kernel/registry";
import { registry } from "@aether/core/registry";
import { describe, expect, it } from "vitest";
import { BackupReader } from "./backup-reader.ts";

const dir = join(import.meta.dirname, "../../../../fixtures/backups/form-1.git");
const newest = "39dfbe27fd351786a03bf64ea8911711f3161349";

async function thingsOf(known: Registry): Promise<WantedThing[]> {
  const things: WantedThing[] = [];
  for await (const thing of (await BackupReader.open(dir, known)).things(newest)) things.push(thing);
  return things;
}

/** The nouns of today, but that what is wanted of a setting has had more forms since. */
function later(v: number, upcast: BackupFacet["upcast"]): Registry {
  const settings = registry.noun("setting") as Noun;
  const facet = settings.backup as BackupFacet;
  return makeRegistry(
    registry.nouns.map((noun) => (noun === settings ? { ...settings, backup: { ...facet, v, upcast } } : noun)),
  );
}

describe("a backup of the first form", () => {
  it("is sound, and holds what was wanted then", async () => {
    const reader = await BackupReader.open(dir, registry);
    expect(await reader.verify()).toMatchObject({ sound: true, commit: newest, manifest: { index: 11, facets: { setting: 1 } } });
    const wanted = new Map((await thingsOf(registry)).map(({ noun, id, wanted: value }) => [`${noun}/${id}`, value]));
    expect(wanted.get("setting/app/limits")).toEqual({ value: { cpu: 0.75, hosts: ["a"] }, description: "of the app" });
    expect(wanted.get("node/n2")).toEqual({ duty: "drained", reason: "its fan" });
    expect(wanted.has("setting/disk_critical")).toBe(false);
    expect(wanted.size).toBe(10);
    const listed: number[] = [];
    for await (const { index } of reader.list(10)) listed.push(index);
    expect(listed).toEqual([11, 7]);
  });

  it("is restored by a version that knows later forms, through every step between them", async () => {
    const grown = later(3, {
      1: (old) => ({ ...(old as object), description: `${(old as { description: string }).description}, once` }),
      2: (old) => ({ ...(old as object), description: `${(old as { description: string }).description} and again` }),
    });
    const { things } = planRestore(grown, makePlainWorld(grown), await thingsOf(grown), (noun) => noun === "setting");
    const limits = things.find(({ id }) => id === "app/limits");
    expect(limits?.events).toMatchObject([{ type: "SettingChanged", description: "of the app, once and again" }]);
    expect(things).toHaveLength(6);
  });

  it("is refused by one that has no step from it, and says so", async () => {
    await expect(thingsOf(later(2, {}))).rejects.toThrow(BackupFault);
  });
});
