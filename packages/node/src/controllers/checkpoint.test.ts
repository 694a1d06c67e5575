import { describe, expect, it } from "vitest";
import { checkpointDue, checkpointStatement } from "./checkpoint.ts";

const facts = { clusterId: "00112233445566778899aabbccddeeff", upTo: 1000, chain: "aa", state: "bb", signer: "n1" };

describe("checkpoints", () => {
  it("are due every thousand entries, or after a minute in which anything happened", () => {
    const last = { recordedAt: 500, since: 10_000 };
    expect(checkpointDue(last, 1_499, 10_001)).toBe(false);
    expect(checkpointDue(last, 1_500, 10_001)).toBe(true);
    expect(checkpointDue(last, 501, 69_999)).toBe(false);
    expect(checkpointDue(last, 501, 70_000)).toBe(true);
    expect(checkpointDue(last, 500, 9_999_999)).toBe(false);
  });

  it("are signed over every fact, so that none can be exchanged", () => {
    const original = Buffer.from(checkpointStatement(facts)).toString("utf8");
    expect(original).toBe("aether checkpoint v1\n00112233445566778899aabbccddeeff\n1000\naa\nbb\nn1\n");
    for (const change of [{ clusterId: "x" }, { upTo: 1001 }, { chain: "ab" }, { state: "ba" }, { signer: "n2" }]) {
      expect(Buffer.from(checkpointStatement({ ...facts, ...change })).toString("utf8")).not.toBe(original);
    }
  });
});
