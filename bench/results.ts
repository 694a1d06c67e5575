/** Results on disk: one JSON file per part, so that each can be measured again by itself. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoadResult } from "./load.ts";
import type { Costs } from "./process-costs.ts";

export interface Saved<T> {
  readonly part: string;
  /** ISO time of the end. */
  readonly when: string;
  readonly machine: string;
  readonly commit: string;
  readonly command: string;
  readonly quick: boolean;
  readonly tookSeconds: number;
  readonly data: T;
}

export interface Round extends LoadResult {
  readonly costs: Costs;
}

export interface SideResult {
  readonly name: string;
  readonly points: readonly { readonly inFlight: number; readonly rounds: readonly Round[] }[];
  /** Of each member at the end, MiB. */
  readonly residentMiB: readonly number[];
}

/** Of commits and of reads. The first side is ours; the ratios are its through the last's. */
export interface PointsData {
  readonly rounds: number;
  readonly seconds: number;
  readonly sizeBytes: number;
  readonly sides: readonly SideResult[];
}

export interface FailoverData {
  readonly electionMs: number;
  /** Milliseconds between writes through one member: how exact a time can be. */
  readonly everyMs: number;
  /** Milliseconds from SIGKILL of the leader to the first acknowledged write after it. */
  readonly sides: readonly { readonly name: string; readonly ms: readonly number[] }[];
}

export interface RestartData {
  readonly events: number;
  readonly rows: number;
  readonly sides: readonly {
    readonly name: string;
    /** Milliseconds from the start of the process until its log says that its consensus runs: it could vote. */
    readonly consensusMs: readonly number[];
    /** … until a linearizable read through it was answered. */
    readonly servesMs: readonly number[];
  }[];
}

export interface MemoryData {
  readonly events: number;
  readonly rows: number;
  readonly settleSeconds: number;
  /** MiB per member: right after the load, and after it was left alone for a while. */
  readonly sides: readonly {
    readonly name: string;
    readonly afterLoad: readonly number[];
    readonly settled: readonly number[];
  }[];
}

export interface GrowthPoint {
  readonly entries: number;
  readonly rows: number;
  readonly perSecond: readonly number[];
  readonly p99: readonly number[];
  /** Of all members, per 1,000 commits. */
  readonly cpuMs: readonly number[];
}

/** In the order they were measured; each point has more entries, or more rows, than the one before. */
export interface GrowthData {
  readonly inFlight: number;
  readonly points: readonly GrowthPoint[];
}

/** Latencies in milliseconds, of writes through the members that need no snapshot. */
export interface Window {
  readonly seconds: number;
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface SnapshotData {
  readonly rows: number;
  /** Milliseconds between two writes through one member. */
  readonly everyMs: number;
  /** All members up. */
  readonly healthy: Window;
  /** One member down. */
  readonly down: Window;
  /** From its start until it has caught up, or was given up on. */
  readonly during: Window;
  readonly caughtUp: boolean;
}

export interface ReplayData {
  readonly lines: readonly string[];
  /** Events a second of one core; null when the program's output did not say. */
  readonly perSecond: number | null;
}

/** Milliseconds, one of each round. */
export interface BringBackData {
  readonly rows: number;
  /** A bootstrap from a backup: proving every object of it, restoring it once the empty cluster is there, and all of its steps. */
  readonly aether: { readonly verifyMs: number[]; readonly restoreMs: number[]; readonly totalMs: number[] };
  /** Of three members: `etcdctl snapshot restore`, and from its beginning until all of them serve. Null where there is no etcdctl. */
  readonly etcd: { readonly saveMs: number; readonly restoreMs: number[]; readonly servesMs: number[] } | null;
}

/** Of a store by itself, beside git on the same files; and of a cluster. Times in milliseconds. */
export interface BackupData {
  readonly rows: number;
  /** Rows that change before each incremental backup. */
  readonly changes: number;
  readonly first: {
    /** Without rests, and as the leader makes it, which rests as far as others have work. */
    readonly ms: number[];
    readonly pacedMs: number[];
    readonly cpuMs: number[];
    readonly bytes: number[];
    readonly fastImportMs: number[];
    readonly addCommitMs: number[];
  };
  /** A median for each round. */
  readonly incremental: readonly { readonly rows: number; readonly ms: readonly number[]; readonly cpuMs: readonly number[] }[];
  readonly repository: {
    readonly rows: number;
    readonly backups: number;
    /** Of packs and their indexes. */
    readonly bytes: number;
    readonly gcBytes: number;
    /** How often packs became one meanwhile, and in how many milliseconds. */
    readonly packed: number;
    readonly packedMs: number;
    readonly p50Ms: number;
  };
  readonly commits: { readonly rows: number; readonly everyMs: number; readonly without: Window; readonly during: Window };
}

export interface Guard {
  readonly name: string;
  readonly rule: string;
  readonly measured: string;
  readonly holds: boolean;
}

export interface GuardsData {
  readonly guards: readonly Guard[];
}

/** Until all that was wanted is so, without the preflight before. */
export interface CloudTimes {
  readonly preflightCalls: number;
  readonly preflightMs: number;
  readonly calls: number;
  /** The vendor had accepted the last one. */
  readonly acceptedMs: number;
  readonly runningMs: number;
}

export interface PeerData {
  readonly program: string;
  readonly ms: number;
  readonly calls: number;
}

export interface CloudVendorData {
  readonly name: string;
  readonly pageSize: number;
  readonly together: CloudTimes;
  /** One machine: the slowest chain. */
  readonly alone: CloudTimes;
  readonly inTurn: CloudTimes | null;
  /** The same creates by the vendor's own command, in turn. */
  readonly peer: PeerData | null;
  readonly looks: readonly {
    readonly machines: number;
    readonly calls: number;
    readonly ms: readonly number[];
    /** Resident memory beyond that before the first list. */
    readonly addedMiB: number;
  }[];
}

export interface CloudsData {
  readonly delayMs: number;
  readonly nodes: number;
  readonly bootMs: number;
  readonly vendors: readonly CloudVendorData[];
}

export interface Results {
  readonly commits: PointsData;
  readonly reads: PointsData;
  readonly failover: FailoverData;
  readonly restart: RestartData;
  readonly memory: MemoryData;
  readonly growth: GrowthData;
  readonly snapshot: SnapshotData;
  readonly replay: ReplayData;
  readonly backup: BackupData;
  readonly restore: BringBackData;
  readonly clouds: CloudsData;
  readonly guards: GuardsData;
}
export type PartName = keyof Results;

const fileOf = (folder: string, part: PartName): string => join(folder, `${part}.json`);

export function saveResult<P extends PartName>(folder: string, saved: Saved<Results[P]> & { part: P }): string {
  mkdirSync(folder, { recursive: true });
  const file = fileOf(folder, saved.part);
  writeFileSync(file, `${JSON.stringify(saved, null, 1)}\n`);
  return file;
}

/** Undefined when the part has not been measured. Results are this program's own; their shape is trusted. */
export function loadResult<P extends PartName>(folder: string, part: P): Saved<Results[P]> | undefined {
  const file = fileOf(folder, part);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Saved<Results[P]>) : undefined;
}
