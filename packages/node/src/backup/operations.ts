/** What the API's routes about backups do: what there is, what a commit holds and changed, whether it is sound, and what is asked for. */
import type * as shapes from "@aether/core/api/backup-shapes";
import { changesMax, listLimitDefault, thingsLimitDefault } from "@aether/core/api/backup-shapes";
import { backupsOf } from "@aether/core/backup-job/state";
import { BackupFault } from "@aether/core/backup/thing-files";
import { reject, type Rejection } from "@aether/core/kernel/command";
import type { BackupReader } from "@aether/store/backup/backup-reader";
import { ObjectDamaged, type Oid } from "@aether/store/git/object";
import { NoSuchCommit } from "@aether/store/git/repository";
import { readPoint, submitCommand, type Asked, type OperationDeps, type Written } from "../server/operations.ts";
import { checkAudit } from "./audit-check.ts";
import type { Behind } from "./catch-up.ts";
import { backupFault } from "./fault.ts";
import { differencesToState, inOrder, planAnswer, planOfChanges } from "./plan-answer.ts";
import { pushHint } from "./pusher.ts";
import type { BackupService } from "./service.ts";

export interface BackupDeps extends OperationDeps {
  readonly cluster: { readonly id: string; readonly name: string };
  readonly backups: BackupService;
}

type Answer<S extends { readonly Type: unknown }> = Promise<S["Type"] | Rejection>;

/** At a time: each may go through a whole commit. */
const readingsMax = 8;
/** How long a backup may take that somebody waits for. */
const takenMs = 290_000;
const takenLookMs = 50;

/** How long a request waits for what this node has to fetch before it can answer. */
const fetchMs = 6_000;
/** A list shows what is here by then. */
const listFetchMs = 1_000;
/** For a name that need not be known to anybody else. */
const newestReadMs = 2_000;

/** What a request is refused with, out of the middle of its work in {@link reading}. */
class Refused extends Error {
  override readonly name = "Refused";
  readonly rejection: Rejection;

  constructor(rejection: Rejection) {
    super(rejection.message);
    this.rejection = rejection;
  }
}

/** Runs `work` over this member's repository; what is wrong with the repository, or with the name of a commit, is a refusal. */
export async function reading<A>(d: BackupDeps, work: (reader: BackupReader) => Promise<A>): Promise<A | Rejection> {
  if (d.backups.readings.size >= readingsMax)
    return reject("too_many", `${readingsMax} requests are reading this node's backups`, "ask another node, or later");
  const own = Symbol("reading");
  d.backups.readings.add(own);
  try {
    return await work(await d.backups.reader());
  } catch (error) {
    if (error instanceof Refused) return error.rejection;
    if (error instanceof NoSuchCommit) return reject("not_found", error.message, "aether backup list shows what there is");
    if (error instanceof RangeError) return reject("invalid", error.message, "for example setting/cpu_*, node/n1, or a noun");
    if (error instanceof BackupFault || error instanceof ObjectDamaged)
      return reject("conflict", error.message, "aether backup verify names what is damaged");
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    const { why, hint } = backupFault(error, d.backups.home.dir);
    return reject("not_ready", `this node's backups cannot be read: ${why}`, hint);
  } finally {
    d.backups.readings.delete(own);
  }
}

/**
 * The commit that a person means, in this node's repository by then: what was recorded and is at other nodes only is fetched first. The
 * newest is the one that was recorded last. Call in {@link reading}. Rejects with NoSuchCommit when no node has it, as far as is recorded.
 */
export async function commitNamed(d: BackupDeps, reader: BackupReader, name: string): Promise<Oid> {
  const { repository } = reader;
  const newest = name === "HEAD" || name === "main";
  if (!newest) {
    const here = await repository.resolve(name).catch(orNone);
    if (here !== null) return here;
  }
  const at = d.store.role.leader === 0 ? null : await d.gateway.barrier(newestReadMs);
  await upToDate(d, reader, newest ? "the newest commit" : `commit ${name}`);
  if (newest || typeof at === "number") return repository.resolve(name);
  return repository.resolve(name).catch((error: unknown) => {
    if (!(error instanceof NoSuchCommit)) throw error;
    const why = at?.message ?? "no leader is known";
    throw new Refused(reject("not_ready", `${error.message}, and the cluster cannot be asked for it: ${why}`, at?.hint));
  });
}

function orNone(error: unknown): null {
  if (error instanceof NoSuchCommit) return null;
  throw error;
}

/** Brings the repository up to what was recorded last, or refuses. `wanted`: what for. */
export async function upToDate(d: BackupDeps, reader: BackupReader, wanted: string): Promise<void> {
  const behind = await d.backups.newest(fetchMs);
  if (behind !== null) throw new Refused(lacking(wanted, behind));
  await reader.repository.refresh();
}

function lacking(wanted: string, { commit, holders, why }: Behind): Rejection {
  const fetched = why === "" ? "it is being fetched" : `it cannot be fetched: ${why}`;
  const message = `${wanted}: this node's repository lacks commit ${commit.slice(0, 12)}, which was recorded last; ${fetched}`;
  const others =
    holders.length === 0 ? "" : `${holders.join(", ")} ${holders.length === 1 ? "holds" : "hold"} it: ask there, or `;
  return reject("not_ready", message, `${others}try again in a moment; aether backup list shows what is here`);
}

export function listBackups(d: BackupDeps, limit: number = listLimitDefault): Answer<typeof shapes.BackupsAnswer> {
  return reading(d, async (reader) => {
    const { store, backups } = d;
    await backups.newest(listFetchMs);
    await reader.repository.refresh();
    const { head, files } = await backups.home.listing(false);
    const row = backupsOf(store.world);
    const listed: (typeof shapes.Backup.Type)[] = [];
    let pushed = false;
    for await (const backup of reader.list(limit)) {
      pushed ||= row.pushed?.commit === backup.commit;
      listed.push({ ...backup, pushed, recorded: row.last !== null && backup.index <= row.last.upTo });
    }
    const { enabled, intervalMs, debounceMs, keep, remote } = backups.settings;
    return {
      index: store.applied,
      head,
      repository: { path: backups.home.dir, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) },
      schedule: { enabled, intervalMs, debounceMs, keep, remote },
      ...row,
      backups: listed,
    };
  });
}

export function showBackup(d: BackupDeps, name: string): Answer<typeof shapes.BackupAnswer> {
  return reading(d, async (reader) => {
    const commit = await commitNamed(d, reader, name);
    const manifest = await reader.manifest(commit);
    const { message, parents } = await reader.repository.commit(commit);
    const changed: (typeof shapes.BackupAnswer.Type)["changes"][number][] = [];
    for await (const { noun, id, kind } of reader.changesOf(commit)) changed.push({ noun, id, kind });
    const changes = inOrder(d.registry, changed).slice(0, changesMax);
    const index = d.store.applied;
    return {
      index,
      commit,
      manifest,
      message,
      at: manifest.at,
      parent: parents[0] ?? null,
      changes,
      changesTotal: changed.length,
    };
  });
}

/** What leads from the commit to another, or to what is there now. */
export async function diffBackup(
  d: BackupDeps,
  name: string,
  {
    to = "now",
    only = "",
    limit = thingsLimitDefault,
  }: { readonly to?: string; readonly only?: string; readonly limit?: number },
): Answer<typeof shapes.BackupPlan> {
  const at = to === "now" ? await readPoint(d, "linearizable") : d.store.applied;
  if (typeof at !== "number") return at;
  const patterns = only.split(",").filter((pattern) => pattern !== "");
  return reading(d, async (reader) => {
    const from = await commitNamed(d, reader, name);
    const target = to === "now" ? null : await commitNamed(d, reader, to);
    if (target === null) return toNow(d, reader, from, patterns, limit);
    const plan = await planOfChanges(d.registry, reader.changes(from, target), patterns);
    return { index: d.store.applied, ...planAnswer(plan, { from, to: target, limit }) };
  });
}

/** Of one moment: what one entry has changed is in it whole or not at all. */
async function toNow(d: BackupDeps, reader: BackupReader, from: string, patterns: readonly string[], limit: number) {
  const state = await d.store.freeze();
  try {
    const plan = await differencesToState(d.registry, state, reader.things(from), patterns);
    return { index: state.index, ...planAnswer(plan, { from, to: "now", limit }) };
  } finally {
    await state.close();
  }
}

export function verifyBackup(d: BackupDeps, name?: string): Answer<typeof shapes.VerifyAnswer> {
  return reading(d, async (reader) => {
    const { commit, sound, objects, files, faults, manifest } = await reader.verify(await commitNamed(d, reader, name ?? "HEAD"));
    const why = "the manifest cannot be read";
    const audit = manifest === null ? { checked: false, why, agrees: true } : await checkAudit(manifest, d.store);
    const all = audit.agrees ? faults : [...faults, { path: "manifest.json", what: audit.why }];
    const { checked } = audit;
    return {
      index: d.store.applied,
      sound: sound && audit.agrees,
      commit,
      objects,
      files,
      faults: all,
      audit: { checked, why: audit.why },
    };
  });
}

/** Resolves when a backup is recorded that holds all that was there when it was asked for, and is in this node's repository if it can be. */
export async function triggerBackup(d: BackupDeps, asked: Asked, cause: string): Answer<typeof shapes.BackupTaken> {
  const requested = await submitCommand(d, asked, { type: "RequestBackup", id: d.cluster.name, cause });
  if ("rejected" in requested) return requested;
  for (const until = performance.now() + takenMs; performance.now() < until;) {
    const { last, failed } = backupsOf(d.store.world);
    if (last !== null && last.upTo >= requested.index) {
      const { commit, upTo, tookMs, bytes, things, changed, holders, note } = last;
      // what cannot be fetched here is at its holders: whoever reads it here is told
      await d.backups.newest(fetchMs).catch(() => undefined);
      return { commit, index: upTo, tookMs, bytes, things, changed, holders, note, new: bytes > 0 };
    }
    if (failed !== null && failed.request >= requested.index)
      return reject("not_ready", `the backup was not written: ${failed.why}`, failed.hint);
    await new Promise((resume) => setTimeout(resume, takenLookMs));
  }
  const message = `asked for at index ${requested.index}, and neither written nor failed within ${takenMs / 1_000} s`;
  return reject("deadline", message, "aether backup list shows it when it is there");
}

export async function pushBackup(d: BackupDeps, force: boolean): Answer<typeof shapes.PushAnswer> {
  const { remote } = d.backups.settings;
  if (remote === null) return reject("conflict", "there is no remote to push to", "give [backup] remote in cluster.toml");
  const behind = await d.backups.newest(fetchMs);
  // what is here is better than nothing at a remote, and worse than what it may have
  if (behind !== null && force) return lacking("a forced push", behind);
  const pushed = await d.backups.pushNow(force);
  if (pushed.ok) return { index: d.store.applied, commit: pushed.pushed, remote, forced: force };
  const reason = ({ diverged: "conflict", refused: "forbidden", unreachable: "not_ready" } as const)[pushed.kind];
  return reject(reason, `${remote} did not take it: ${pushed.why}`, pushHint(pushed.kind));
}

export const recordDrill = (d: BackupDeps, asked: Asked, result: typeof shapes.DrillRequest.Type): Promise<Written | Rejection> =>
  submitCommand(d, asked, { type: "RecordDrill", id: d.cluster.name, ...result });

export async function readRestoration(d: BackupDeps, id: string): Promise<Record<string, unknown> | Rejection> {
  const point = await readPoint(d, "linearizable");
  if (typeof point !== "number") return point;
  const stored = d.store.world.get("restoration", id);
  if (stored === undefined) return reject("not_found", `there is no restoration ${id}`, "the newest twenty are kept");
  const { version, index, at, row } = stored;
  return { id, ...(row as object), version, index, at };
}
