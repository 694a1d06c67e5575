/**
 * `<dataDir>/members.json`: the members that were known when the folder was formatted, itself included. It says whom to
 * dial until the log has told who is where, so it is written before the log is formatted.
 */
import { join } from "node:path";
import * as Schema from "effect/Schema";
import { failpoints } from "@aether/core/kernel/failpoint";
import { readIfThere, writeDurably } from "./durable-file.ts";

/** A member's place: the node's name, its member id, and where it listens ("host:port"). */
export const Seat = Schema.Struct({
  name: Schema.String,
  member: Schema.Number.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(1)),
  address: Schema.String,
});
export type Seat = typeof Seat.Type;

const SeatsFile = Schema.Struct({ clusterId: Schema.String, members: Schema.Array(Seat) });
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(SeatsFile));
const pathOf = (dataDir: string): string => join(dataDir, "members.json");

/** Empty when there is no file, or one of another cluster or that makes no sense: the configuration's seeds remain. */
export async function readSeats(dataDir: string, clusterId: string): Promise<readonly Seat[]> {
  const text = await readIfThere(pathOf(dataDir));
  if (text === null) return [];
  try {
    const file = decode(text);
    return file.clusterId === clusterId ? file.members : [];
  } catch {
    return [];
  }
}

export async function writeSeats(dataDir: string, clusterId: string, members: readonly Seat[]): Promise<void> {
  await failpoints.at?.("beforeSeats");
  await writeDurably(pathOf(dataDir), `${JSON.stringify({ clusterId, members }, null, 2)}\n`);
  await failpoints.at?.("afterSeats");
}
