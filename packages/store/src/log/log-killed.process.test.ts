import { spawn } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LogStorage } from "@aether/raft/types";
import { formatLog, openLog } from "./open.ts";
import { shown } from "./testing/batches.ts";
import { appenderIdentity as identity } from "./testing/appender.ts";

/** Runs the appender on `dir`, kills it once it has said `after` lines, and gives the last thing it said. */
async function appendUntilKilled(dir: string, after: number): Promise<{ index: number; term: number; vote: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "testing", "appender.ts"), dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
  let seen = 0;
  let acknowledged = { index: 0, term: 0, vote: 0 };
  for await (const line of createInterface(child.stdout)) {
    acknowledged = JSON.parse(line) as typeof acknowledged;
    seen++;
    if (seen === after) child.kill("SIGKILL");
  }
  expect(await exited).toBe("SIGKILL");
  return acknowledged;
}

describe("a member killed while it appends", () => {
  let dir = "";
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "aether-kill-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("finds everything it had acknowledged, and its promise, again and again", async () => {
    await formatLog(dir, identity, [1]);
    for (const groups of [1, 5, 40, 300, 900]) {
      const acknowledged = await appendUntilKilled(dir, groups);
      expect(acknowledged.index).toBeGreaterThan(1);
      const { verdict, storage } = await openLog(dir, identity);
      expect(["clean", "tornTail"]).toContain(verdict.v);
      const found = shown(storage as LogStorage);
      expect(found.last.index).toBeGreaterThanOrEqual(acknowledged.index);
      expect(found.first).toBe(1);
      // The bytes name the entry, so a wrong or misplaced one is seen.
      expect(found.entries.slice(1).filter((text) => !wellFormed(text))).toEqual([]);
      const { boot } = verdict as Extract<typeof verdict, { v: "clean" }>;
      const { term, vote } = boot.hard;
      const kept = term > acknowledged.term || (term === acknowledged.term && vote === acknowledged.vote);
      expect(kept, `${JSON.stringify(acknowledged)} became ${JSON.stringify(boot.hard)}`).toBe(true);
      await storage?.close();
    }
  });

  it("does not take an older copy of its log for its own", async () => {
    await formatLog(dir, identity, [1]);
    await appendUntilKilled(dir, 20);
    const { storage } = await openLog(dir, identity);
    await storage?.close();
    const copy = join(dir, "copy");
    await cp(join(dir, "log"), copy, { recursive: true });
    await appendUntilKilled(dir, 2000);
    await rm(join(dir, "log"), { recursive: true });
    await cp(copy, join(dir, "log"), { recursive: true });
    expect((await openLog(dir, identity)).verdict).toMatchObject({
      v: "lost",
      why: expect.stringMatching(/belowFloor|hardState/),
    });
  });
});

/** "index@term/kind term:index term:index …" */
function wellFormed(text: string): boolean {
  const parts = /^(\d+)@(\d+)\/0 (\d+):(\d+) /.exec(text);
  return parts !== null && parts[1] === parts[4] && parts[2] === parts[3];
}
