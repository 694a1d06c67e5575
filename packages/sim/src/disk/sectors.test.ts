import { expect, it } from "vitest";
import { makeStream } from "../world/stream.ts";
import { sectorBytes, tear } from "./sectors.ts";

it("un-synced sectors are kept, lost or torn, each by itself", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    const then = Buffer.alloc(3 * sectorBytes, "o");
    const now = Buffer.concat([Buffer.alloc(2 * sectorBytes, "n"), Buffer.alloc(sectorBytes, "o")]);
    tear(then, now, makeStream(seed, "sectors"));
    const of = (sector: number): string => then.subarray(sector * sectorBytes, (sector + 1) * sectorBytes).toString();
    const fates = [of(0), of(1)].map((text) =>
      /^n+$/.test(text) ? "kept" : /^o+$/.test(text) ? "lost" : text.replaceAll(/(.)\1+/g, "$1"),
    );
    seen.add(fates.join());
    expect(of(2)).toMatch(/^o+$/);
  }
  const fates = ["kept", "lost", "no", "on"];
  expect([...seen].toSorted()).toEqual(fates.flatMap((one) => fates.map((other) => `${one},${other}`)).toSorted());
});
