import { describe, expect, it } from "vitest";
import { encodeConfigChange } from "../config-change.ts";
import { emptyMembership } from "../core/confchange.ts";
import { Broken } from "../errors.ts";
import { type Entry, Kind, type Membership, type SnapMeta } from "../types.ts";
import { ApplyQueue } from "./apply-queue.ts";
import { Counter, emptyCounter } from "./testing/counter.ts";

const before: Membership = { ...emptyMembership, voters: [1] };
const after: Membership = { ...emptyMembership, voters: [1, 2] };
const entry = (index: number, bytes = 1): Entry => ({ term: 1, index, kind: Kind.normal, data: new Uint8Array(bytes) });
const configEntry = (index: number): Entry => {
  const data = encodeConfigChange({
    changes: [{ op: "addVoter", id: 2 }],
    transition: "auto",
    leave: false,
    context: new Uint8Array(0),
  });
  return { term: 1, index, kind: Kind.config, data };
};
const run = (first: number, last: number): Entry[] => Array.from({ length: last - first + 1 }, (_, n) => entry(first + n));
const meta = (index: number): SnapMeta => ({ id: { term: 1, index }, membership: after, digest: "", bytes: 0 });

/** A counter behind a queue; `calls` are the runs it was handed, as "first-last:voters". */
function setUp(): { queue: ApplyQueue; machine: Counter; calls: string[]; told: number[] } {
  const calls: string[] = [];
  const told: number[] = [];
  const machine = new Counter();
  const apply = machine.apply.bind(machine);
  machine.apply = (entries, membership) => {
    calls.push(`${entries[0]?.index}-${entries.at(-1)?.index}:${membership.voters.join("")}`);
    apply(entries, membership);
  };
  const queue = new ApplyQueue(machine, 0, before, { configReached: () => after, applied: (index) => told.push(index) });
  return { queue, machine, calls, told };
}

describe("the apply queue", () => {
  it("hands a change over alone, and everything behind it with the new membership", () => {
    const { queue, calls, told } = setUp();
    queue.add([entry(1), entry(2), configEntry(3), entry(4)]);
    queue.run(() => false);
    expect(calls).toEqual(["1-2:1", "3-3:12", "4-4:12"]);
    expect(told).toEqual([2, 3, 4]);
    expect(queue.membership).toBe(after);
  });

  it("yields between slices, which are bounded in entries and in bytes", () => {
    const { queue, calls } = setUp();
    queue.add(run(1, 600));
    queue.run(() => true);
    expect(calls).toEqual(["1-256:1"]);
    expect(queue.waiting).toBe(344);
    queue.run(() => false);
    expect(calls.slice(1)).toEqual(["257-512:1", "513-600:1"]);
    queue.add([entry(601, 700_000), entry(602, 700_000), entry(603, 2_000_000), entry(604)]);
    queue.run(() => false);
    expect(calls.slice(3)).toEqual(["601-601:1", "602-602:1", "603-603:1", "604-604:1"]);
  });

  it("takes no entry twice and skips none", () => {
    const { queue } = setUp();
    queue.add(run(1, 3));
    expect(() => queue.add([entry(3)])).toThrow(Broken);
    expect(() => queue.add([entry(5)])).toThrow(Broken);
  });

  it("finishes what came before a snapshot, holds back what comes after it, and goes on behind it", async () => {
    const { queue, machine, calls } = setUp();
    queue.add(run(1, 4));
    const loaded = Promise.withResolvers<void>();
    const restoring = queue.restore(meta(10), () => loaded.promise);
    expect(calls).toEqual(["1-4:1"]);
    queue.add([entry(11)]);
    queue.run(() => false);
    expect(queue.ready).toBe(false);
    expect(calls).toHaveLength(1);
    expect(queue.applied).toBe(4);
    machine.content = { ...emptyCounter, applied: { term: 1, index: 10 }, membership: after };
    loaded.resolve();
    await restoring;
    expect(queue.applied).toBe(10);
    queue.run(() => false);
    expect(calls).toEqual(["1-4:1", "11-11:12"]);
  });
});
