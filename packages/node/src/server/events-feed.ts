/**
 * GET /v1/events: the log's entries as NDJSON, one entry a line, from an index. With `follow` the answer stays open;
 * empty lines are heartbeats, and a reader resumes at the index after the last line it has.
 */
import type { ServerResponse } from "node:http";
import { reject, type Rejection } from "@aether/core/kernel/command";
import type { RecordedEntry } from "@aether/core/kernel/event";
import type { EventStore, Watch } from "@aether/store/types";
import { sendProblem } from "./problem.ts";

export interface FeedQuery {
  /** Null: from the first entry held. */
  readonly from: number | null;
  /** Entries at most; null with follow: no end. */
  readonly limit: number | null;
  /** "node/n2" */
  readonly thing: string | null;
  readonly follow: boolean;
}

export const feedLimitDefault = 1_000;
export const feedLimitMax = 100_000;
/** Open feeds that one node keeps at a time. */
export const feedsMax = 256;
const pageEntries = 500;
const heartbeatMs = 5_000;

/** An entry as JSON shows it; `actor` is "role:name". */
export const showEntry = (e: RecordedEntry) => ({ ...e, actor: `${e.actor.role}:${e.actor.name}` });
export const renderEntry = (e: RecordedEntry): string => JSON.stringify(showEntry(e));

/** Reads `?from=&limit=&for=&follow=`; everything else in the query is not ours to judge. */
export function parseFeedQuery(query: URLSearchParams): FeedQuery | Rejection {
  const number = (name: string, min: number, max: number): number | null | Rejection => {
    const text = query.get(name);
    if (text === null || text === "") return null;
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
    return reject("invalid", `?${name}=${text} is not a whole number from ${min} to ${max}`, "");
  };
  const from = number("from", 0, Number.MAX_SAFE_INTEGER);
  if (typeof from === "object" && from !== null) return from;
  const limit = number("limit", 1, feedLimitMax);
  if (typeof limit === "object" && limit !== null) return limit;
  const thing = query.get("for");
  if (thing !== null && !/^[a-z]+\/.{1,256}$/.test(thing)) {
    return reject("invalid", `?for=${thing} names no thing`, 'say noun/id, for example "node/n2" or "setting/cpu_warning"');
  }
  const follow = query.get("follow");
  return { from, limit, thing, follow: follow !== null && follow !== "false" && follow !== "0" };
}

/** Writes what is held now, up to `limit`, and ends. Ends early, without error, when the reader goes away. */
export async function sendEvents(store: EventStore, query: FeedQuery, res: ServerResponse): Promise<void> {
  const limit = query.limit ?? feedLimitDefault;
  const until = store.applied;
  let next = Math.max(1, query.from ?? store.stats().first);
  let sent = 0;
  while (sent < limit && next <= until && !res.destroyed) {
    const at: number = query.thing === null ? next : await nextOf(store, query.thing, next);
    if (at > until) break;
    const page = await store.entries(at, query.thing === null ? Math.min(pageEntries, limit - sent) : 1);
    if ("compacted" in page)
      return res.headersSent ? void res.destroy() : sendProblem(res, compacted(at, page.first), store.applied);
    if (page.entries.length === 0) break;
    startFeed(res, store.applied);
    const lines = page.entries.filter((e) => e.index <= until).map((e) => `${renderEntry(e)}\n`);
    sent += lines.length;
    next = page.next;
    if (!res.write(lines.join(""))) await drained(res);
  }
  startFeed(res, store.applied);
  res.end();
}

async function nextOf(store: EventStore, thing: string, from: number): Promise<number> {
  const slash = thing.indexOf("/");
  const [index] = await store.history(thing.slice(0, slash), thing.slice(slash + 1), from, 1);
  return index ?? Number.MAX_SAFE_INTEGER;
}

/** Keeps the response open and writes entries as they are applied. Returns what ends the feed from this side. */
export function followEvents(store: EventStore, query: FeedQuery, res: ServerResponse): () => void {
  let left = query.limit ?? Number.MAX_SAFE_INTEGER;
  let watch: Watch | null = null;
  const heartbeat = setInterval(() => {
    if (!res.writableNeedDrain) res.write("\n");
  }, heartbeatMs);
  const stop = (): void => {
    clearInterval(heartbeat);
    watch?.cancel();
    if (!res.writableEnded) res.end();
  };
  res.on("close", stop);
  res.on("drain", () => watch?.resume());
  watch = store.watch({
    from: query.from ?? store.applied + 1,
    ...(query.thing === null ? {} : { thing: query.thing }),
    onEntries: (entries, applied) => {
      startFeed(res, applied);
      const taken = entries.slice(0, left);
      left -= taken.length;
      const more = res.write(taken.map((e) => `${renderEntry(e)}\n`).join(""));
      if (left <= 0) queueMicrotask(stop);
      return more && left > 0;
    },
    onEnd: (why, first) => {
      if (why === "compacted" && !res.headersSent) sendProblem(res, compacted(query.from ?? 0, first), store.applied);
      stop();
    },
  });
  if (!res.headersSent && !res.writableEnded) queueMicrotask(() => startFeed(res, store.applied));
  return stop;
}

function startFeed(res: ServerResponse, index: number): void {
  if (res.headersSent || res.destroyed) return;
  res.writeHead(200, { "content-type": "application/x-ndjson", "aether-index": String(index), "cache-control": "no-store" });
  res.flushHeaders();
}

/** What is asked for begins below what is kept. */
export const compacted = (from: number, first: number): Rejection =>
  reject("compacted", `entry ${from} is no longer held; the first one held is ${first}`, `ask from=${first}`);

/** Resolves when the response takes more, or is gone. */
function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      res.off("drain", done).off("close", done);
      resolve();
    };
    res.on("drain", done).on("close", done);
  });
}
