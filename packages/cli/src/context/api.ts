/** The cluster's HTTP API as the commands use it. The shapes are core's; only their types come along. */
import type * as backups from "@aether/core/api/backup-shapes";
import type * as instances from "@aether/core/api/instances";
import type * as shapes from "@aether/core/api/shapes";
import type { Manifest } from "@aether/core/backup/manifest";
import type { DomainEvent } from "@aether/core/kernel/event";

export interface CallOptions {
  readonly body?: unknown;
  /** If-Match. */
  readonly ifVersion?: number;
  /** Idempotency-Key: the same key gets the first answer again. */
  readonly idempotencyKey?: string;
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

export interface LinesOptions {
  /** The path that gives the lines from this index on; asked again, with a later index, when a connection breaks. */
  readonly path: (from: number) => string;
  readonly from: number;
  /** Each line once, ascending. False ends the reading. */
  readonly onLine: (line: EntryAnswer) => boolean;
}

/**
 * One cluster, over one or several of its members. Every method throws a Failure: a refusal of the server with its reason's exit
 * code, "not ready" when no endpoint answers.
 */
export interface Api {
  call<A>(method: "GET" | "PUT" | "POST" | "DELETE", path: string, options?: CallOptions): Promise<A>;
  /** An answer that may be large, as it comes; rejects with an Error when it breaks off. */
  bytes(path: string): Promise<AsyncIterable<Uint8Array>>;
  /** Resolves when the server has ended the answer or onLine had enough. */
  lines(options: LinesOptions): Promise<void>;
  close(): void;
}

export type MemberAnswer = (typeof shapes.MemberAnswer)["Type"];
export type ClusterAnswer = (typeof shapes.ClusterAnswer)["Type"];
export type NodeAnswer = (typeof shapes.NodeAnswer)["Type"];
export type NodesAnswer = (typeof shapes.NodesAnswer)["Type"];
export type SettingAnswer = (typeof shapes.SettingAnswer)["Type"];
export type SettingsAnswer = (typeof shapes.SettingsAnswer)["Type"];
export type InstancesAnswer = (typeof instances.InstancesAnswer)["Type"];
export type InstanceAnswer = (typeof instances.InstanceAnswer)["Type"];
export type Written = (typeof shapes.Written)["Type"];
export type SettingWritten = (typeof shapes.SettingWritten)["Type"];
export type AuditAnswer = (typeof shapes.AuditAnswer)["Type"];

export type BackupsAnswer = (typeof backups.BackupsAnswer)["Type"];
/** One commit, with its manifest as this version writes them. */
export type BackupAnswer = Omit<(typeof backups.BackupAnswer)["Type"], "manifest"> & { readonly manifest: Manifest };
export type BackupTaken = (typeof backups.BackupTaken)["Type"];
export type BackupPlan = (typeof backups.BackupPlan)["Type"];
export type RestorePlan = (typeof backups.RestorePlan)["Type"];
export type RestoreAnswer = (typeof backups.RestoreAnswer)["Type"];
export type VerifyAnswer = (typeof backups.VerifyAnswer)["Type"];
export type PushAnswer = (typeof backups.PushAnswer)["Type"];
export type RestorationAnswer = (typeof backups.RestorationAnswer)["Type"];

/** Entries with their events as events: type, v, id, and the fields of the type. */
export type EntryAnswer = Omit<(typeof shapes.EntryAnswer)["Type"], "events"> & { readonly events: readonly DomainEvent[] };
export type HistoryAnswer = Omit<(typeof shapes.HistoryAnswer)["Type"], "entries"> & { readonly entries: readonly EntryAnswer[] };
