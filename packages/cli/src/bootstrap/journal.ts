/**
 * What a bootstrap has decided, written down before it acts on it: an interrupted run goes on from here with the same
 * identity. It stays as the operator's record of the cluster, and scale, start and destroy keep it true.
 */
import { readIfThere, writeDurably } from "@aether/cloud/local/durable-file";
import type { BackupSettings } from "@aether/core/config/backup-settings";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import type { Provider } from "@aether/core/kernel/grammar";
import { exit, Failure } from "../shell/failure.ts";

/** The twelve steps, in order. Their names are what operators see. */
export const stepNames = [
  "validate configuration",
  "resolve secrets",
  "preflight",
  "look for an existing cluster",
  "create identity",
  "provision instances",
  "start nodes",
  "discover peers",
  "form consensus",
  "elect a leader and reach quorum",
  "initialise the store",
  "verify readiness",
] as const;

/** With --from-backup there are two more: it is proved before anything is made, and restored before the cluster is called ready. */
export const stepNamesFromBackup = [
  ...stepNames.slice(0, 4),
  "verify the backup",
  ...stepNames.slice(4, -1),
  "restore the backup",
  ...stepNames.slice(-1),
] as const;

export type StepName = (typeof stepNamesFromBackup)[number];

export interface Seed {
  readonly name: string;
  readonly member: number;
  /** "host:port". */
  readonly address: string;
}

export interface JournalNode extends Seed {
  /** Whom it asks first. Fixed when the node is decided, so that its configuration is the same however often it is made. */
  readonly seeds: readonly Seed[];
  /** In a cloud; there `address` is "" until its machine has one, and `seeds` are all nodes. */
  readonly machine?: JournalMachine;
}

export interface JournalMachine {
  /** From 1. A machine is asked for once for each: another place, or another machine, is another attempt. */
  readonly attempt: number;
  readonly zone: string;
  readonly size: string;
  /** The vendor's name of it; null until it has told one. */
  readonly instance: string | null;
  /** "host:port" where this computer reaches it, which may be another address than the one its peers use; null until it has one. */
  readonly dial: string | null;
}

/** Where this computer reaches a node; "" while its machine has no address. */
export const dialOf = (node: JournalNode): string => node.machine?.dial ?? node.address;

/** What a node's configuration is made from besides its identity. */
export interface NodeSettings {
  readonly raft: { readonly tickMs: number; readonly electionTicks: number; readonly heartbeatTicks: number };
  readonly history: { readonly keep: number };
  /** `remoteToken`: whether there is one, in the cluster's folder. Left out by clusters of before there were backups. */
  readonly backup?: BackupSettings & { readonly remoteToken: boolean };
  readonly basePort: number | null;
  /** Where the nodes' folders are, or null for the cluster's own folder. */
  readonly dataDir: string | null;
}

/** The commit that a cluster is made from. */
export interface FromBackup {
  /** As it was given: a path or a URL. */
  readonly repository: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** Of the commit's manifest. */
  readonly index: number;
  /** The restoration that was begun last, null before: whether it counts, its row says. */
  readonly restoration: string | null;
  /** Null until it is restored. `index`: of the entry from which on it counts. */
  readonly restored: { readonly index: number; readonly things: number } | null;
}

export interface Journal {
  readonly format: 1;
  readonly name: string;
  readonly provider: Provider;
  /** Where its machines are; left out for a local cluster. */
  readonly cloud?: CloudSettings;
  readonly state: "forming" | "ready" | "destroying";
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** The cluster file's content with references in place of secrets. */
  readonly configuration: unknown;
  readonly settings: NodeSettings;
  /** Null until step 5. */
  readonly identity: { readonly clusterId: string; readonly nodes: readonly JournalNode[] } | null;
  /** The first voters have been formatted; from then on no node is ever made one again. */
  readonly formed: boolean;
  /** Left out by clusters that are not made from a backup. */
  readonly fromBackup?: FromBackup;
  /** Where the newest run stands or stood. */
  readonly step: {
    readonly number: number;
    readonly name: string;
    readonly state: "started" | "done" | "failed";
    readonly at: number;
  };
}

/** The journal, or null when there is none. A journal that cannot be read stops everything: guessing could provision twice. */
export async function readJournal(path: string): Promise<Journal | null> {
  const text = await readIfThere(path);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (isJournal(value)) return value;
  throw new Failure(
    exit.failed,
    `${path} is not a bootstrap journal that this version understands`,
    "restore it from a copy; without it nothing tells which instances and keys are this cluster's",
  );
}

export const writeJournal = (path: string, journal: Journal): Promise<void> =>
  writeDurably(path, `${JSON.stringify(journal, null, 2)}\n`, 0o600);

function isJournal(value: unknown): value is Journal {
  if (typeof value !== "object" || value === null) return false;
  const journal = value as Record<string, unknown>;
  const identity = journal["identity"] as Record<string, unknown> | null | undefined;
  const nodes = identity?.["nodes"];
  return (
    journal["format"] === 1 &&
    typeof journal["name"] === "string" &&
    ["forming", "ready", "destroying"].includes(String(journal["state"])) &&
    typeof journal["formed"] === "boolean" &&
    typeof journal["settings"] === "object" &&
    isFromBackup(journal["fromBackup"]) &&
    (identity === null || (typeof identity?.["clusterId"] === "string" && Array.isArray(nodes) && nodes.every(isNode)))
  );
}

function isFromBackup(value: unknown): boolean {
  if (value === undefined) return true;
  const from = value as Record<string, unknown> | null;
  return typeof from?.["repository"] === "string" && /^[0-9a-f]{40}$/.test(String(from["commit"]));
}

function isNode(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const node = value as Record<string, unknown>;
  return typeof node["name"] === "string" && Number.isSafeInteger(node["member"]) && typeof node["address"] === "string";
}
