import { join } from "node:path";
import { setAside } from "../events/open.ts";
import { openLevelState } from "../events/state-db.ts";
import { inspectFolder } from "../log/folder.ts";
import type { FolderIdentity } from "../log/keys.ts";
import { openLogPorts } from "../log/open.ts";
import { openSnapshots } from "../snapshots.ts";
import type { CopiedDisk } from "./recover.ts";

/** A copy of the data folder of member `from`, that nobody else uses. */
export async function copiedFolder(dir: string, from: FolderIdentity): Promise<CopiedDisk> {
  return {
    openLog: async () => openLogPorts(dir, from, await inspectFolder(dir)),
    state: { open: openLevelState, setAside },
    stateDir: join(dir, "state"),
    snapshots: await openSnapshots(join(dir, "snap")),
  };
}
