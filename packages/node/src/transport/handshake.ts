/**
 * The first message on every connection between members, both ways: who I am, whom I mean, and which life of mine this
 * is. A member that hears something it does not like closes with a code that says what.
 */
import type { NodeId } from "@aether/raft/types";

/** Three connections per peer and direction, so that a large append never stands before a heartbeat, nor a snapshot before either. */
export const channels = ["append", "control", "snapshot"] as const;
export type Channel = (typeof channels)[number];

/** `incarnation` grows with every start of a member's process (a safe integer, e.g. Unix milliseconds at start). */
export interface Hello {
  readonly cluster: string;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly incarnation: number;
  readonly build: string;
  readonly features: readonly string[];
}

/** Websocket close codes of our own (4000–4999 are free for applications, RFC 6455 7.4.2). */
export const closeCodes = {
  badHello: 4000,
  wrongCluster: 4001,
  notMe: 4002,
  olderIncarnation: 4003,
  removed: 4004,
  impostor: 4005,
  junk: 4006,
  replaced: 4007,
  tooMany: 4008,
} as const;
export type CloseReason = keyof typeof closeCodes;

const reasonOfCode: ReadonlyMap<number, CloseReason> = new Map(
  Object.entries(closeCodes).map(([why, code]) => [code, why as CloseReason]),
);
export const closeReason = (code: number): CloseReason | null => reasonOfCode.get(code) ?? null;

const helloVersion = 2;
const helloBytesMax = 4096;
const featuresMax = 64;
const textMax = 128;
const nodeIdMax = 0xffff_ffff;

export const encodeHello = (h: Hello): string => JSON.stringify({ v: helloVersion, ...h });

/** Null when it is no greeting of this version. Never throws. */
export function parseHello(data: Buffer): Hello | null {
  if (data.length > helloBytesMax) return null;
  let raw: unknown;
  try {
    raw = JSON.parse(data.toString("utf8"));
  } catch {
    return null;
  }
  if (typeof raw !== "object" || raw === null) return null;
  const { v, cluster, from, to, incarnation, build, features } = raw as Record<string, unknown>;
  if (v !== helloVersion || !isNodeId(from) || !isNodeId(to) || !isShortText(cluster) || !isShortText(build)) return null;
  if (!Number.isSafeInteger(incarnation) || (incarnation as number) < 0) return null;
  if (!Array.isArray(features) || features.length > featuresMax || !features.every(isShortText)) return null;
  return { cluster, from, to, incarnation: incarnation as number, build, features };
}

const isNodeId = (x: unknown): x is NodeId => Number.isInteger(x) && (x as number) >= 1 && (x as number) <= nodeIdMax;
const isShortText = (x: unknown): x is string => typeof x === "string" && x.length <= textMax;

/** What this node knows of a member id that claims to be `name` (the certificate's). Unknown ids are welcome: they may be newer than we are. */
export type Standing = "welcome" | "removed" | "impostor";

export interface HelloJudge {
  readonly cluster: string;
  readonly self: NodeId;
  readonly standing: (id: NodeId, name: string) => Standing;
  readonly incarnations: Incarnations;
}

/** Null when the greeting is fine. `expected` is the id that was dialled, null for whoever dialled us. */
export function judgeHello(j: HelloJudge, hello: Hello, name: string, expected: NodeId | null): CloseReason | null {
  if (hello.cluster !== j.cluster) return "wrongCluster";
  if (hello.to !== j.self) return "notMe";
  if (hello.from === j.self || (expected !== null && hello.from !== expected)) return expected === null ? "impostor" : "notMe";
  const standing = j.standing(hello.from, name);
  if (standing !== "welcome") return standing;
  return j.incarnations.admit(hello.from, hello.incarnation) ? null : "olderIncarnation";
}

/**
 * Which life of each member is believed. Of two processes under one id the one that started later stays, for as long as
 * it is heard; once it has been silent for long, an earlier number is believed too, because it may come from a restart
 * whose clock went back.
 */
export class Incarnations {
  readonly #current = new Map<NodeId, number>();
  readonly #o: IncarnationsOptions;

  constructor(o: IncarnationsOptions) {
    this.#o = o;
  }

  /** False for a life that has been outlived. */
  admit(id: NodeId, incarnation: number): boolean {
    const current = this.#current.get(id);
    if (incarnation === current) return true;
    const silentMs = this.#o.silentMs(id) ?? Number.POSITIVE_INFINITY;
    if (current !== undefined && incarnation < current && silentMs < this.#o.forgetMs) return false;
    this.#current.set(id, incarnation);
    if (current !== undefined) this.#o.onOutlived(id, incarnation);
    return true;
  }
}

export interface IncarnationsOptions {
  /** Milliseconds since the member was heard, null if never. */
  readonly silentMs: (id: NodeId) => number | null;
  readonly forgetMs: number;
  /** Another life than before is believed from now on. */
  readonly onOutlived: (id: NodeId, current: number) => void;
}
