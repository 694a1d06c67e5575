import { describe, expect, it } from "vitest";
import type { World } from "@aether/core/kernel/world";
import type { NodeRow } from "@aether/core/node/state";
import { makeAddressBook, routeVia } from "./address-book.ts";
import { nodeRows, standingOf } from "./rows.ts";

const row = (member: number, over: Partial<NodeRow> = {}): NodeRow => ({
  name: `n${member}`,
  member,
  address: `10.0.0.${member}:7400`,
  duty: "on-duty",
  contact: "reachable",
  left: false,
  retired: [],
  reason: "",
  ...over,
});
const worldOf = (...rows: readonly NodeRow[]): World =>
  ({ all: () => rows.map((r) => ({ id: r.name, version: 1, index: 1, at: 0, row: r })) }) as unknown as World;
const seat = (member: number) => ({ name: `n${member}`, member, address: `192.168.0.${member}:7400` });

describe("what rows say of a member that knocks", () => {
  const world = worldOf(row(1), row(7, { name: "n2", retired: [{ member: 2, why: "wiped" }] }), row(3, { left: true }));
  it("welcomes whoever is who it says, and whoever is not known yet", () => {
    expect(standingOf(world, 1, "n1")).toBe("welcome");
    expect(standingOf(world, 7, "n2")).toBe("welcome");
    expect(standingOf(world, 12, "n12")).toBe("welcome");
  });
  it("tells a retired number and one that has left that they are removed", () => {
    expect(standingOf(world, 2, "n2")).toBe("removed");
    expect(standingOf(world, 3, "n3")).toBe("removed");
  });
  it("believes nobody under another node's number", () => {
    expect(standingOf(world, 1, "n2")).toBe("impostor");
    expect(standingOf(world, 2, "n9")).toBe("impostor");
  });
});

describe("the address book", () => {
  const book = makeAddressBook("10.0.0.1:7400", [seat(1), seat(2)], [seat(3)]);
  it("goes by the rows, and by what the folder and the seeds say while there are none", () => {
    expect(book.addressOf(worldOf(), 3)).toBe("192.168.0.3:7400");
    expect(book.addressOf(worldOf(row(3)), 3)).toBe("10.0.0.3:7400");
    expect(book.addressOf(worldOf(row(3, { address: null })), 3)).toBe("192.168.0.3:7400");
    expect(book.nameOf(worldOf(), 2)).toBe("n2");
    expect(book.addressOf(worldOf(), 9)).toBeUndefined();
    expect(book.seated).toEqual([3, 1, 2]);
  });
  it("asks everybody else, once, and nobody who has left", () => {
    expect(book.others(worldOf())).toEqual(["192.168.0.3:7400", "192.168.0.1:7400", "192.168.0.2:7400"]);
    expect(book.others(worldOf(row(1), row(2), row(3, { left: true })))).toEqual(["10.0.0.2:7400"]);
    const named = ["10.0.0.1:7400", "10.0.0.2:7400", "10.0.0.4:7400"];
    expect(book.others(worldOf(row(1), row(2)), named)).toEqual(["10.0.0.2:7400", "10.0.0.4:7400"]);
    book.seat([seat(5)]);
    expect(book.seated).toEqual([5, 1, 2]);
  });
  it("dials another address than the advertised one where a route says so", () => {
    const dialAt = routeVia({ "10.0.0.2:7400": "203.0.113.9:17400" });
    expect([dialAt("10.0.0.2:7400"), dialAt("10.0.0.3:7400")]).toEqual(["203.0.113.9:17400", "10.0.0.3:7400"]);
    expect(dialAt("constructor")).toBe("constructor");
  });
});

it("rows are shown in the order of their numbers, with whether they ever joined", () => {
  const shown = nodeRows(worldOf(row(3), row(1), row(4, { address: null, duty: "joining" })));
  expect(shown.map((r) => [r.member, r.joined])).toEqual([
    [1, true],
    [3, true],
    [4, false],
  ]);
});
