import { describe, expect, it } from "vitest";
import { byNodeName, compareDigests } from "./members.ts";

const at = (index: number, digest: string) => ({ digest: { index, digest } });

describe("comparing the members' states", () => {
  it("finds them equal only when all that answered did so for one index", () => {
    expect(compareDigests([at(8, "a"), at(8, "a"), at(8, "a")])).toEqual({ equal: true, index: 8 });
    expect(compareDigests([at(8, "a"), at(8, "a"), at(9, "b")])).toEqual({ equal: null, index: null });
    expect(compareDigests([at(8, "a"), { digest: null }])).toEqual({ equal: null, index: null });
  });

  it("finds a single pair that differs, whatever the others say", () => {
    expect(compareDigests([at(9, "x"), at(8, "a"), at(9, "x"), at(8, "b")])).toEqual({ equal: false, index: 8 });
  });

  it("has nothing to say of no members, and finds one equal to itself", () => {
    expect(compareDigests([])).toEqual({ equal: null, index: null });
    expect(compareDigests([at(3, "a")])).toEqual({ equal: true, index: 3 });
  });
});

describe("node names", () => {
  it("sort by their number", () => {
    expect(["n10", "n2", "n1"].toSorted(byNodeName)).toEqual(["n1", "n2", "n10"]);
  });
});
