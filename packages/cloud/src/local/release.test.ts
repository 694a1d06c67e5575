import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ownProcess } from "./process-table.ts";
import { readRecord, writeRecord, type InstanceRecord } from "./registry.ts";
import { releaseInstance } from "./release.ts";

describe("an instance that is let go of", () => {
  let root = "";
  const folders = () => ({ registryDir: join(root, "instances"), nodesDir: join(root, "nodes") });
  const record = (process: InstanceRecord["process"]): InstanceRecord => ({
    format: 1,
    id: "n1.00000000",
    name: "n1",
    cluster: "home",
    attempt: 1,
    address: "127.0.0.1:7401",
    labels: {},
    createdAt: 0,
    spec: "",
    power: "on",
    process,
  });
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "aether-release-"));
    mkdirSync(join(root, "nodes/n1/data"), { recursive: true });
    writeFileSync(join(root, "nodes/n1/data/log"), "everything");
    await writeRecord(folders().registryDir, record({ pid: ownProcess().pid, start: "long ago" }));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it("is forgotten, and all that it had is kept, under another name or its own", async () => {
    expect(await releaseInstance(folders(), "n1", "retired-n1-1")).toEqual({ keptIn: join(root, "nodes/retired-n1-1") });
    expect(await readRecord(folders().registryDir, "n1")).toBeNull();
    expect(readdirSync(join(root, "nodes"))).toEqual(["retired-n1-1"]);
    expect(existsSync(join(root, "nodes/retired-n1-1/data/log"))).toBe(true);
    await writeRecord(folders().registryDir, { ...record(null), name: "n2" });
    mkdirSync(join(root, "nodes/n2"));
    expect(await releaseInstance(folders(), "n2", null)).toEqual({ keptIn: join(root, "nodes/n2") });
    expect(await readRecord(folders().registryDir, "n2")).toBeNull();
  });

  it("may be let go of again, also when the first time was cut off before its record went", async () => {
    for (let again = 0; again < 2; again++) {
      expect(await releaseInstance(folders(), "n1", "retired-n1-1")).toEqual({ keptIn: join(root, "nodes/retired-n1-1") });
      await writeRecord(folders().registryDir, record(null));
    }
    expect(await releaseInstance(folders(), "n7", "retired-n7-1")).toEqual({ keptIn: null });
  });

  it("is not, while its process lives", async () => {
    await writeRecord(folders().registryDir, record(ownProcess()));
    expect(await releaseInstance(folders(), "n1", "retired-n1-1")).toMatchObject({
      refused: expect.stringContaining("still running") as string,
    });
    expect(readdirSync(join(root, "nodes"))).toEqual(["n1"]);
    expect(await readRecord(folders().registryDir, "n1")).not.toBeNull();
  });
});
