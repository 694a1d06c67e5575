/**
 * `<dataDir>/recovered.json`: that this folder was given to a recovered cluster. While its parts are being moved into place nothing may
 * start on it; and a daemon that is still configured for the old cluster must not take them for somebody else's and move them away.
 */
import { join } from "node:path";
import * as Schema from "effect/Schema";
import { readIfThere, writeDurably } from "../member/durable-file.ts";

const RecoveredFile = Schema.Struct({
  state: Schema.Literals(["moving", "done"]),
  /** The new cluster's. */
  clusterId: Schema.String,
  member: Schema.Number,
  /** The name of the folder within the data folder that the old member's parts are moved to. */
  retired: Schema.String,
  /** What was found and made, for people. */
  report: Schema.Unknown,
});
export type RecoveredFile = typeof RecoveredFile.Type;

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(RecoveredFile));
const pathOf = (dataDir: string): string => join(dataDir, "recovered.json");

/** Null when there is none. Rejects when it is not as it was written: guessing could give a disk to the wrong cluster. */
export async function readRecovered(dataDir: string): Promise<RecoveredFile | null> {
  const text = await readIfThere(pathOf(dataDir));
  return text === null ? null : decode(text);
}

export const writeRecovered = (dataDir: string, file: RecoveredFile): Promise<void> =>
  writeDurably(pathOf(dataDir), `${JSON.stringify(file, null, 2)}\n`);

/** Why a daemon of cluster `clusterId` may not start on this folder, or null. */
export async function refusedAsRecovered(dataDir: string, clusterId: string): Promise<string | null> {
  const found = await readRecovered(dataDir);
  if (found === null) return null;
  const again = "run aether cluster recover again: it finishes";
  if (found.state === "moving")
    return `${dataDir} is being recovered into cluster ${found.clusterId}, and that was interrupted: ${again}`;
  if (found.clusterId === clusterId) return null;
  return `${dataDir} was recovered into cluster ${found.clusterId}, and this daemon is configured for ${clusterId}: ${again}`;
}
