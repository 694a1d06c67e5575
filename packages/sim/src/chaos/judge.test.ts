/** One sound run of a handful of operations, and each way in which it could have been wrong. */
import { describe, expect, it } from "vitest";
import type { Evidence, LogEntry, RecordedOperation } from "./evidence.ts";
import { judge } from "./judge.ts";

const changed = (id: string, value: number) => ({ type: "SettingChanged", v: 1, id, value, description: "" });
const elected = (term: number, member: number) => ({ type: "LeaderElected", v: 1, id: "test", node: `n${member}`, member, term });
const client = "c1";
const asked = { client, key: "a", index: null, refused: null };

const write = (id: string, value: number, at: readonly [number, number], index: number, version: number): RecordedOperation => ({
  ...asked,
  request: `operator:c1/${id}`,
  call: { op: "write", value },
  result: { told: "done", version },
  calledAt: at[0],
  answeredAt: at[1],
  index,
});
const read = (at: readonly [number, number], version: number, value: number): RecordedOperation => ({
  ...asked,
  request: null,
  call: { op: "read" },
  result: { told: "saw", state: { version, value } },
  calledAt: at[0],
  answeredAt: at[1],
});
const refused: RecordedOperation = {
  ...write("late", 9, [30, 31], 0, 0),
  result: { told: "unknown" },
  answeredAt: Infinity,
  index: null,
  refused: "deadline",
};
const open = (id: string, value: number, calledAt: number): RecordedOperation => ({
  ...write(id, value, [calledAt, Infinity], 0, 0),
  result: { told: "unknown" },
  index: null,
});

const log: readonly LogEntry[] = [
  { index: 1, term: 1, request: null, events: [] },
  { index: 2, term: 2, request: null, events: [elected(2, 1)] },
  { index: 3, term: 2, request: "operator:c1/r1", events: [changed("a", 1)] },
  { index: 4, term: 3, request: null, events: [elected(3, 2)] },
  { index: 5, term: 3, request: "operator:c1/r2", events: [changed("a", 2)] },
  { index: 6, term: 3, request: "operator:c1/r3", events: [changed("a", 3)] },
];
const seen = log.map(({ index, term, events }) => ({ index, term, events, at: 40 + index }));
const end = { index: 6, digest: "d", chain: "c", disproved: null };
const sound: Evidence = {
  operations: [
    write("r1", 1, [10, 20], 3, 1),
    read([21, 22], 1, 1),
    refused,
    write("r2", 2, [40, 46], 5, 2),
    // Nobody heard of it; the log has it, and the watcher saw it at 46.
    open("r3", 3, 41),
    read([50, 51], 3, 3),
    // Nobody heard of it; it never was.
    open("r4", 4, 52),
  ],
  log,
  readAt: 100,
  watched: [{ name: "w1", seen, refusals: [] }],
  members: [
    { node: "n1", ...end },
    { node: "n2", ...end },
  ],
  incidents: [],
};
const rulesOf = (e: Evidence): readonly string[] => [...new Set(judge(e).map(({ rule }) => rule))];
const withOperation = (at: number, operation: RecordedOperation): Evidence => ({
  ...sound,
  operations: sound.operations.toSpliced(at, 1, operation),
});
const withEntry = (entry: LogEntry): Evidence => ({ ...sound, log: log.toSpliced(entry.index - 1, 1, entry) });
const watching = (entries: typeof seen, refusals: readonly string[] = []): Evidence => ({
  ...sound,
  watched: [{ name: "w1", seen: entries, refusals }],
});

describe("the judge of a chaos run", () => {
  it("finds nothing wrong where nothing is", () => {
    expect(judge(sound)).toEqual([]);
  });

  it.each<[string, string, Evidence]>([
    [
      "a client that lies about the entry of its write",
      "what is acknowledged is in the log",
      withOperation(0, write("r1", 1, [10, 20], 5, 1)),
    ],
    [
      "an acknowledged write that is nowhere",
      "what is acknowledged is in the log",
      withOperation(0, write("r7", 1, [10, 20], 3, 1)),
    ],
    [
      "an acknowledged write with another value in the log",
      "what is acknowledged is in the log",
      withOperation(0, write("r1", 8, [10, 20], 3, 1)),
    ],
    [
      "a refused write that took effect",
      "what is refused has no effect",
      withOperation(2, { ...refused, request: "operator:c1/r3" }),
    ],
    ["a request that took effect twice", "one effect per request", withEntry({ ...log[5]!, request: "operator:c1/r1" })],
    ["a read of what was overwritten before", "linearizability", withOperation(5, read([50, 51], 2, 2))],
    ["a read of what never was", "linearizability", withOperation(5, read([50, 51], 4, 4))],
    ["a client that lies about a version", "linearizability", withOperation(3, write("r2", 2, [40, 46], 5, 7))],
    ["an open write that is read before it was asked", "linearizability", withOperation(1, read([21, 22], 2, 3))],
    ["an open write that is missing after a watcher saw it", "linearizability", withOperation(5, read([60, 61], 2, 2))],
    ["two leaders in one term", "one leader per term", withEntry({ ...log[3]!, events: [elected(2, 2)] })],
    ["a term that falls", "terms never fall", withEntry({ ...log[4]!, term: 1 })],
    ["a hole in the log", "the log is whole", { ...sound, log: log.toSpliced(3, 1) }],
    ["an empty log", "the log is whole", { ...sound, log: [] }],
    ["another digest at a member", "all agree", { ...sound, members: [sound.members[0]!, { node: "n2", ...end, digest: "x" }] }],
    ["another chain at a member", "all agree", { ...sound, members: [sound.members[0]!, { node: "n2", ...end, chain: "x" }] }],
    ["a member that stands elsewhere", "all agree", { ...sound, members: [{ node: "n1", ...end, index: 5 }] }],
    ["an audit that fails", "audit verifies", { ...sound, members: [{ node: "n1", ...end, disproved: "entry 3: altered" }] }],
    ["a watcher that misses an entry", "watch", watching(seen.toSpliced(2, 1))],
    ["a watcher that sees one twice", "watch", watching(seen.toSpliced(2, 0, seen[2]!))],
    ["a watcher that sees half an entry", "watch", watching(seen.toSpliced(2, 1, { ...seen[2]!, events: [] }))],
    ["a watcher that sees what was overwritten", "watch", watching(seen.toSpliced(2, 1, { ...seen[2]!, term: 1 }))],
    ["a watcher that never comes to the end", "watch", watching(seen.slice(0, 5))],
    ["a watcher that is told of compaction where there was none", "watch", watching(seen, ["compacted: gone"])],
    ["a process that ended by itself", "no incident", { ...sound, incidents: ["n1 ended by itself with code 70"] }],
  ])("finds %s", (_what, rule, evidence) => {
    expect(rulesOf(evidence)).toContain(rule);
  });

  it("tells a few of many", () => {
    const incidents = Array.from({ length: 50 }, (_, n) => `incident ${n}`);
    const found = judge({ ...sound, incidents });
    expect(found).toHaveLength(6);
    expect(found.at(-1)?.detail).toBe("and 45 more");
  });
});
