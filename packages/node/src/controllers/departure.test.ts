import { describe, expect, it } from "vitest";
import { judgeDeparture, type NodeStanding, type Standing } from "./departure.ts";

const row = (member: number, left = false): NodeStanding => ({ name: "n3", member, left });
const at = (applied: number, members: readonly number[], r?: NodeStanding): Standing => ({ applied, members, row: r });

describe("whether a member still belongs", () => {
  it("stays while rows name it, also before it is in the membership and with no rows at all", () => {
    expect(judgeDeparture(3, at(10, [1, 2, 3], row(3)), [at(20, [1, 2, 3], row(3))]).v).toBe("belongs");
    expect(judgeDeparture(4, at(0, []), [at(20, [1, 2], row(4))]).v).toBe("belongs");
    expect(judgeDeparture(1, at(1, [1, 2, 3]), []).v).toBe("belongs");
    expect(judgeDeparture(1, at(1, [1, 2, 3]), [at(1, [1, 2, 3])]).v).toBe("belongs");
  });

  it("has left when its row says so, here or at somebody who was told more", () => {
    expect(judgeDeparture(3, at(30, [1, 2], row(3, true)), []).v).toBe("left");
    expect(judgeDeparture(3, at(10, [1, 2, 3], row(3)), [at(30, [1, 2], row(3, true))]).v).toBe("left");
  });

  it("was replaced when a newer number has its name, and ignores an older row", () => {
    expect(judgeDeparture(3, at(10, [1, 2, 3], row(3)), [at(30, [1, 2, 7], row(7))]).v).toBe("removed");
    expect(judgeDeparture(7, at(0, []), [at(30, [1, 2, 3], row(3, true))]).v).toBe("belongs");
  });

  it("was forgotten only if somebody ahead of it has no row and no seat for it", () => {
    const own = at(10, [1, 2, 3], row(3));
    expect(judgeDeparture(3, own, [at(30, [1, 2])])).toMatchObject({ v: "removed" });
    expect(judgeDeparture(3, own, [at(9, [1, 2])]).v).toBe("belongs");
    expect(judgeDeparture(3, own, [at(30, [1, 2, 3])]).v).toBe("belongs");
  });
});
