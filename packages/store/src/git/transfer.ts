/** What a push or a clone needs wherever it goes. */
import { randomBytes } from "node:crypto";
import type { Oid } from "./object.ts";
import type { Steps } from "./steps.ts";

export interface Progress {
  readonly phase: "gathering" | "sending" | "receiving" | "indexing";
  /** Bytes, or objects while they are gathered or indexed. */
  readonly done: number;
  /** Null where that is not known before the end. */
  readonly of: number | null;
}

export interface Transfer {
  readonly steps: Steps;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

export interface Sent {
  /** Where the other one's branch is now. */
  readonly pushed: Oid;
  readonly objects: number;
  readonly bytes: number;
}

/** The other one has commits that are not ours. */
export class Diverged extends Error {
  override readonly name = "Diverged";

  constructor(where: string, theirs: Oid) {
    super(`${where} is at ${theirs.slice(0, 12)}, which is no commit of this history: somebody else has written there`);
  }
}

/** A name for files that are being made, in a folder that others may write to as well. */
export const making = (what: string): string => `${what}-${randomBytes(6).toString("hex")}`;
