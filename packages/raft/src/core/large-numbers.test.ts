import { describe, expect, it } from "vitest";
import { Cluster } from "../cases/cluster.ts";
import { Lone } from "../cases/lone.ts";

const voters = [1, 2, 3];
const byte = Uint8Array.of(1);

describe("indexes and terms beyond 32 bits", () => {
  for (const start of [2 ** 31 - 2, 2 ** 32 - 2, 2 ** 40]) {
    it(`elect, repair, replicate, commit and read at ${start}`, () => {
      const net = new Cluster();
      const base = { index: start, term: start };
      for (const id of voters) net.add({ id, voters, base, terms: id === 3 ? [start, start] : [start], term: start });
      net.isolate(3);
      net.on(1, (n) => n.step({ k: "campaign" }));
      for (let i = 0; i < 4; i++) net.on(1, (n) => n.step({ k: "propose", data: [byte] }));
      net.heal();
      net.on(1, (n) => n.step({ k: "tick" }));
      net.on(1, (n) => n.step({ k: "read", key: start }));
      const { r } = net.node(1);
      expect(r).toMatchObject({ state: "leader", term: start + 1 });
      expect(r.log.committed).toBe(start + 6);
      expect(net.node(1).reads).toEqual([{ key: start, index: start + 6 }]);
      expect(net.node(3).terms()).toEqual(net.node(1).terms());
      expect(r.tracker.find(3)).toMatchObject({ state: "replicate", match: start + 6 });
    });
  }

  it("end the member rather than go round at the last safe integer", () => {
    const index = Number.MAX_SAFE_INTEGER - 2;
    const lone = new Lone({ voters: [1], base: { index, term: 1 }, term: 1 });
    lone.step({ k: "campaign" });
    lone.settle();
    expect(lone.step({ k: "propose", data: [byte] })).toMatchObject({ ok: true, last: Number.MAX_SAFE_INTEGER });
    expect(() => lone.step({ k: "propose", data: [byte] })).toThrow("A2 indexes stay safe integers");
    const old = new Lone({ voters: [1], term: Number.MAX_SAFE_INTEGER });
    expect(() => old.step({ k: "campaign" })).toThrow("A2 the term");
  });
});
