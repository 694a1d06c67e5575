/**
 * A disk of its own for one data folder, which can be filled up to the last page and made to hang: a tmpfs, or an ext4 in an
 * image file. Mounting needs rights that not every machine gives; whoever uses one asks first and says so when there is none.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Only "ext4" can hang; it also gives back space and syncs as a real disk does. */
export type DiskKind = "tmpfs" | "ext4";

export interface SmallDisk {
  /** Takes all space but about `leaving` bytes (default none). */
  fill(leaving?: number): void;
  /** Gives back what fill() took. */
  empty(): void;
  /** Every write and sync hangs until thaw(). Not for a tmpfs. */
  freeze(): void;
  thaw(): void;
  /** The folder is as empty as before it was mounted. Files that are still open keep the disk alive, unseen. */
  unmount(): void;
}

const ballastFile = "ballast";
const pageBytes = 4_096;

const run = (program: string, ...args: readonly string[]): void => void execFileSync(program, args, { stdio: "pipe" });

/** Why no such disk can be had on this machine, or null. Tries it. */
export function whyNoSmallDisk(kind: DiskKind = "tmpfs"): string | null {
  const folder = mkdtempSync(join(tmpdir(), "aether-mount-"));
  const path = join(folder, "disk");
  try {
    const disk = mountSmallDisk(path, kind === "tmpfs" ? 1 : 16, kind);
    try {
      if (kind === "ext4") disk.freeze();
    } finally {
      if (kind === "ext4") disk.thaw();
      disk.unmount();
    }
    rmdirSync(path);
    return null;
  } catch (error) {
    return `no ${kind} can be mounted here (${(error as Error).message.trim().split("\n").at(-1) ?? ""})`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Mounts `megabytes` over the folder, made if need be; what it held before is hidden. Throws where that is not allowed. */
export function mountSmallDisk(path: string, megabytes: number, kind: DiskKind = "tmpfs"): SmallDisk {
  mkdirSync(path, { recursive: true });
  const image = `${path}.image`;
  if (kind === "tmpfs") run("mount", "-t", "tmpfs", "-o", `size=${megabytes}m,mode=700`, "tmpfs", path);
  else mountImage(image, path, megabytes);
  const ballast = join(path, ballastFile);
  const unmount = (): void => {
    process.off("exit", unmount);
    run("umount", "--lazy", path);
    rmSync(image, { force: true });
  };
  // A process that ends early leaves nothing mounted behind.
  process.once("exit", unmount);
  return {
    fill: (leaving = 0) => takeSpace(path, ballast, leaving),
    empty: () => rmSync(ballast, { force: true }),
    freeze: () => run("fsfreeze", "--freeze", path),
    thaw: () => run("fsfreeze", "--unfreeze", path),
    unmount,
  };
}

function mountImage(image: string, path: string, megabytes: number): void {
  try {
    writeFileSync(image, "");
    truncateSync(image, megabytes * 2 ** 20);
    // No blocks for root alone: a daemon that is root would find them when the disk is full.
    run("mkfs.ext4", "-q", "-F", "-m", "0", image);
    run("mount", "-o", "loop", image, path);
    rmSync(join(path, "lost+found"), { recursive: true });
  } catch (error) {
    rmSync(image, { force: true });
    throw error;
  }
}

function takeSpace(path: string, ballast: string, leaving: number): void {
  rmSync(ballast, { force: true });
  const handle = openSync(ballast, "w");
  try {
    const { bavail, bsize } = statfsSync(path);
    const page = Buffer.alloc(pageBytes, 1);
    const wanted = leaving === 0 ? Number.POSITIVE_INFINITY : bavail * bsize - leaving;
    for (let taken = 0; taken + pageBytes <= wanted; taken += pageBytes) writeSync(handle, page);
  } catch (error) {
    // The end of what is wanted, or a daemon that writes meanwhile has had the last page.
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(handle);
  }
}
