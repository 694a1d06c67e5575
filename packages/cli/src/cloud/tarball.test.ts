import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeTarball, type ArchiveFile } from "./tarball.ts";

describe("a tarball", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "aether-tar-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const deep = `aether/${"d".repeat(60)}/${"e".repeat(60)}/${"f".repeat(90)}`;
  const files = (): readonly ArchiveFile[] => {
    const big = join(folder, "big");
    writeFileSync(big, Buffer.alloc(3_000_001, "0123456789"));
    return [
      { name: deep, from: Buffer.from("deep"), executable: false },
      { name: "aether/bin/node", from: big, executable: true },
      { name: "aether/empty", from: Buffer.alloc(0), executable: false },
      { name: "aether/block", from: Buffer.alloc(512, "x"), executable: false },
    ];
  };

  it("is what tar unpacks, with names, modes and bytes as they were", async () => {
    const path = join(folder, "a.tar.gz");
    const { bytes, sha256 } = await writeTarball(path, files(), 6);
    const archive = readFileSync(path);
    expect([archive.length, createHash("sha256").update(archive).digest("hex")]).toEqual([bytes, sha256]);
    const listed = execFileSync("tar", ["-tvzf", path, "--utc", "--full-time"], { encoding: "utf8" }).trimEnd().split("\n");
    expect(listed.map((line) => line.split(/\s+/))).toEqual([
      ["-rwxr-xr-x", "root/root", "3000001", "2020-01-01", "00:00:00", "aether/bin/node"],
      ["-rw-r--r--", "root/root", "512", "2020-01-01", "00:00:00", "aether/block"],
      ["-rw-r--r--", "root/root", "4", "2020-01-01", "00:00:00", deep],
      ["-rw-r--r--", "root/root", "0", "2020-01-01", "00:00:00", "aether/empty"],
    ]);
    execFileSync("tar", ["-xzf", path, "-C", folder]);
    expect(readFileSync(join(folder, "aether/bin/node")).equals(readFileSync(join(folder, "big")))).toBe(true);
    expect(readFileSync(join(folder, deep), "utf8")).toBe("deep");
  });

  it("has the same digest for the same files, in whichever order and folder they are", async () => {
    const one = await writeTarball(join(folder, "a.tar.gz"), files(), 1);
    const other = await writeTarball(join(folder, "b.tar.gz"), files().toReversed(), 1);
    expect(other).toEqual(one);
  });

  it("that cannot be made leaves nothing behind", async () => {
    const path = join(folder, "a.tar.gz");
    const missing: ArchiveFile = { name: "aether/x", from: join(folder, "missing"), executable: false };
    await expect(writeTarball(path, [missing], 1)).rejects.toThrow("ENOENT");
    const long: ArchiveFile = { name: "x".repeat(120), from: Buffer.alloc(1), executable: false };
    await expect(writeTarball(path, [long], 1)).rejects.toThrow(RangeError);
    expect(readdirSync(folder)).toEqual([]);
  });
});
