import { registry } from "@aether/core/registry";
import { memberOf, readyCluster, type RulesBench } from "@aether/core/testing/rules-bench";
import { wantedFile } from "@aether/core/backup/thing-files";
import type { Noun } from "@aether/core/kernel/noun";
import { describe, expect, it } from "vitest";
import { blobOf, oidOf } from "../git/object.ts";
import { Gathered } from "./gathered.ts";

/** A store whose batches the test makes up. */
function watched(bench: RulesBench): { gathered: Gathered; apply: (changed: readonly string[] | null, upTo: number) => void } {
  let tell: (changed: ReadonlySet<string> | null, applied: number) => void = () => undefined;
  const store = {
    world: bench.world,
    applied: 10,
    onApplied: (f: typeof tell) => {
      tell = f;
      return () => (tell = () => undefined);
    },
  };
  const gathered = new Gathered(store, registry);
  const apply = (changed: readonly string[] | null, upTo: number): void => {
    store.applied = upTo;
    tell(changed === null ? null : new Set(changed), upTo);
  };
  return { gathered, apply };
}

const things = (gathered: Gathered): string[] => [...gathered.things()].toSorted();

describe("what has changed since a commit", () => {
  it("may be anything at first, and then what the store says", () => {
    const { gathered, apply } = watched(readyCluster(3));
    expect([gathered.lost, gathered.dirty]).toEqual([true, true]);
    gathered.committed(10);
    expect([gathered.lost, gathered.dirty]).toEqual([false, false]);
    apply(["setting/a", "backup/home"], 11);
    apply(["setting/b"], 12);
    expect(things(gathered)).toEqual(["setting/a", "setting/b"]);
    expect(gathered.dirty).toBe(true);
    gathered.committed(11);
    expect(things(gathered), "what came after the commit's moment").toEqual(["setting/b"]);
    expect(gathered.dirty).toBe(true);
    gathered.committed(12);
    expect([things(gathered), gathered.dirty]).toEqual([[], false]);
  });

  it("is lost when all rows are replaced, or so many change that it is not worth it", () => {
    const { gathered, apply } = watched(readyCluster(3));
    gathered.committed(10);
    apply(null, 20);
    expect(gathered.lost).toBe(true);
    gathered.committed(19);
    expect(gathered.lost, "that commit is of before").toBe(true);
    gathered.committed(20);
    expect(gathered.lost).toBe(false);
    apply(
      Array.from({ length: 50_001 }, (_, i) => `setting/${i}`),
      21,
    );
    expect([gathered.lost, gathered.size < 50_000]).toEqual([true, true]);
  });

  it("is nothing that anybody wants when only what is seen of a thing changes", () => {
    const bench = readyCluster(3);
    const { gathered, apply } = watched(bench);
    const fileNow = (): string => {
      const file = wantedFile(registry.noun("node") as Noun, bench.world.get("node", "n2")!);
      return oidOf(blobOf(file?.text ?? ""));
    };
    gathered.committed(10);
    apply(["node/n2"], 11);
    expect(gathered.dirty, "nobody knows yet what is wanted of it").toBe(true);
    gathered.remember("node/n2", fileNow());
    bench.try({ type: "RecordContact", id: "n2", contact: "lost" }, memberOf("n1"));
    apply(["node/n2"], 12);
    expect(gathered.dirty).toBe(false);
    expect(things(gathered), "the next commit tells it").toEqual(["node/n2"]);
    bench.try({ type: "RecordContact", id: "n2", contact: "reachable" }, memberOf("n1"));
    bench.try({ type: "DrainNode", id: "n2", reason: "fan" });
    apply(["node/n2"], 13);
    expect(gathered.dirty).toBe(true);
    gathered.seen(13);
    expect(gathered.dirty).toBe(false);
  });

  it("was compared as a whole: then what was only seen is left for the next commit, or all is compared again for it", () => {
    const { gathered, apply } = watched(readyCluster(3));
    gathered.compared(10, ["node/n1"]);
    expect([gathered.lost, gathered.dirty, things(gathered)]).toEqual([false, false, ["node/n1"]]);
    gathered.lose();
    gathered.compared(10, null);
    expect([gathered.lost, gathered.dirty]).toEqual([true, false]);
    apply(["setting/a"], 11);
    expect(gathered.dirty).toBe(true);
    gathered.lose();
    gathered.compared(10, []);
    expect([gathered.lost, gathered.dirty], "it was lost at a later entry").toEqual([true, true]);
    gathered.close();
    apply(["setting/b"], 12);
    expect(things(gathered)).toEqual([]);
  });
});
