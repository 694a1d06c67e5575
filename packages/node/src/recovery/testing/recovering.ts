/** Recoveries of folders in a temporary place, and the daemon's own parts run on what came of them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { registry } from "@aether/core/registry";
import { openEventStore } from "@aether/store/events/open";
import { openLog } from "@aether/store/log/open";
import { openSnapshots } from "@aether/store/snapshots";
import { openFolder } from "../../daemon/folder.ts";
import { openFloors } from "../../member/floors.ts";
import { startMember } from "../../member/member.ts";
import { type FolderReport, type PreparedRecovery, prepareRecovery, type RecoverFolderWish } from "../recover-folder.ts";
import { OldFolder } from "./old-folder.ts";

export const newId = "cd".repeat(16);
const folders: string[] = [];
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}
/** Removed by {@link removeFolders}. */
export const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "aether-recover-"));
  folders.push(folder);
  return folder;
};
export const oldData = (): Promise<OldFolder> => OldFolder.make(join(makeFolder(), "data"));

export const wishOf = (dir: string, more: Partial<RecoverFolderWish> = {}): RecoverFolderWish => ({
  source: dir,
  target: dir,
  clusterId: newId,
  address: null,
  actor: { name: "olga", role: "operator" },
  now: 5_000_000,
  ...more,
});

export async function prepared(dir: string, more: Partial<RecoverFolderWish> = {}): Promise<PreparedRecovery> {
  const made = await prepareRecovery(wishOf(dir, more));
  if ("unusable" in made) throw new Error(`${made.unusable}: ${made.why}`);
  return made;
}

export async function recovered(dir: string, more: Partial<RecoverFolderWish> = {}): Promise<FolderReport> {
  const made = await prepared(dir, more);
  await made.commit();
  return made.report;
}

/** The daemon's own way to open it and to run on it: the world is what is there once it leads. */
export async function runOn<A>(
  dir: string,
  report: FolderReport,
  look: (m: Awaited<ReturnType<typeof lead>>) => Promise<A> | A,
): Promise<A> {
  const running = await lead(dir, report);
  try {
    return await look(running);
  } finally {
    await running.stop();
  }
}

async function lead(dir: string, report: FolderReport) {
  const found = await openFolder(dir, newId, report.member.id, await openFloors(join(dir, "floors.json"), newId));
  if (found.v !== "usable") throw new Error(`the recovered folder is ${JSON.stringify(found)}`);
  const nobody = {
    send: () => undefined,
    sendSnapshot: () => Promise.resolve(),
    setPeers: () => undefined,
    start: () => undefined,
    close: () => Promise.resolve(),
  };
  const running = await startMember({
    member: found.member,
    dataDir: dir,
    registry,
    storage: found.storage,
    snapshots: await openSnapshots(join(dir, "snap")),
    boot: found.verdict.boot,
    keepEntries: 1_000,
    raft: { tickMs: 10, electionTicks: 10, heartbeatTicks: 2 },
    makeTransport: () => nobody as never,
    addressOf: () => undefined,
    vouch: () => Promise.resolve(null),
    onFatal: (error) => {
      throw error;
    },
    onDenied: () => undefined,
    onRecovered: (why) => {
      throw new Error(`the state was built again: ${why}`);
    },
  });
  if ("refused" in running) throw new Error(running.refused);
  const until = performance.now() + 30_000;
  while (running.store.role.state !== "leader" || running.store.applied <= report.last) {
    if (performance.now() > until) throw new Error("it does not lead");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return running;
}

export const settingsOf = (world: { all: (noun: string) => Iterable<{ id: string; row: unknown }> }): Record<string, unknown> =>
  Object.fromEntries([...world.all("setting")].map(({ id, row }) => [id, (row as { value: unknown }).value]));

/** Name, size and bytes of every file of the member, as `path → text`. */
export function partsOf(dir: string): Record<string, string> {
  const all: Record<string, string> = {};
  const walk = (path: string): void => {
    for (const name of readdirSync(join(dir, path))) {
      const at = join(path, name);
      if (["lock", "recovering", "recovered.json"].includes(at) || at.startsWith("retired-")) continue;
      if (statSync(join(dir, at)).isDirectory()) walk(at);
      else all[at] = readFileSync(join(dir, at)).toString("base64");
    }
  };
  walk("");
  return all;
}

/** Where a state begins that is opened by the event store itself. */
export async function appliedIn(dir: string, id: string): Promise<number> {
  const { storage } = await openLog(dir, { clusterId: id, nodeId: 4 });
  if (storage === undefined) throw new Error("the log does not open");
  const options = {
    dir: join(dir, "state"),
    now: () => 1,
    drawBits: () => "0".repeat(32),
    flushMs: 60_000,
    flushRows: 1_000,
    keepEntries: 10,
    snapshotEveryEntries: 1_000_000,
    maxInFlight: 10,
    onFatal: (error: Error): never => {
      throw error;
    },
  };
  const store = await openEventStore(options, registry, storage.view, await openSnapshots(join(dir, "snap")));
  const { applied } = store;
  await store.close();
  await storage.close();
  return applied;
}
