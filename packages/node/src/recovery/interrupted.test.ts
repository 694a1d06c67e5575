import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { clusterId } from "@aether/core/testing/rules-bench";
import { writeIdentity } from "@aether/store/log/folder";
import { openLog } from "@aether/store/log/open";
import { openFolder } from "../daemon/folder.ts";
import { openFloors } from "../member/floors.ts";
import { finishRecovery, prepareRecovery } from "./recover-folder.ts";
import { oldIdentity } from "./testing/old-folder.ts";
import {
  appliedIn,
  makeFolder,
  newId,
  oldData,
  partsOf,
  prepared,
  recovered,
  removeFolders,
  runOn,
  settingsOf,
  wishOf,
} from "./testing/recovering.ts";

afterEach(removeFolders);

describe("a recovery that cannot be", () => {
  it("leaves the folder as it was: open elsewhere, not a member's, another's log, a damaged one, or one without a cluster", async () => {
    const old = await oldData();
    const older = join(makeFolder(), "log");
    cpSync(join(old.dir, "log"), older, { recursive: true });
    await old.set("app/a", 1);
    await old.commit();
    expect(await prepareRecovery(wishOf(old.dir))).toMatchObject({ unusable: "busy" });
    await old.close();
    const other = { dir: makeFolder() };
    await writeIdentity(other.dir, { ...oldIdentity, nodeId: 3 });
    const empty = makeFolder();
    expect(await prepareRecovery(wishOf(empty))).toMatchObject({ unusable: "nothing" });
    const healthy = partsOf(old.dir);
    const spoilt: (readonly [string, (dir: string) => void, object])[] = [
      [
        "guard gone",
        (dir) => rmSync(join(dir, "guard")),
        { unusable: "damaged", why: expect.stringContaining("guard") as string },
      ],
      ["identity gone", (dir) => rmSync(join(dir, "identity.json")), { unusable: "damaged" }],
      ["identity altered", (dir) => writeFileSync(join(dir, "identity.json"), "{}"), { unusable: "damaged" }],
      [
        "log altered",
        (dir) => {
          for (const name of readdirSync(join(dir, "log")))
            if (/\.(ldb|log)$/.test(name))
              writeFileSync(join(dir, "log", name), readFileSync(join(dir, "log", name)).fill(7, 20, 60));
        },
        { unusable: "damaged" },
      ],
      [
        "identity of another member",
        (dir) => cpSync(join(other.dir, "identity.json"), join(dir, "identity.json")),
        { unusable: "foreign", why: expect.stringContaining("not of member 3") as string },
      ],
      [
        "an older copy of the log",
        (dir) => {
          rmSync(join(dir, "log"), { recursive: true });
          cpSync(older, join(dir, "log"), { recursive: true });
        },
        { unusable: "damaged", why: expect.stringContaining("belowFloor") as string },
      ],
    ];
    for (const [name, spoil, wanted] of spoilt) {
      const dir = join(makeFolder(), "data");
      cpSync(old.dir, dir, { recursive: true });
      spoil(dir);
      const before = partsOf(dir);
      expect(await prepareRecovery(wishOf(dir)), name).toMatchObject(wanted);
      expect(partsOf(dir), name).toEqual(before);
      expect(existsSync(join(dir, "recovering")), name).toBe(false);
    }
    expect(partsOf(old.dir)).toEqual(healthy);
  });

  it("says that rows and snapshots are gone when the log does not reach back to them", async () => {
    const old = await oldData();
    for (let value = 0; value < 40; value++) await old.set("app/a", value);
    await old.commit();
    await old.compact(5);
    await old.close();
    rmSync(join(old.dir, "state"), { recursive: true });
    rmSync(join(old.dir, "snap"), { recursive: true });
    expect(await prepareRecovery(wishOf(old.dir))).toMatchObject({
      unusable: "damaged",
      why: expect.stringContaining("the log begins at") as string,
    });
  });

  it("uses a log whose end was torn off at the last write: what was never acknowledged", async () => {
    const old = await oldData();
    const committed = await old.set("app/a", 1);
    await old.commit();
    await old.close();
    const name = readdirSync(join(old.dir, "log")).find((file) => file.endsWith(".log"));
    const path = join(old.dir, "log", name ?? "");
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.from([1, 2, 3, 4, 9, 0, 1, 7])]));
    expect(await recovered(old.dir)).toMatchObject({ verdict: "tornTail", upTo: committed });
  });

  it("changes nothing when it is not confirmed", async () => {
    const old = await oldData();
    await old.close();
    const before = partsOf(old.dir);
    const made = await prepared(old.dir);
    await expect(openLog(old.dir, oldIdentity)).rejects.toMatchObject({ name: "FolderBusy" });
    await made.discard();
    expect(partsOf(old.dir)).toEqual(before);
    expect((await recovered(old.dir)).upTo).toBe(made.report.upTo);
  });
});

describe("a recovery that is killed", () => {
  it("at any step is begun anew or finished, and nothing starts on the folder meanwhile", async () => {
    const old = await oldData();
    await old.set("app/a", 1);
    await old.commit();
    await old.close();
    const floors = await openFloors(join(makeFolder(), "floors.json"), clusterId);
    let finished = 0;
    for (let deadAt = 1, alive = false; !alive; deadAt++) {
      const dir = join(makeFolder(), "data");
      cpSync(old.dir, dir, { recursive: true });
      let steps = 0;
      const onStep = (): Promise<void> => (++steps === deadAt ? Promise.reject(new Error("killed")) : Promise.resolve());
      const outcome = await recovered(dir, { onStep }).catch((error: Error) => error);
      alive = !(outcome instanceof Error);
      const moving = existsSync(join(dir, "recovered.json"));
      if (moving) await expect(openFolder(dir, clusterId, 2, floors)).rejects.toMatchObject({ name: "FolderRecovered" });
      const done = await finishRecovery(dir, newId);
      expect(done === null).toBe(!moving);
      if (done !== null && !alive) finished++;
      const report = done?.report ?? (await recovered(dir));
      await runOn(dir, report, ({ store }) => expect(settingsOf(store.world)).toMatchObject({ "app/a": 1 }));
      await expect(openFolder(dir, clusterId, 2, floors)).rejects.toMatchObject({ name: "FolderRecovered" });
      const kept = readdirSync(dir).filter((name) => name.startsWith("retired-"));
      expect(kept).toEqual(["retired-2-recovered-1"]);
      expect(readdirSync(join(dir, "retired-2-recovered-1"))).toEqual(
        expect.arrayContaining(["log", "guard", "state", "identity.json"]),
      );
      expect(existsSync(join(dir, "recovering"))).toBe(false);
    }
    expect(finished).toBeGreaterThan(10);
  }, 120_000);

  it("has left the old disk to be recovered again, if need be, from where it was kept", async () => {
    const old = await oldData();
    await old.set("app/a", 1);
    const upTo = await old.commit();
    await old.close();
    await recovered(old.dir);
    const target = join(makeFolder(), "data");
    const again = await recovered(join(old.dir, "retired-2-recovered-1"), { target, clusterId: "ef".repeat(16) });
    expect(again).toMatchObject({ upTo, cluster: { old: clusterId }, member: { old: 2, id: 4 } });
    const state = await appliedIn(target, "ef".repeat(16));
    expect(state).toBe(again.last);
  });
});
