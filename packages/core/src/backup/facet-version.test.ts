import { describe, expect, it } from "vitest";
import type { BackupFacet } from "../kernel/noun.ts";
import { registry } from "../registry.ts";
import { upcastWanted } from "./facet-version.ts";
import { BackupFault } from "./thing-files.ts";

describe("what was wanted in an older form", () => {
  const lamps = {
    folder: "lamps",
    v: 3,
    upcast: {
      1: (old) => ({ on: old === "on", colour: "white" }),
      2: (old) => ({ ...(old as object), dimmed: false }),
    },
  } satisfies Partial<BackupFacet> as unknown as BackupFacet;

  it("is brought to the form of today step by step", () => {
    expect(upcastWanted(lamps, 1, "on")).toEqual({ on: true, colour: "white", dimmed: false });
    expect(upcastWanted(lamps, 2, { on: false })).toEqual({ on: false, dimmed: false });
    expect(upcastWanted(lamps, 3, { any: 1 })).toEqual({ any: 1 });
  });

  it("is refused when it is newer than this version, or of a form that never was", () => {
    expect(() => upcastWanted(lamps, 4, {})).toThrow(BackupFault);
    expect(() => upcastWanted(lamps, 0, {})).toThrow("never had a form 0");
  });

  it("has a step for every form that there was", () => {
    for (const { name, backup } of registry.nouns) {
      const forms = Object.keys(backup?.upcast ?? {}).map(Number);
      expect(forms, name).toEqual(Array.from({ length: (backup?.v ?? 1) - 1 }, (_, i) => i + 1));
    }
  });
});
