import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { RecordedEntry } from "@aether/core/kernel/event";
import type { EventStore, WatchOptions } from "@aether/store/types";
import { followEvents, parseFeedQuery, sendEvents, type FeedQuery } from "./events-feed.ts";

const entry = (index: number, id = "a"): RecordedEntry => ({
  index,
  term: 1,
  kind: "events",
  at: 1_000 + index,
  actor: { name: "ops", role: "operator" },
  cause: "SetSetting",
  events: [{ type: "SettingChanged", v: 1, id, value: index }],
});

/** A store that holds entries first..last; those about thing "setting/b" are the multiples of ten. */
const storeOf = (first: number, last: number) => {
  const watches: WatchOptions[] = [];
  const store = {
    applied: last,
    stats: () => ({ first }),
    entries: (from: number, limit: number) => {
      if (from < first) return Promise.resolve({ compacted: true, first });
      const to = Math.min(last, from + limit - 1);
      const entries = Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => entry(from + i));
      return Promise.resolve({ entries, next: to + 1, first, applied: last });
    },
    history: (_noun: string, _id: string, from: number) => Promise.resolve([Math.ceil(from / 10) * 10].filter((i) => i <= last)),
    watch: (o: WatchOptions) => {
      watches.push(o);
      return { resume: () => undefined, cancel: () => undefined };
    },
  };
  return { store: store as unknown as EventStore, watches };
};
const query = (over: Partial<FeedQuery> = {}): FeedQuery => ({ from: null, limit: null, thing: null, follow: false, ...over });

const indexes = (text: string): number[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { index: number }).index);

describe("the events feed", () => {
  let server: Server | null = null;
  afterEach(() => void server?.close());
  const serve = async (handler: Parameters<typeof createServer>[1]): Promise<string> => {
    server = createServer(handler as never);
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  };
  it("sends whole entries in order, as many as wanted, and can be asked to go on", async () => {
    const { store } = storeOf(1, 1_234);
    const url = await serve((_req, res) => void sendEvents(store, query({ from: 2, limit: 700 }), res));
    const answer = await fetch(url);
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    expect(answer.headers.get("aether-index")).toBe("1234");
    const text = await answer.text();
    expect(indexes(text)).toEqual(Array.from({ length: 700 }, (_, i) => i + 2));
    expect(JSON.parse(text.split("\n")[0] ?? "")).toMatchObject({ index: 2, actor: "operator:ops", kind: "events" });
  });

  it("finds the entries about one thing without reading the others", async () => {
    const { store } = storeOf(1, 55);
    const url = await serve((_req, res) => void sendEvents(store, query({ thing: "setting/b" }), res));
    expect(indexes(await (await fetch(url)).text())).toEqual([10, 20, 30, 40, 50]);
  });

  it("says from where it can go on when the beginning is gone", async () => {
    const { store } = storeOf(500, 600);
    const url = await serve((_req, res) => void sendEvents(store, query({ from: 3 }), res));
    const answer = await fetch(url);
    expect(answer.status).toBe(410);
    expect(await answer.json()).toMatchObject({ reason: "compacted", hint: "ask from=500", index: 600 });
  });

  it("follows: new entries as they come, and an end after the limit", async () => {
    const { store, watches } = storeOf(1, 7);
    const url = await serve((_req, res) => void followEvents(store, query({ follow: true, limit: 3 }), res));
    const answer = await fetch(url);
    expect(watches[0]?.from).toBe(8);
    watches[0]?.onEntries([entry(8)], 8);
    watches[0]?.onEntries([entry(9), entry(10), entry(11)], 11);
    expect(indexes(await answer.text())).toEqual([8, 9, 10]);
  });

  it("names what is wrong with a query", () => {
    expect(parseFeedQuery(new URLSearchParams("from=5&limit=2&for=node/n2&follow"))).toEqual({
      from: 5,
      limit: 2,
      thing: "node/n2",
      follow: true,
    });
    for (const bad of ["from=-1", "from=x", "limit=0", "limit=1e9", "for=node", "for=/x"]) {
      expect(parseFeedQuery(new URLSearchParams(bad))).toMatchObject({ reason: "invalid" });
    }
    expect(parseFeedQuery(new URLSearchParams("follow=false"))).toMatchObject({ follow: false });
  });
});
