/**
 * The data folder as the daemon finds it at start: unformatted, usable, or no longer to be trusted; and how it is
 * formatted, retired and formatted anew.
 */
import { join } from "node:path";
import { readdir } from "node:fs/promises";
import { formatLog, openLog } from "@aether/store/log/open";
import { inspectFolder } from "@aether/store/log/folder";
import type { LogStorage, NodeId, OpenVerdict } from "@aether/raft/types";
import type { Floors } from "../member/floors.ts";
import { refusedAsRecovered } from "../recovery/recovered-file.ts";
import { writeSeats, type Seat } from "../member/seats.ts";

type Usable = Extract<OpenVerdict, { v: "clean" | "tornTail" }>;

export type FolderFound =
  | { readonly v: "unformatted" }
  | { readonly v: "usable"; readonly member: NodeId; readonly storage: LogStorage; readonly verdict: Usable }
  /** `verdict` is a word for file names, e.g. "lost-crc"; `detail` is for people. */
  | { readonly v: "unusable"; readonly member: NodeId; readonly verdict: string; readonly detail: string };

/** The folder belongs to the cluster that was recovered from it, or will in a moment. */
export class FolderRecovered extends Error {
  override readonly name = "FolderRecovered";
}

/**
 * Opens what is there. `expected` is the member number to name when the folder cannot tell its own. Rejects with
 * FolderBusy when another process holds the folder, with {@link FolderRecovered} when it was given to another cluster.
 */
export async function openFolder(dataDir: string, clusterId: string, expected: NodeId, floors: Floors): Promise<FolderFound> {
  const refused = await refusedAsRecovered(dataDir, clusterId);
  if (refused !== null) throw new FolderRecovered(refused);
  const found = await inspectFolder(dataDir);
  if (found.state === "unformatted") return { v: "unformatted" };
  const member = found.state === "formatted" ? found.identity.nodeId : expected;
  const floor = floors.of(member)?.index ?? 0;
  const { verdict, storage } = await openLog(dataDir, { clusterId, nodeId: member }, { floor });
  if (verdict.v === "lost") return { v: "unusable", member, verdict: `lost-${verdict.why}`, detail: verdict.detail };
  if (verdict.v === "foreign") return { v: "unusable", member, verdict: "foreign", detail: verdict.why };
  if (storage === undefined) throw new Error(`the log opened ${verdict.v} without a storage`);
  return { v: "usable", member, storage, verdict };
}

/** Makes the folder a first voter's, among `members`. Resolves with why not, or null; repeating it is harmless. */
export async function formatAsFirst(
  dataDir: string,
  clusterId: string,
  member: NodeId,
  members: readonly Seat[],
): Promise<string | null> {
  await writeSeats(dataDir, clusterId, members);
  const voters = members.map((seat) => seat.member);
  const made = await formatLog(dataDir, { clusterId, nodeId: member }, voters);
  return made.ok ? null : made.why;
}

/** Makes the folder that of a member which a running cluster takes in: an empty log. Resolves with why not, or null. */
export async function formatAsJoiner(
  dataDir: string,
  clusterId: string,
  member: NodeId,
  members: readonly Seat[],
): Promise<string | null> {
  await writeSeats(dataDir, clusterId, members);
  const made = await formatLog(dataDir, { clusterId, nodeId: member }, null);
  return made.ok ? null : made.why;
}

/** Member data that was moved aside here before, newest last. */
export async function retiredFolders(dataDir: string): Promise<readonly string[]> {
  const names = await readdir(dataDir).catch(() => []);
  return names.filter((name) => name.startsWith("retired-")).map((name) => join(dataDir, name));
}
