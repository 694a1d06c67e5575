import { describe, expect, it } from "vitest";
import { judgeDigests, type DigestsOf } from "./digests.ts";

const says = (member: number, ...digests: readonly (readonly [number, string])[]): DigestsOf => ({
  member,
  checkpoints: digests.map(([index, digest]) => ({ index, digest })),
});

describe("comparing digests", () => {
  it("finds the one member that differs from a quorum, and not those it differs from", () => {
    const [a, b, c] = [says(1, [100, "aa"]), says(2, [100, "aa"]), says(3, [100, "xx"])];
    expect(judgeDigests(c, [a, b], [1, 2, 3])).toEqual({ v: "alone", index: 100, own: "xx", theirs: "aa", members: [1, 2] });
    expect(judgeDigests(a, [b, c], [1, 2, 3])).toEqual({ v: "agreed" });
  });

  it("judges nobody on one other opinion, on a tie or on silence", () => {
    expect(judgeDigests(says(3, [100, "xx"]), [says(1, [100, "aa"])], [1, 2, 3]).v).toBe("open");
    expect(judgeDigests(says(1, [100, "xx"]), [says(2, [100, "aa"])], [1, 2]).v).toBe("open");
    expect(judgeDigests(says(1, [100, "xx"]), [], [1, 2, 3]).v).toBe("open");
    expect(judgeDigests(says(1), [says(2, [100, "aa"]), says(3, [100, "aa"])], [1, 2, 3]).v).toBe("open");
  });

  it("compares at the newest index that a quorum shares, not at different ones", () => {
    const own = says(3, [100, "aa"], [200, "bb"], [300, "cc"]);
    const others = [says(1, [100, "aa"], [200, "yy"]), says(2, [100, "aa"], [200, "yy"])];
    expect(judgeDigests(own, others, [1, 2, 3])).toMatchObject({ v: "alone", index: 200 });
  });

  it("gives learners no say, but tells a learner that it differs", () => {
    const voters = [1, 2, 3];
    expect(judgeDigests(says(1, [100, "aa"]), [says(4, [100, "xx"]), says(5, [100, "xx"])], voters).v).toBe("open");
    expect(judgeDigests(says(4, [100, "xx"]), [says(1, [100, "aa"]), says(2, [100, "aa"])], voters).v).toBe("alone");
  });
});
