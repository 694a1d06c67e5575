/** The cluster's HTTP API as the commands use it; contracts.md, "core: API contract", has the routes and shapes. */
import type { StateDigest } from "@aether/store/types";

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
  /** Resolves when the server has ended the answer or onLine had enough. */
  lines(options: LinesOptions): Promise<void>;
  close(): void;
}

/** GET /v1/member. */
export interface MemberAnswer {
  readonly node: string;
  readonly member: number;
  readonly cluster: { readonly id: string; readonly name: string };
  readonly role: string;
  readonly leader: { readonly node: string; readonly member: number; readonly address: string } | null;
  readonly term: number;
  readonly commit: number;
  readonly applied: number;
  readonly first: number;
  readonly last: number;
  readonly digest: StateDigest | null;
  readonly audit: { readonly index: number; readonly chain: string } | null;
  readonly version: string;
  readonly pid: number;
  readonly voters: readonly number[];
  readonly learners: readonly number[];
}

/** A row as the API shows it. */
export interface NodeAnswer {
  readonly name: string;
  readonly member: number;
  /** Null until it has joined. */
  readonly address: string | null;
  readonly duty: string;
  readonly contact: string;
  readonly left: boolean;
  readonly reason: string;
  readonly version: number;
  readonly index: number;
}

export interface SettingAnswer {
  readonly key: string;
  readonly value: unknown;
  readonly version: number;
  readonly index: number;
  readonly at: number;
}

/** One line of /v1/events. */
export interface EntryAnswer {
  readonly index: number;
  readonly term: number;
  readonly kind: string;
  readonly at: number;
  readonly actor: string;
  readonly cause: string;
  readonly events: readonly {
    readonly type: string;
    readonly v: number;
    readonly id: string;
    readonly [field: string]: unknown;
  }[];
}

/** GET /v1/nodes. */
export interface NodesAnswer {
  readonly index: number;
  readonly nodes: readonly NodeAnswer[];
}

/** GET /v1/settings. */
export interface SettingsAnswer {
  readonly index: number;
  readonly settings: readonly SettingAnswer[];
}

/** GET /v1/history/{noun}/{id}. */
export interface HistoryAnswer {
  readonly index: number;
  readonly entries: readonly EntryAnswer[];
}
