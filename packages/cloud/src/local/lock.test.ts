import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isLock, takeLock, type Lock } from "./lock.ts";
import { isAlive, ownProcess, signalProcess, startOf } from "./process-table.ts";

describe("the lock between processes", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "aether-lock-"));
    path = join(folder, "lock");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const taken = async (waitMs = 0): Promise<Lock> => {
    const lock = await takeLock(path, "a test", waitMs);
    if (!isLock(lock)) throw new Error(`held by ${lock.pid}`);
    return lock;
  };

  it("is had by one, who is named to the others", async () => {
    const lock = await taken();
    expect(await takeLock(path, "another test", 0)).toEqual({ pid: process.pid, purpose: "a test" });
    await lock.release();
    expect(existsSync(path)).toBe(false);
    await (await taken()).release();
  });

  it("is swept away with a holder that is dead, also when its pid lives on in another process", async () => {
    mkdirSync(path);
    writeFileSync(join(path, `${process.pid}.00000000-1.aaaaaaaa.someone`), "");
    const lock = await taken();
    expect(readdirSync(path)).toHaveLength(1);
    await lock.release();
  });

  it("goes from hand to hand among many who wait, never to two at once", async () => {
    let inside = 0;
    let most = 0;
    const visit = async (): Promise<void> => {
      const lock = await taken(20_000);
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 2));
      inside -= 1;
      await lock.release();
    };
    await Promise.all(Array.from({ length: 8 }, visit));
    expect(most).toBe(1);
    expect(existsSync(path)).toBe(false);
  });

  it("is never lost in the folder's coming and going, thousands of times", async () => {
    const comeAndGo = async (): Promise<void> => {
      for (let i = 0; i < 300; i++) {
        const lock = await takeLock(path, "a test", 0);
        if (isLock(lock)) await lock.release();
      }
    };
    await Promise.all(Array.from({ length: 8 }, comeAndGo));
    expect(existsSync(path)).toBe(false);
  });
});

describe("the process table", () => {
  it("knows a process by pid and start time together", () => {
    const me = ownProcess();
    expect(isAlive(me)).toBe(true);
    expect(isAlive({ ...me, start: "00000000-1" })).toBe(false);
    expect(startOf(2 ** 22 + 1)).toBeNull();
  });

  it("sends no signal to a process that only has the same pid", () => {
    expect(signalProcess({ pid: process.pid, start: "00000000-1" }, "SIGKILL")).toBe(false);
  });
});
