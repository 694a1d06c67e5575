/**
 * A disk of its own for one data folder: a small tmpfs, which can be filled up to the last page and emptied again. Mounting
 * needs rights that not every machine gives; whoever uses one asks first and says so when there is none.
 */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SmallDisk {
  /** Takes all space but `leaving` bytes (default none), rounded to whole pages. */
  fill(leaving?: number): void;
  /** Gives back what fill() took. */
  empty(): void;
  /** The folder is as empty as before it was mounted. Files that are still open keep the disk alive, unseen. */
  unmount(): void;
}

const ballastFile = "ballast";
const pageBytes = 4_096;

/** Why no small disk can be had on this machine, or null. Tries it. */
export function whyNoSmallDisk(): string | null {
  const path = mkdtempSync(join(tmpdir(), "aether-mount-"));
  try {
    mountSmallDisk(path, 1).unmount();
    return null;
  } catch (error) {
    return `no tmpfs can be mounted here (${(error as Error).message.trim().split("\n").at(-1) ?? ""})`;
  } finally {
    rmdirSync(path);
  }
}

/** Mounts `megabytes` over the folder, made if need be; what it held before is hidden. Throws where that is not allowed. */
export function mountSmallDisk(path: string, megabytes: number): SmallDisk {
  mkdirSync(path, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m,mode=700`, "tmpfs", path], { stdio: "pipe" });
  const ballast = join(path, ballastFile);
  const empty = (): void => rmSync(ballast, { force: true });
  return {
    fill: (leaving = 0) => {
      empty();
      const handle = openSync(ballast, "w");
      try {
        const { bavail, bsize } = statfsSync(path);
        const page = Buffer.alloc(pageBytes, 1);
        for (let left = bavail * bsize - leaving; left >= pageBytes; left -= pageBytes) writeSync(handle, page);
      } catch (error) {
        // A daemon that writes meanwhile may have had the last page.
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(handle);
      }
    },
    empty,
    unmount: () => void execFileSync("umount", ["--lazy", path], { stdio: "pipe" }),
  };
}
