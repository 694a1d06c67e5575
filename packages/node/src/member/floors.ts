/**
 * What is known of others' disks: for each member id the highest committed index that it has durably acknowledged,
 * and the highest term that it has durably been in. Both are facts that stay true for ever, because an id is never
 * given twice and committed entries are never truncated. A member whose disk holds less than its floor has been given
 * an older copy of it and may never vote again. The rule and its limits: docs/internals/members.md.
 */
import * as Schema from "effect/Schema";
import { failpoints } from "@aether/core/kernel/failpoint";
import type { CoreStatus, EntryId, NodeId } from "@aether/raft/types";
import { readIfThere, writeDurably } from "./durable-file.ts";

export interface Floor {
  readonly term: number;
  readonly index: number;
}

const Count = Schema.Number.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0));
export const FloorRecord = Schema.Record(Schema.String, Schema.Struct({ term: Count, index: Count }));
const FloorFile = Schema.Struct({ clusterId: Schema.String, floors: FloorRecord });
const decodeFile = Schema.decodeUnknownSync(Schema.fromJsonString(FloorFile));

/** More members than any cluster has had; older ids are forgotten first. */
const membersMax = 256;

export interface Floors {
  of(member: NodeId): Floor | undefined;
  /** Takes the higher of what is known and what is said. */
  raise(member: NodeId, floor: Floor): void;
  all(): Readonly<Record<string, Floor>>;
  /** Writes the file if anything rose since the last save. One write at a time; callers share it. Rejects when the disk refuses. */
  save(): Promise<void>;
}

/** A small file that is whole or absent. */
export interface TextFile {
  read(): Promise<string | null>;
  /** Durable when it resolves; a crash leaves the old text or the new one. */
  write(text: string): Promise<void>;
}

/** Reads the file at `path`. A file of another cluster, or one that cannot be parsed, counts as knowing nothing. */
export const openFloors = (path: string, clusterId: string): Promise<Floors> =>
  openFloorsOn({ read: () => readIfThere(path), write: (text) => writeDurably(path, text) }, clusterId);

/** The same on any file, for the simulator. */
export async function openFloorsOn(file: TextFile, clusterId: string): Promise<Floors> {
  const known = new Map<NodeId, Floor>();
  const text = await file.read();
  if (text !== null) for (const [member, floor] of Object.entries(parse(text, clusterId))) known.set(Number(member), floor);
  let dirty = false;
  let saving: Promise<void> | null = null;

  const all = (): Record<string, Floor> => Object.fromEntries([...known].map(([member, floor]) => [String(member), floor]));
  const write = async (): Promise<void> => {
    while (dirty) {
      dirty = false;
      try {
        await failpoints.at?.("beforeFloors");
        await file.write(`${JSON.stringify({ clusterId, floors: all() })}\n`);
        await failpoints.at?.("afterFloors");
      } catch (error) {
        // The file is whole, the old or the new one; what it may lack is written with the next save.
        dirty = true;
        throw error;
      }
    }
  };
  return {
    of: (member) => known.get(member),
    raise: (member, floor) => {
      const old = known.get(member);
      const next = { term: Math.max(old?.term ?? 0, floor.term), index: Math.max(old?.index ?? 0, floor.index) };
      if (old !== undefined && next.term === old.term && next.index === old.index) return;
      known.set(member, next);
      if (known.size > membersMax) known.delete(Math.min(...known.keys()));
      dirty = true;
    },
    all,
    save: () => {
      saving ??= write().finally(() => (saving = null));
      return saving;
    },
  };
}

function parse(text: string, clusterId: string): Readonly<Record<string, Floor>> {
  try {
    const file = decodeFile(text);
    return file.clusterId === clusterId ? file.floors : {};
  } catch {
    return {};
  }
}

/**
 * What a leader's own bookkeeping proves of each member: an acknowledgement counted at term T was sent after T was
 * durable there, and min(match, commit) is durable there and can never be truncated. Empty unless leader.
 */
export function floorsOfLeader(status: CoreStatus): ReadonlyMap<NodeId, Floor> {
  const floors = new Map<NodeId, Floor>();
  if (status.role.state !== "leader") return floors;
  for (const [member, progress] of status.progress) {
    const index = Math.min(progress.match, status.hard.commit);
    if (index > 0) floors.set(member, { term: status.role.term, index });
  }
  return floors;
}

/** Says what is missing from a disk that holds `last` and `term`, or null when it holds all it must. */
export function missingBelow(floor: Floor | undefined, last: EntryId, term: number): string | null {
  if (floor === undefined) return null;
  if (last.index < floor.index) return `its log ends at ${last.index}, but it acknowledged entries up to ${floor.index}`;
  if (term < floor.term) return `its newest term is ${term}, but it took part in term ${floor.term}`;
  return null;
}
