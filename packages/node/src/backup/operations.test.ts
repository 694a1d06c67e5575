import { registry } from "@aether/core/registry";
import { BackupFault } from "@aether/core/backup/thing-files";
import type { BackupReader } from "@aether/store/backup/backup-reader";
import { NoSuchCommit } from "@aether/store/git/repository";
import { describe, expect, it } from "vitest";
import { reading, type BackupDeps } from "./operations.ts";

const deps = (reader: () => Promise<BackupReader>): BackupDeps =>
  ({ registry, backups: { readings: new Set(), reader, home: { dir: "/data/backup.git" } } }) as unknown as BackupDeps;
const there = deps(() => Promise.resolve({} as BackupReader));

describe("a request that reads backups", () => {
  it("is refused in words for what a person, a repository or a disk has wrong, and not for what is wrong here", async () => {
    const fails = (fault: Error) =>
      reading(there, async () => {
        throw fault;
      });
    expect(await fails(new NoSuchCommit("there is no commit abcd"))).toMatchObject({ reason: "not_found" });
    expect(await fails(new RangeError("there is no planet in backups"))).toMatchObject({ reason: "invalid" });
    expect(await fails(new BackupFault("manifest.json is no JSON"))).toMatchObject({ reason: "conflict" });
    const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
    expect(await fails(full)).toMatchObject({ reason: "not_ready", hint: expect.stringContaining("/data/backup.git") as string });
    await expect(fails(new Error("a defect"))).rejects.toThrow("a defect");
    const closed = deps(() => Promise.reject(Object.assign(new Error("permission denied"), { code: "EACCES" })));
    expect(await reading(closed, () => Promise.resolve(1))).toMatchObject({ reason: "not_ready" });
    expect(there.backups.readings.size + closed.backups.readings.size).toBe(0);
  });

  it("is one of a few at a time", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const eight = Array.from({ length: 8 }, () => reading(there, () => held));
    expect(await reading(there, () => Promise.resolve(1))).toMatchObject({ reason: "too_many" });
    release();
    await Promise.all(eight);
    expect(await reading(there, () => Promise.resolve(1))).toBe(1);
  });
});
