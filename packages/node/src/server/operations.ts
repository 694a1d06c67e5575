/**
 * What each route of the API does, in plain TypeScript: parsed input in, body or refusal out. How it is routed, encoded and
 * documented is HttpApi's business (api-handlers.ts).
 */
import { randomUUID } from "node:crypto";
import { theCluster } from "@aether/core/cluster/state";
import { reject, type Command, type Rejection } from "@aether/core/kernel/command";
import type { Identity, RequestId } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import type { Stored } from "@aether/core/kernel/world";
import type { Answer, EventStore } from "@aether/store/types";
import { compacted, showEntry } from "./events-feed.ts";
import type { Gateway } from "./gateway.ts";
import { clientOf } from "./stream-session.ts";

export interface OperationDeps {
  readonly node: string;
  readonly store: EventStore;
  readonly gateway: Gateway;
  readonly registry: Registry;
}

/** A read's wish: "stale" answers from this member's own rows at once. */
export type Consistency = "linearizable" | "stale";

export interface Asked {
  readonly caller: Identity;
  /** Idempotency-Key, if the caller gave one. */
  readonly requestKey: string | null;
  /** If-Match as it came, if it came. */
  readonly ifMatch: string | null;
}

export interface Written {
  readonly index: number;
  readonly version: number;
  readonly changed: boolean;
  readonly replayed: boolean;
  readonly answer?: unknown;
}

const readDeadlineMs = 5_000;
const writeDeadlineMs = 10_000;
const historyLimitDefault = 100;
const historyLimitMax = 1_000;
const auditLimitMax = 1_000;

/** The index a read is answered at. */
export function readPoint(d: OperationDeps, consistency: Consistency): Promise<number | Rejection> {
  return consistency === "stale" ? Promise.resolve(d.store.applied) : d.gateway.barrier(readDeadlineMs);
}

/** Submits a command of any registered type; its own roles apply, in the store. Waits until it is settled, or the deadline. */
export async function submitCommand(d: OperationDeps, asked: Asked, input: Command): Promise<Written | Rejection> {
  const type = d.registry.command(input.type);
  if (type === undefined) {
    const known = d.registry.nouns.flatMap((noun) => noun.commands.map((c) => c.type)).join(", ");
    return reject("invalid", `there is no command ${input.type}`, `known: ${known}`);
  }
  const conditional = asked.ifMatch === null ? input : withVersion(input, asked.ifMatch);
  if ("rejected" in conditional) return conditional as Rejection;
  const command = type.parse(conditional);
  if ("rejected" in command) return command as Rejection;
  const request = requestOf(d, asked);
  if ("rejected" in request) return request;
  return written(await d.gateway.settle({ command, actor: asked.caller, request }, writeDeadlineMs));
}

const written = (a: Answer): Written | Rejection => {
  if (!a.ok) return a.rejection;
  const { index, version, changed, replayed } = a;
  return { index, version, changed, replayed, ...(a.answer === undefined ? {} : { answer: a.answer }) };
};

/** A caller without a key gets one of this node's making, so that carrying the write over a leader change is safe. */
function requestOf(d: OperationDeps, { caller, requestKey }: Asked): RequestId | Rejection {
  if (requestKey === null) return { client: `node:${d.node}`, id: randomUUID() };
  if (requestKey.length >= 1 && requestKey.length <= 128) return { client: clientOf(caller), id: requestKey };
  return reject("invalid", `the Idempotency-Key has ${requestKey.length} characters`, "1 to 128 are possible");
}

/** `If-Match: "7"` or `If-Match: 7`. */
function withVersion(command: Command, ifMatch: string): Command | Rejection {
  const version = /^\s*"?(\d{1,15})"?\s*$/.exec(ifMatch)?.[1];
  if (version !== undefined) return { ...command, ifVersion: Number(version) };
  return reject(
    "invalid",
    `If-Match: ${ifMatch.slice(0, 40)} is not a version`,
    'give the version as it came in ETag, for example "7"',
  );
}

/** A row as answers show it: its fields, and where they come from. */
export function showRow(idField: "name" | "key", stored: Stored): Record<string, unknown> {
  const { id, version, index, at, row } = stored;
  return { [idField]: id, ...(row as object), version, index, at };
}

/** One thing, or `not_found`. */
export async function readOne(
  d: OperationDeps,
  noun: string,
  id: string,
  idField: "name" | "key",
  consistency: Consistency,
): Promise<Record<string, unknown> | Rejection> {
  const at = await readPoint(d, consistency);
  if (typeof at !== "number") return at;
  const stored = d.store.world.get(noun, id);
  return stored === undefined
    ? reject("not_found", `there is no ${noun} ${id}`, `GET /v1/${noun}s shows what there is (aether ${listOf(noun)} list)`)
    : showRow(idField, stored);
}

/** All things of a noun, by id, with the index they were read at. */
export async function readAll(
  d: OperationDeps,
  noun: string,
  idField: "name" | "key",
  consistency: Consistency,
): Promise<{ readonly index: number; readonly rows: readonly Record<string, unknown>[] } | Rejection> {
  const at = await readPoint(d, consistency);
  if (typeof at !== "number") return at;
  const all = [...d.store.world.all(noun)].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return { index: d.store.applied, rows: all.map((stored) => showRow(idField, stored)) };
}

/** The cluster's row and the membership in force, as the member that answers has applied them. */
export async function readCluster(d: OperationDeps, consistency: Consistency): Promise<Record<string, unknown> | Rejection> {
  const at = await readPoint(d, consistency);
  if (typeof at !== "number") return at;
  const stored = theCluster(d.store.world);
  if (stored === undefined) return reject("not_found", "there is no cluster here yet", "aether cluster bootstrap initialises it");
  const { voters, outgoing, learners } = d.store.membership;
  return { ...stored.row, membership: { voters, outgoing, learners }, index: d.store.applied };
}

/** The entries about one thing, oldest first, from an index on. */
export async function readHistory(d: OperationDeps, noun: string, id: string, from: number, limit: number | undefined) {
  if (d.registry.noun(noun) === undefined) {
    return reject("not_found", `there is no noun ${noun}`, `known: ${d.registry.nouns.map((n) => n.name).join(", ")}`);
  }
  const at = await readPoint(d, "linearizable");
  if (typeof at !== "number") return at;
  const wanted = Math.min(historyLimitMax, limit ?? historyLimitDefault);
  const indexes = await d.store.history(noun, id, Math.max(1, from), wanted);
  const pages = await Promise.all(indexes.map((index) => d.store.entries(index, 1)));
  const entries = pages.flatMap((page) => ("compacted" in page ? [] : page.entries.map(showEntry)));
  return { index: d.store.applied, first: d.store.stats().historyFirst, entries };
}

/** Raw entries and the chain digests around them, data in base64, so that a reader can prove the range alone. */
export async function readAudit(d: OperationDeps, from: number, limit: number | undefined) {
  const range = await d.store.auditRange(Math.max(1, from), Math.min(auditLimitMax, limit ?? auditLimitMax));
  if ("compacted" in range) return compacted(from, range.first);
  const entries = range.entries.map((e) => ({ ...e, data: Buffer.from(e.data).toString("base64") }));
  return { index: d.store.applied, ...range, entries };
}

/** The command of `aether` that lists a noun. */
const listOf = (noun: string): string => (noun === "setting" ? "settings" : noun);
