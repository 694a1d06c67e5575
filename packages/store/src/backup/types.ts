/** What writing and reading a backup's repository gives. */
import type { Manifest } from "@aether/core/backup/manifest";
import type { WantedThing } from "@aether/core/backup/thing-files";
import type { Stored } from "@aether/core/kernel/world";
import type { Oid } from "../git/object.ts";

/** A commit that was written. */
export interface BackupMade {
  readonly commit: Oid;
  readonly index: number;
  /** Unix milliseconds, the moment's. */
  readonly at: number;
  readonly tookMs: number;
  /** Of the pack and its index. */
  readonly bytes: number;
  /** Wanted things in it. */
  readonly things: number;
  /** Wanted things that were created, changed or removed since the commit before. */
  readonly changed: number;
  /** See the manifest. */
  readonly wanted: Oid;
}

export interface ListedBackup {
  readonly commit: Oid;
  readonly index: number;
  readonly at: number;
  readonly things: number;
  readonly changed: number;
  readonly cause: string;
  /** The first line. */
  readonly message: string;
}

export interface ThingChange {
  readonly noun: string;
  readonly id: string;
  readonly kind: "created" | "changed" | "removed";
  /** In this registry's version; undefined where there is none. */
  readonly from: unknown;
  readonly to: unknown;
}

/** A row as it was at a commit's moment. */
export interface BackedUpRow {
  readonly noun: string;
  readonly stored: Stored;
}

export interface FileFault {
  /** In the repository's folder for a pack or a branch, in the commit for a file of a thing. */
  readonly path: string;
  readonly what: string;
}

export interface Verified {
  readonly commit: Oid;
  readonly sound: boolean;
  /** Objects whose hashes were recomputed. */
  readonly objects: number;
  /** Files of the commit. */
  readonly files: number;
  /** At most {@link faultsMax} of them. */
  readonly faults: readonly FileFault[];
  readonly faultsTotal: number;
  /** Null when it cannot be read. Its index and chain are for the reader's caller to hold against the audit chain. */
  readonly manifest: Manifest | null;
}

export const faultsMax = 1_000;

export type { Manifest, WantedThing };
