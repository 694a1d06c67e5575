/** The rules of the backups' row: every request has one receipt, and what is known already is not said again. */
import { reject, type Command, type DecideContext, type Decision, type Rejection } from "../kernel/command.ts";
import type { Identity } from "../kernel/event.ts";
import type { World } from "../kernel/world.ts";
import * as events from "./events.ts";
import {
  backupsOf,
  type BackupFailure,
  type BackupReceipt,
  type DrillResult,
  type PushFailure,
  type PushReceipt,
} from "./state.ts";

const nothing: Decision = { events: [] };
const nameOf = ({ role, name }: Identity): string => `${role}:${name}`;

function elsewhere(world: World, id: string): Rejection | null {
  if (world.get("cluster", id) !== undefined) return null;
  return reject("not_found", `there is no cluster ${id} here`, "the id of its backups is the cluster's name");
}

/** A person's request always counts, because what is being written may have begun before it; a member's only when none is open. */
export function decideRequest(world: World, command: Command & { readonly cause: string }, { actor }: DecideContext): Decision {
  const wrong = elsewhere(world, command.id);
  if (wrong !== null) return wrong;
  if (actor.role === "member" && backupsOf(world).open !== null) return nothing;
  return { events: [events.BackupRequested.of(command.id, { by: nameOf(actor), cause: command.cause })] };
}

export function decideRecord(world: World, command: Command & Omit<BackupReceipt, "index" | "at">): Decision {
  const wrong = elsewhere(world, command.id);
  if (wrong !== null) return wrong;
  const { id, commit, upTo, tookMs, bytes, things, changed, holders, note } = command;
  const { open, last } = backupsOf(world);
  if (last !== null && upTo < last.upTo)
    return reject("conflict", `a backup up to ${last.upTo} is recorded; this one ends at ${upTo}`, "backups only go forward");
  if (last !== null && open === null && last.commit === commit && last.upTo === upTo) return nothing;
  return { events: [events.BackupRecorded.of(id, { commit, upTo, tookMs, bytes, things, changed, holders, note })] };
}

/** Nothing is asked for and the reason is known: nothing new. */
export function decideFail(world: World, command: Command & Pick<BackupFailure, "why" | "hint">): Decision {
  const wrong = elsewhere(world, command.id);
  if (wrong !== null) return wrong;
  const { id, why, hint } = command;
  const { open, failed } = backupsOf(world);
  if (open === null && failed?.why === why) return nothing;
  return { events: [events.BackupFailed.of(id, { why, hint })] };
}

export function decidePushed(world: World, command: Command & Omit<PushReceipt, "index" | "at">): Decision {
  const wrong = elsewhere(world, command.id);
  if (wrong !== null) return wrong;
  const { id, commit, remote } = command;
  const { pushed, pushFailed } = backupsOf(world);
  if (pushFailed === null && pushed?.commit === commit && pushed.remote === remote) return nothing;
  return { events: [events.BackupPushed.of(id, { commit, remote })] };
}

export function decidePushFailed(world: World, command: Command & Omit<PushFailure, "index" | "at">): Decision {
  const wrong = elsewhere(world, command.id);
  if (wrong !== null) return wrong;
  const { id, commit, remote, why, hint } = command;
  const { pushFailed } = backupsOf(world);
  if (pushFailed !== null && pushFailed.why === why && pushFailed.remote === remote) return nothing;
  return { events: [events.BackupPushFailed.of(id, { commit, remote, why, hint })] };
}

type RecordDrill = Command & Omit<DrillResult, "index" | "at" | "by">;

export function decideDrill(world: World, command: RecordDrill, { actor }: DecideContext): Decision {
  const wrong = elsewhere(world, command.id);
  if (wrong !== null) return wrong;
  const { id, commit, sound, things, tookMs, why } = command;
  return { events: [events.BackupDrillRecorded.of(id, { commit, sound, things, tookMs, why, by: nameOf(actor) })] };
}
