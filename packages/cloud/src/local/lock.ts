/**
 * A lock between processes that a killed holder cannot leave behind. Each contender announces itself with a file named for
 * its pid and start time, then looks: if another living one is announced, it withdraws. Two can never both see themselves
 * alone, and the file of a dead process is swept by whoever comes next.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "./durable-file.ts";
import { isAlive, ownProcess } from "./process-table.ts";

export interface Lock {
  release(): Promise<void>;
}

export interface Holder {
  readonly pid: number;
  /** What the holder said it does. */
  readonly purpose: string;
}

/** Takes the lock of folder `path`, or says who holds it after having tried for `waitMs`. */
export async function takeLock(path: string, purpose: string, waitMs: number): Promise<Lock | Holder> {
  const me = ownProcess();
  const mine = `${me.pid}.${me.start}.${randomBytes(4).toString("hex")}.${purpose.replaceAll(/[^A-Za-z0-9]+/g, "-")}`;
  const until = performance.now() + waitMs;
  for (;;) {
    await announce(path, mine);
    const holder = await otherHolder(path, mine);
    if (holder === null) return { release: () => withdraw(path, mine) };
    await withdraw(path, mine);
    if (performance.now() >= until) return holder;
    // Unequal pauses, so that two who saw each other do not meet again.
    await new Promise((resolve) => setTimeout(resolve, 5 + (randomBytes(1)[0] ?? 0) / 8));
  }
}

export const isLock = (taken: Lock | Holder): taken is Lock => "release" in taken;

async function announce(path: string, name: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      return await writeFile(join(path, name), "", { flag: "wx" });
    } catch (error) {
      // The last holder removed the empty folder between our two calls, or within the first: it makes, then looks.
      if (errnoOf(error) !== "ENOENT" || tries >= 100) throw error;
    }
  }
}

async function withdraw(path: string, name: string): Promise<void> {
  await rm(join(path, name), { force: true });
  try {
    await rmdir(path);
  } catch (error) {
    if (!["ENOTEMPTY", "ENOENT", "EEXIST"].includes(errnoOf(error) ?? "")) throw error;
  }
}

async function otherHolder(path: string, mine: string): Promise<Holder | null> {
  for (const name of await readdir(path)) {
    if (name === mine) continue;
    const [pid, start, , purpose] = name.split(".");
    if (pid === undefined || start === undefined) continue;
    if (isAlive({ pid: Number(pid), start })) return { pid: Number(pid), purpose: (purpose ?? "").replaceAll("-", " ") };
    await rm(join(path, name), { force: true });
  }
  return null;
}
