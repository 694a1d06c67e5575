import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { theCluster } from "@aether/core/cluster/state";
import type { NodeRow } from "@aether/core/node/state";
import { clusterId, memberOf } from "@aether/core/testing/rules-bench";
import { openFloors } from "../member/floors.ts";
import { readSeats } from "../member/seats.ts";
import type { OldFolder } from "./testing/old-folder.ts";
import { makeFolder, newId, oldData, partsOf, recovered, removeFolders, runOn, settingsOf } from "./testing/recovering.ts";

afterEach(removeFolders);

describe("a data folder that is recovered", () => {
  it("goes on as a cluster of one, with every entry that it held, committed or not", async () => {
    const old = await oldData();
    await old.set("app/a", 1);
    const committed = await old.commit();
    await old.set("app/a", 2);
    const upTo = await old.set("app/b", 3);
    await old.close();
    const report = await recovered(old.dir);
    expect(report).toMatchObject({
      cluster: { name: "home", old: clusterId, id: newId },
      node: "n2",
      member: { old: 2, id: 4 },
      verdict: "clean",
      voters: [1, 2, 3],
      committed,
      upTo,
      committedAnywhere: committed,
      first: 1,
    });
    expect(report.tail.map(({ index, cause, things, actor }) => [index, cause, things, actor])).toEqual([
      [upTo - 1, "SetSetting", ["app/a"], "operator:ops"],
      [upTo, "SetSetting", ["app/b"], "operator:ops"],
    ]);
    expect(report.others.map(({ name }) => name)).toEqual(["n1", "n3"]);
    await runOn(old.dir, report, async ({ store }) => {
      expect(settingsOf(store.world)).toEqual(settingsOf(old.bench.world));
      expect(settingsOf(store.world)).toMatchObject({ "app/a": 2, "app/b": 3 });
      expect(theCluster(store.world)?.row).toMatchObject({ clusterId: newId, size: 1, nextMember: 5 });
      expect(store.membership).toMatchObject({ voters: [4], outgoing: [], learners: [] });
      const history = await store.history("setting", "app/a", 1, 10);
      expect(history).toEqual([upTo - 2, upTo - 1]);
      const range = await store.auditRange(1, 1_000);
      if ("compacted" in range) throw new Error("the log's beginning is gone");
      expect(range.entries.map(({ index }) => index)).toEqual(Array.from({ length: range.to }, (_, at) => at + 1));
    });
  });

  it("says exactly where it ends: digests of world and log are those that the old member had there", async () => {
    const old = await oldData();
    await old.set("app/a", 1);
    const upTo = await old.commit();
    const [digest, chain] = [old.digest(), old.chain()];
    await old.close();
    const report = await recovered(old.dir);
    expect(report).toMatchObject({ upTo, committed: upTo, tail: [], state: digest, chain });
    await runOn(old.dir, report, ({ store }) => {
      expect(theCluster(store.world)?.row.recoveries).toEqual([{ clusterId, node: "n2", upTo, chain }]);
    });
  });

  it("comes to one voter from whatever the membership was: learners, a change under way, one in the uncommitted tail", async () => {
    const ways: ((old: OldFolder) => Promise<unknown>)[] = [
      (old) => old.change({ changes: [{ op: "addLearner", id: 9 }] }),
      async (old) => {
        await old.change({
          changes: [
            { op: "remove", id: 1 },
            { op: "addVoter", id: 8 },
          ],
          transition: "explicit",
        });
        await old.commit();
      },
      (old) =>
        old.change({
          changes: [
            { op: "remove", id: 2 },
            { op: "addVoter", id: 8 },
            { op: "addLearner", id: 3 },
          ],
          transition: "joint",
        }),
      async (old) => {
        await old.change({ changes: [{ op: "remove", id: 2 }] });
        await old.commit();
      },
      // A change that does not apply changes nothing, here as anywhere.
      (old) =>
        old.change({
          changes: [
            { op: "remove", id: 1 },
            { op: "remove", id: 2 },
            { op: "remove", id: 3 },
          ],
        }),
    ];
    const highest = [9, 8, 8, 3, 3];
    for (const [at, way] of ways.entries()) {
      const old = await oldData();
      await way(old);
      await old.close();
      const report = await recovered(old.dir);
      expect(report.member.id).toBe((highest[at] ?? 0) + 1);
      await runOn(old.dir, report, ({ store }) => {
        expect(store.membership).toEqual({
          voters: [report.member.id],
          outgoing: [],
          learners: [],
          learnersNext: [],
          autoLeave: false,
        });
      });
    }
  });

  it("keeps its log's beginning where that was cut off, and what stands before it in the snapshot", async () => {
    const old = await oldData();
    for (let value = 0; value < 40; value++) await old.set("app/a", value);
    await old.commit();
    await old.compact(5);
    const upTo = await old.set("app/b", 1);
    await old.close();
    const report = await recovered(old.dir);
    expect(report).toMatchObject({ upTo, first: upTo - 5 });
    await runOn(old.dir, report, ({ store }) => expect(settingsOf(store.world)).toMatchObject({ "app/a": 39, "app/b": 1 }));
  });

  it("is built from log and snapshot when its rows are damaged", async () => {
    const old = await oldData();
    for (let value = 0; value < 40; value++) await old.set("app/a", value);
    await old.commit();
    await old.compact(5);
    await old.set("app/b", 1);
    await old.commit();
    const digest = old.digest();
    await old.close();
    for (const name of readdirSync(join(old.dir, "state"))) {
      if (/\.(ldb|log)$/.test(name)) writeFileSync(join(old.dir, "state", name), "damaged");
    }
    const report = await recovered(old.dir);
    expect(report.state).toBe(digest);
    await runOn(old.dir, report, ({ store }) => expect(settingsOf(store.world)).toMatchObject({ "app/a": 39, "app/b": 1 }));
  });

  it("builds its rows again from its own snapshot, and is still a cluster of one", async () => {
    const old = await oldData();
    await old.set("app/a", 7);
    await old.commit();
    await old.close();
    const report = await recovered(old.dir);
    rmSync(join(old.dir, "state"), { recursive: true });
    await runOn(old.dir, report, ({ store }) => {
      expect(store.membership.voters).toEqual([report.member.id]);
      expect(settingsOf(store.world)).toMatchObject({ "app/a": 7 });
    });
    rmSync(join(old.dir, "state"), { recursive: true });
    rmSync(join(old.dir, "snap"), { recursive: true });
    await runOn(old.dir, report, ({ store }) => expect(store.membership.voters).toEqual([report.member.id]));
  });

  it("knows of entries that were committed and are not here: they are surely lost", async () => {
    const old = await oldData();
    const upTo = await old.set("app/a", 1);
    await old.commit();
    await old.close();
    const floors = await openFloors(join(old.dir, "floors.json"), clusterId);
    floors.raise(1, { term: 3, index: upTo + 12 });
    await floors.save();
    expect(await recovered(old.dir)).toMatchObject({ upTo, committedAnywhere: upTo + 12 });
  });

  it("brings back the node whatever its duty was, and can be recovered again", async () => {
    const old = await oldData();
    await old.write({ type: "ShutDownNode", id: "n2", force: true, reason: "test" });
    await old.write({ type: "RecordNodeLeft", id: "n2", member: 2 }, memberOf("n1"));
    await old.commit();
    await old.close();
    const report = await recovered(old.dir);
    await runOn(old.dir, report, ({ store }) => {
      expect(store.world.get<NodeRow>("node", "n2")?.row).toMatchObject({
        duty: "on-duty",
        left: false,
        member: report.member.id,
      });
    });
    const again = await recovered(old.dir, { clusterId: "ef".repeat(16) });
    expect(again).toMatchObject({ cluster: { old: newId }, member: { old: report.member.id, id: report.member.id + 1 } });
    expect(readdirSync(old.dir).filter((name) => name.startsWith("retired-"))).toEqual([
      "retired-2-recovered-1",
      "retired-4-recovered-1",
    ]);
  });

  it("may have been brought from elsewhere: then it is only read, and the new one is made where it is wanted", async () => {
    const old = await oldData();
    await old.set("app/a", 1);
    await old.commit();
    await old.close();
    const before = partsOf(old.dir);
    const target = join(makeFolder(), "data");
    const report = await recovered(old.dir, { target, address: "127.0.0.1:9000" });
    expect(partsOf(old.dir)).toEqual(before);
    expect(await readSeats(target, newId)).toEqual([{ name: "n2", member: 4, address: "127.0.0.1:9000" }]);
    await runOn(target, report, ({ store }) => expect(settingsOf(store.world)).toMatchObject({ "app/a": 1 }));
  });
});
