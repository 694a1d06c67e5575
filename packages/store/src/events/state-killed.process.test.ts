import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { liveUpTo, openLife } from "./testing/endless-life.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "aether-killed-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Runs the life in a process of its own, kills it after `ms` of life, and gives what it said it had flushed last. */
async function lifeUntilKilled(ms: number): Promise<number> {
  const script = join(import.meta.dirname, "testing/endless-life.ts");
  const child = spawn(process.execPath, [script, dir], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (said === "") setTimeout(() => child.kill("SIGKILL"), ms);
    said += text;
  });
  await new Promise((resolve) => child.once("close", resolve));
  expect(child.signalCode).toBe("SIGKILL");
  // the last line may be cut
  return Number(/flushed (\d+)\n(?!.*flushed \d+\n)/s.exec(said)?.[1] ?? 0);
}

describe("a state folder whose process is killed while it works", () => {
  it("holds exactly the world at some entry, no earlier than the last flush, every time", async () => {
    let before = 0;
    for (const ms of [20, 90, 160, 310, 470]) {
      const flushed = await lifeUntilKilled(ms);
      const store = await openLife(dir, 60_000);
      const fresh = await openLife(join(dir, "fresh"), 60_000);
      try {
        expect(store.applied).toBe(store.stateMachine.applied);
        expect(store.applied).toBeGreaterThanOrEqual(Math.max(before, flushed));
        before = store.applied;
        liveUpTo(fresh, store.applied);
        expect(store.stateDigest()).toEqual(fresh.stateDigest());
        expect(store.auditHead()).toEqual(fresh.auditHead());
        liveUpTo(store, before + 500);
        liveUpTo(fresh, before + 500);
        expect(store.stateDigest()).toEqual(fresh.stateDigest());
        expect(await store.history("box", "b7", 1, 1_000)).toEqual(await fresh.history("box", "b7", 1, 1_000));
      } finally {
        await store.close();
        await fresh.close();
        await rm(join(dir, "fresh"), { recursive: true });
      }
    }
    expect(before).toBeGreaterThan(1_000);
  });
});
