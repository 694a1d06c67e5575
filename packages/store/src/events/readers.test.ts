import { encodeConfigChange } from "@aether/raft/config-change";
import { Kind } from "@aether/raft/types";
import { afterEach, describe, expect, it } from "vitest";
import type { AuditRange, Compacted, EntriesPage } from "../types.ts";
import { chainGenesis, chainNext } from "./audit-chain.ts";
import { OneMember } from "./testing/one-member.ts";
import type { MemberOptions } from "./testing/one-member.ts";

let member: OneMember;
const leading = async (options: MemberOptions = {}): Promise<OneMember> => {
  member = await OneMember.start(options);
  member.lead();
  return member;
};
const page = (p: EntriesPage | Compacted): EntriesPage => p as EntriesPage;
const indexes = (entries: readonly { index: number }[]): number[] => entries.map(({ index }) => index);
const turns = async (n = 20): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
};
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const prove = (r: AuditRange): string => {
  let digest: Uint8Array = Buffer.from(r.before, "hex");
  for (const { index, term, kind, data } of r.entries) digest = chainNext(digest, index, term, kind, data);
  return Buffer.from(digest).toString("hex");
};
const ranged = async (from: number, limit: number): Promise<AuditRange> =>
  (await member.store.auditRange(from, limit)) as AuditRange;

afterEach(() => member.end());

describe("entries", () => {
  it("tell who did what when, with the entries of consensus between them", async () => {
    await leading();
    await member.ask({ type: "FillBox", id: "a", content: 1 }, "r1");
    const changes = [
      { op: "addLearner", id: 4 },
      { op: "remove", id: 2 },
    ] as const;
    member.append(Kind.config, encodeConfigChange({ transition: "auto", leave: false, changes, context: new Uint8Array() }));
    member.lead();
    const { entries } = page(await member.store.entries(1, 10));
    expect(entries).toEqual([
      { index: 1, term: 1, kind: "noop", at: 0, actor: { name: "raft", role: "member" }, cause: "LeaderStarted", events: [] },
      {
        index: 2,
        term: 1,
        kind: "events",
        at: 1_000,
        actor: { name: "olga", role: "operator" },
        cause: "FillBox",
        events: [{ type: "BoxFilled", v: 2, id: "a", content: 1, note: "" }],
      },
      {
        index: 3,
        term: 1,
        kind: "config",
        at: 1_000,
        actor: { name: "raft", role: "member" },
        cause: "MembershipChanged: learner 4 added, member 2 removed",
        events: [],
      },
      { index: 4, term: 2, kind: "noop", at: 1_000, actor: { name: "raft", role: "member" }, cause: "LeaderStarted", events: [] },
    ]);
    expect(page(await member.store.entries(4, 1)).entries).toEqual(entries.slice(3));
  });

  it("come in pages that end at what is applied", async () => {
    await leading();
    member.fill(2_500);
    member.commit(2_400);
    const first = page(await member.store.entries(1, 5_000));
    expect([first.entries.length, first.next, first.applied]).toEqual([1_000, 1_001, 2_400]);
    const last = page(await member.store.entries(2_001, 5_000));
    expect([last.entries.length, last.next]).toEqual([400, 2_401]);
    expect(page(await member.store.entries(2_401, 10)).entries).toEqual([]);
  });

  it("of any size fit a page of a few megabytes", async () => {
    await leading();
    for (let i = 0; i < 12; i++) await member.ask({ type: "FillBox", id: "a", content: i, note: "x".repeat(900_000) });
    const { entries, next } = page(await member.store.entries(1, 1_000));
    expect(entries.length).toBeGreaterThan(3);
    expect(entries.length).toBeLessThan(18);
    expect(indexes(entries)).toEqual(range(1, next - 1));
    expect(await member.store.entries(next, 1)).toMatchObject({ next: Math.min(next + 1, 14) });
  });

  it("that were compacted are answered with the first index still held", async () => {
    await leading();
    member.fill(100);
    member.commit();
    await member.compact(60);
    expect(await member.store.entries(60, 10)).toEqual({ compacted: true, first: 61 });
    expect(indexes(page(await member.store.entries(61, 2)).entries)).toEqual([61, 62]);
  });
});

describe("history of a thing", () => {
  it("names every entry about it once, whether flushed or not", async () => {
    await leading({ flushMs: 60_000 });
    const expected: number[] = [];
    for (let round = 0; round < 5; round++) {
      member.fill(30, 7);
      member.commit();
      if (round % 2 === 0) await member.store.flush();
    }
    for (const { index, events } of page(await member.store.entries(1, 1_000)).entries) {
      if (events.some(({ id }) => id === "b3")) expected.push(index);
    }
    expect(expected.length).toBeGreaterThan(20);
    expect(await member.store.history("box", "b3", 1, 1_000)).toEqual(expected);
    expect(await member.store.history("box", "b3", 50, 4)).toEqual(expected.filter((i) => i >= 50).slice(0, 4));
    expect(await member.store.history("box", "b", 1, 10)).toEqual([]);
    await member.restart();
    expect(await member.store.history("box", "b3", 1, 1_000)).toEqual(expected);
  });

  it("counts an entry once that has several events about it, and for each thing it is about", async () => {
    await leading();
    await member.ask({ type: "FillBox", id: "a", content: 1 });
    await member.ask({ type: "MoveAll", id: "a", to: "a" });
    await member.ask({ type: "MoveAll", id: "a", to: "b" });
    expect(await member.store.history("box", "a", 1, 10)).toEqual([2, 3, 4]);
    expect(await member.store.history("box", "b", 1, 10)).toEqual([4]);
  });

  it("is not lost to a reader while a flush is under way", async () => {
    await leading({ flushMs: 60_000 });
    member.fill(200, 2);
    member.commit();
    const flushing = member.store.flush();
    const during: (readonly number[])[] = [];
    for (let i = 0; i < 10; i++) {
      during.push(await member.store.history("box", "b1", 1, 1_000));
      await turns(1);
    }
    await flushing;
    const after = await member.store.history("box", "b1", 1, 1_000);
    expect(after).toHaveLength(100);
    for (const seen of during) expect(seen).toEqual(after);
  });
});

describe("the audit chain", () => {
  it("lets a reader prove any range alone, no-ops and membership changes included", async () => {
    await leading({ flushMs: 60_000 });
    for (let round = 0; round < 4; round++) {
      member.fill(30);
      member.append(Kind.config, new Uint8Array([round]));
      member.lead();
      if (round !== 2) await member.store.flush();
    }
    const whole = await ranged(1, 1_000);
    expect(whole.before).toBe(Buffer.from(chainGenesis).toString("hex"));
    expect(whole.entries).toHaveLength(129);
    expect(prove(whole)).toBe(whole.after);
    expect(member.store.auditHead()).toEqual({ index: 129, chain: whole.after });
    for (const [from, limit] of [
      [2, 1],
      [30, 50],
      [97, 7],
      [128, 2],
    ] as const) {
      const part = await ranged(from, limit);
      expect([part.from, part.to, prove(part)]).toEqual([from, from + limit - 1, part.after]);
    }
    await member.restart();
    expect(await ranged(1, 1_000)).toEqual(whole);
  });

  it("shows an entry that was altered after it was applied", async () => {
    await leading();
    member.fill(20);
    member.commit();
    const entry = member.log.entries[9];
    const data = Buffer.from(entry?.data ?? []);
    data[data.length - 3] = (data[data.length - 3] ?? 0) ^ 1;
    member.log.entries[9] = { ...entry!, data };
    const altered = await ranged(5, 10);
    expect(prove(altered)).not.toBe(altered.after);
    const beside = await ranged(12, 5);
    expect(prove(beside)).toBe(beside.after);
  });

  it("binds the place, the term and the kind of an entry as well as its bytes", () => {
    const data = new Uint8Array([1, 2, 3]);
    const digests = [
      chainNext(chainGenesis, 1, 1, 0, data),
      chainNext(chainGenesis, 2, 1, 0, data),
      chainNext(chainGenesis, 1 + 2 ** 32, 1, 0, data),
      chainNext(chainGenesis, 1, 2, 0, data),
      chainNext(chainGenesis, 1, 1, 2, data),
      chainNext(chainGenesis, 1, 1, 0, data.subarray(1)),
      chainNext(chainNext(chainGenesis, 1, 1, 0, data), 1, 1, 0, data),
    ].map((d) => Buffer.from(d).toString("hex"));
    expect(new Set(digests).size).toBe(digests.length);
  });

  it("hashes large entries as it does small ones", () => {
    // by Python's hashlib over 32 zero bytes, u64 7, u64 3, u8 0 and 20,000 times 'a'
    const digest = chainNext(chainGenesis, 7, 3, 0, new Uint8Array(20_000).fill(97));
    expect(Buffer.from(digest).toString("hex")).toBe("1c8d39ff003c3d36e91b1768574ab9e48ea2df212c748a0ddafed964c2bd7e38");
    const small = chainNext(chainGenesis, 7, 3, 0, new Uint8Array(3).fill(97));
    expect(Buffer.from(small).toString("hex")).toBe("ed469201064a075f43c69c6e6b40b23c26c5280cffca8c190d6c589131024f81");
  });

  it("that begins below what is held says where it could begin", async () => {
    await leading();
    member.fill(50);
    member.commit();
    await member.store.flush();
    await member.compact(30);
    expect(await member.store.auditRange(30, 10)).toEqual({ compacted: true, first: 31 });
    const held = await ranged(31, 5);
    expect(prove(held)).toBe(held.after);
  });
});

describe("checkpoints", () => {
  it("remember the digest of the very entry, 64 of them, whatever batch it was applied in", async () => {
    await leading({ isCheckpoint: (e) => e.type === "BoxesChecked" });
    const member1 = { name: "n1", role: "member" } as const;
    const digests: unknown[] = [];
    for (let i = 0; i < 70; i++) {
      await member.ask({ type: "FillBox", id: "a", content: i });
      await member.ask({ type: "CheckBoxes", id: "c" }, null, member1);
      digests.push(member.store.stateDigest());
    }
    expect(member.store.checkpoints).toEqual(digests.slice(-64));
    const other = await OneMember.start({ isCheckpoint: (e) => e.type === "BoxesChecked" });
    other.log.entries = [...member.log.entries];
    other.commit();
    expect(other.store.checkpoints).toEqual(member.store.checkpoints);
    await other.end();
  });
});
