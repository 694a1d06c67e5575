/** A log on a disk in memory, under a clock moved by hand. */
import type { EntryId, LogStorage, SnapMeta } from "@aether/raft/types";
import { type FolderIdentity, noSnapshot } from "../keys.ts";
import type { LogClock } from "../ports.ts";
import { startLog, type StartOptions, writeFirstLog } from "../start.ts";
import { MemoryDisk } from "./memory-disk.ts";

export const identity: FolderIdentity = { clusterId: "0123456789abcdef0123456789abcdef", nodeId: 3 };
export const zero: EntryId = { term: 0, index: 0 };

/** Time that stands still until told; timers fire when it passes them. */
export function handClock(): LogClock & { pass(ms: number): void } {
  let now = 0;
  let timers: { at: number; f: () => void }[] = [];
  return {
    now: () => now,
    after(ms, f) {
      const timer = { at: now + ms, f };
      timers.push(timer);
      return () => (timers = timers.filter((other) => other !== timer));
    },
    pass(ms) {
      now += ms;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const { f } of due) f();
    },
  };
}

export async function freshDisk(voters: readonly number[] | null = null): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await writeFirstLog(disk.ports, identity, voters);
  return disk;
}

export async function open(disk: MemoryDisk, options: Partial<StartOptions> = {}): Promise<LogStorage> {
  const { verdict, storage } = await startLog(disk.ports, identity, { clock: handClock(), ...options });
  if (storage === undefined) throw new Error(`not opened: ${JSON.stringify(verdict)}`);
  return storage;
}

/** Lets everything that is ready run. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
export const snapAt = (id: EntryId): SnapMeta => ({ ...noSnapshot, id, digest: `state-${id.index}`, bytes: 1 });
