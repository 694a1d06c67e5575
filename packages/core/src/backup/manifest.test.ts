import { describe, expect, it } from "vitest";
import { type Manifest, manifestText, parseManifest } from "./manifest.ts";
import { BackupFault } from "./thing-files.ts";

const manifest: Manifest = {
  format: 1,
  cluster: { id: "ab".repeat(16), name: "home" },
  level: 1,
  index: 812,
  term: 3,
  at: 1_700_000_000_123,
  chain: "cd".repeat(32),
  counts: { setting: 12, node: 3, cluster: 1 },
  facets: { setting: 1, node: 1, cluster: 1 },
  wanted: "ef".repeat(20),
};

describe("a manifest", () => {
  it("comes back as it was written", () => {
    const text = manifestText(manifest);
    expect(parseManifest(text)).toEqual(manifest);
    expect(text.split("\n")).toContain('  "index": 812,');
  });

  it("that was edited, or is of a newer version, is refused and says why", () => {
    const refused: readonly (readonly [unknown, RegExp])[] = [
      [null, /no format/],
      [{ ...manifest, format: 2 }, /use a newer one/],
      [{ ...manifest, index: -1 }, /no index/],
      [{ ...manifest, at: 1.5 }, /no at/],
      [{ ...manifest, chain: "xy" }, /no chain/],
      [{ ...manifest, wanted: "EF".repeat(20) }, /no wanted/],
      [{ ...manifest, cluster: { id: "ab".repeat(16) } }, /no cluster/],
      [{ ...manifest, counts: { setting: "1" } }, /no counts/],
      [{ ...manifest, colour: "red" }, /colour, which is not known/],
    ];
    for (const [value, why] of refused) {
      const text = manifestText(value as Manifest);
      expect(() => parseManifest(text), text).toThrow(BackupFault);
      expect(() => parseManifest(text), text).toThrow(why);
    }
    expect(() => parseManifest("{")).toThrow(/no JSON/);
    expect(() => parseManifest(manifestText(manifest).replaceAll("\n", ""))).toThrow(/not in the form/);
  });
});
