import { afterEach, describe, expect, it } from "vitest";
import type { Answer, Submission } from "../types.ts";
import { filled } from "./testing/box-noun.ts";
import type { Box } from "./testing/box-noun.ts";
import { OneMember, operator } from "./testing/one-member.ts";
import type { MemberOptions } from "./testing/one-member.ts";

let member: OneMember;
const start = async (options: MemberOptions = {}): Promise<OneMember> => {
  member = await OneMember.start(options);
  return member;
};
const leading = async (options: MemberOptions = {}): Promise<OneMember> => {
  await start(options);
  member.lead();
  return member;
};
const fill = (id: string, content: number, more: object = {}) => ({ type: "FillBox", id, content, ...more });
const add = (id: string, amount: number) => ({ type: "AddToBox", id, amount });
const box = (id: string): Box | undefined => member.store.world.get<Box>("box", id)?.row;
const reasonOf = (a: Answer): string => (a.ok ? "ok" : a.rejection.reason);
/** Submits without waiting; the answer appears in the list. */
const later = (command: Parameters<OneMember["ask"]>[0], request: string | null = null): Answer[] => {
  const answers: Answer[] = [];
  const submission: Submission = { command, actor: operator, request: request === null ? null : { client: "olga", id: request } };
  member.store.submit(submission, (a) => answers.push(a));
  return answers;
};

afterEach(() => member.end());

describe("a command on the leader", () => {
  it("is answered with index and version once it is committed and visible", async () => {
    await leading();
    const answer = await member.ask(fill("a", 7));
    expect(answer).toEqual({ ok: true, index: 2, version: 1, changed: true, replayed: false });
    expect(member.store.world.get("box", "a")).toMatchObject({ version: 1, index: 2, row: { content: 7 } });
  });

  it("gives back what the rule answered", async () => {
    await leading();
    await member.ask(fill("a", 7));
    expect(await member.ask(add("a", 5))).toMatchObject({ ok: true, version: 2, answer: { content: 12 } });
  });

  it("is not answered before it is committed", async () => {
    await leading();
    member.auto = false;
    const answers = later(fill("a", 7));
    expect(answers).toEqual([]);
    expect(box("a")).toBeUndefined();
    member.commit();
    expect(answers).toHaveLength(1);
  });

  it("sees what commands in flight before it will make of the world", async () => {
    await leading();
    member.auto = false;
    const first = later(fill("a", 1));
    const others = [1, 2, 3].map((amount) => later(add("a", amount)));
    const moved = later({ type: "MoveAll", id: "a", to: "b" });
    const counted = later({ type: "CountBoxes", id: "c" });
    member.commit();
    expect([first, ...others].map(([a]) => a?.ok && a.version)).toEqual([1, 2, 3, 4]);
    expect(moved).toMatchObject([{ ok: true, version: 0 }]);
    expect(counted).toHaveLength(1);
    expect([box("a"), box("b"), box("c")]).toMatchObject([
      undefined,
      { content: 7 },
      { content: 1, note: expect.stringMatching(/^1 0/) },
    ]);
  });

  it("carries a time that never goes back, whatever the clock does", async () => {
    await leading();
    await member.ask(fill("a", 1));
    const before = member.store.world.get("box", "a")?.at ?? 0;
    member.now -= 500;
    await member.ask(fill("a", 2));
    expect(member.store.world.get("box", "a")?.at).toBe(before);
  });

  it("is refused as overloaded when too many are in flight", async () => {
    await leading({ maxInFlight: 3 });
    member.auto = false;
    const answers = [1, 2, 3, 4].map((n) => later(fill(`b${n}`, n)));
    expect(answers.map((a) => a.length)).toEqual([0, 0, 0, 1]);
    expect(answers[3]).toMatchObject([{ ok: false, rejection: { reason: "overloaded" } }]);
    member.commit();
    expect(answers.map((a) => a.length)).toEqual([1, 1, 1, 1]);
  });

  it("that makes more than 1 MiB is refused before anything is proposed", async () => {
    await leading();
    const last = member.log.last().index;
    expect(reasonOf(await member.ask(fill("a", 1, { note: "x".repeat(1024 * 1024) })))).toBe("too_large");
    expect(member.log.last().index).toBe(last);
  });

  it("of a kind nobody knows is invalid", async () => {
    await leading();
    expect(reasonOf(await member.ask({ type: "BurnBox", id: "a" }))).toBe("invalid");
  });
});

describe("a conditional command", () => {
  it("is refused as stale, naming the version there is", async () => {
    await leading();
    await member.ask(fill("a", 1));
    await member.ask(fill("a", 2));
    const answer = await member.ask(fill("a", 3, { ifVersion: 1 }));
    expect(answer).toMatchObject({
      ok: false,
      rejection: { reason: "stale", message: "box/a is at version 2, not at version 1" },
    });
    expect(reasonOf(await member.ask(fill("a", 3, { ifVersion: 2 })))).toBe("ok");
  });

  it("takes version 0 for a thing that must not exist", async () => {
    await leading();
    expect(reasonOf(await member.ask(fill("a", 1, { ifVersion: 0 })))).toBe("ok");
    expect(reasonOf(await member.ask(fill("a", 2, { ifVersion: 0 })))).toBe("stale");
  });

  it("counts on versions in flight: of two with the same condition one wins", async () => {
    await leading();
    await member.ask(fill("a", 1));
    member.auto = false;
    const one = later(fill("a", 2, { ifVersion: 1 }));
    const two = later(fill("a", 3, { ifVersion: 1 }));
    await Promise.resolve();
    expect(two).toEqual([]);
    member.commit();
    await new Promise(setImmediate);
    expect([...one, ...two].map(reasonOf)).toEqual(["ok", "stale"]);
  });
});

describe("a command that changes nothing", () => {
  it("says so with the version there is, and appends nothing", async () => {
    await leading();
    await member.ask(fill("a", 1));
    expect(await member.ask(fill("a", 1))).toEqual({ ok: true, index: 2, version: 1, changed: false, replayed: false });
    expect(member.log.last().index).toBe(2);
  });

  it("is answered only when what it was decided on has committed", async () => {
    await leading();
    member.auto = false;
    later(fill("a", 1));
    const same = later(fill("a", 1));
    await new Promise(setImmediate);
    expect(same).toEqual([]);
    member.commit();
    expect(same).toEqual([{ ok: true, index: 2, version: 1, changed: false, replayed: false }]);
  });

  it("is not answered by a leader that cannot confirm that it still leads", async () => {
    await leading();
    await member.ask(fill("a", 1));
    member.confirm = () => Promise.reject(new Error("no quorum"));
    expect(reasonOf(await member.ask(fill("a", 1)))).toBe("no_leader");
    expect(reasonOf(await member.ask(fill("a", 9, { ifVersion: 5 })))).toBe("no_leader");
  });

  it("shares its confirmation with all that came meanwhile", async () => {
    await leading();
    await member.ask(fill("a", 1));
    let asked = 0;
    member.confirm = async () => {
      asked++;
      await new Promise(setImmediate);
    };
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => member.ask(fill("a", 1))));
    expect(answers.map(reasonOf)).toEqual(["ok", "ok", "ok", "ok", "ok"]);
    expect(asked).toBe(2);
  });
});

describe("who may ask", () => {
  it("is decided by the command's roles, and every refusal is told to the node", async () => {
    const denied: string[] = [];
    await leading({ onDenied: (s, r) => denied.push(`${s.actor.role} ${s.actor.name}: ${r.reason} ${s.command.type}`) });
    const viewer = { name: "vera", role: "viewer" } as const;
    expect(reasonOf(await member.ask(fill("a", 1), null, viewer))).toBe("forbidden");
    expect(reasonOf(await member.ask({ type: "MoveAll", id: "a", to: "b" }, null, { name: "a1", role: "agent" }))).toBe(
      "forbidden",
    );
    expect(reasonOf(await member.ask(fill("a", 1)))).toBe("ok");
    expect(denied).toEqual(["viewer vera: forbidden FillBox", "agent a1: forbidden MoveAll"]);
  });

  it("an event newer than the cluster's feature level is not written", async () => {
    let level = 1;
    await leading({ featureLevel: () => level });
    expect(reasonOf(await member.ask({ type: "SealBox", id: "a" }))).toBe("feature_level");
    level = 2;
    expect(reasonOf(await member.ask({ type: "SealBox", id: "a" }))).toBe("ok");
  });
});

describe("leadership", () => {
  it("a follower names the leader and decides nothing", async () => {
    await start();
    member.follow(2);
    expect(await member.ask(fill("a", 1))).toMatchObject({
      ok: false,
      leader: 2,
      rejection: { reason: "no_leader", hint: "ask member 2" },
    });
  });

  it("a new leader decides nothing before its own first entry is applied", async () => {
    await start();
    member.lead(false);
    expect(reasonOf(await member.ask(fill("a", 1)))).toBe("not_ready");
    member.commit();
    expect(reasonOf(await member.ask(fill("a", 1)))).toBe("ok");
  });

  it("lost with commands in flight: those that commit are answered, those overwritten are not in doubt", async () => {
    await leading();
    member.auto = false;
    const kept = later(fill("a", 1), "r1");
    member.commit(2);
    const doubtful = later(fill("a", 2), "r2");
    const saved = member.log.last().index;
    member.follow();
    expect([kept.map(reasonOf), doubtful]).toEqual([["ok"], []]);
    member.commit(saved);
    expect(doubtful.map(reasonOf)).toEqual(["ok"]);
  });

  it("lost: an entry overwritten by another leader's had no effect, and its caller learns that", async () => {
    await leading();
    member.auto = false;
    const answers = later(fill("a", 1));
    member.follow();
    member.overwrite(1, false);
    member.commit();
    expect(answers.map(reasonOf)).toEqual(["no_leader"]);
    expect(box("a")).toBeUndefined();
  });

  it("lost: an entry that left the log is ambiguous, with the hint to retry under the same id", async () => {
    await leading();
    member.auto = false;
    const answers = later(fill("a", 1), "r1");
    member.follow();
    member.overwrite(0, true);
    expect(answers).toMatchObject([
      { ok: false, rejection: { reason: "ambiguous", hint: expect.stringContaining("same request id") } },
    ]);
  });

  it("lost without further word: callers wait no longer than two seconds", async () => {
    await leading();
    member.auto = false;
    const answers = later(fill("a", 1));
    const began = performance.now();
    member.follow(0);
    while (answers.length === 0 && performance.now() - began < 5_000) await new Promise((f) => setTimeout(f, 50));
    expect(answers.map(reasonOf)).toEqual(["ambiguous"]);
    expect(performance.now() - began).toBeGreaterThan(1_500);
  });

  it("regained: decisions are not made on rows that never committed", async () => {
    await leading();
    await member.ask(fill("a", 1));
    member.auto = false;
    later(add("a", 100));
    member.follow();
    member.overwrite(1, true);
    member.lead();
    member.auto = true;
    expect(await member.ask(add("a", 1))).toMatchObject({ ok: true, version: 2, answer: { content: 2 } });
  });

  it("lost unnoticed: the entries of a later leader end what was decided here", async () => {
    await leading();
    member.auto = false;
    const own = later(fill("a", 1));
    const same = later(fill("a", 1));
    member.term++;
    member.overwrite(1, false);
    member.commit();
    await new Promise(setImmediate);
    expect([...own, ...same].map(reasonOf)).toEqual(["no_leader", "no_leader"]);
    expect(reasonOf(await member.ask(fill("a", 1)))).toBe("not_ready");
  });
});

describe("the same request again", () => {
  it("gets the first answer and has no second effect", async () => {
    await leading();
    await member.ask(fill("a", 1));
    const first = await member.ask(add("a", 10), "r1");
    const again = await member.ask(add("a", 10), "r1");
    expect(again).toEqual({ ...first, replayed: true });
    expect(box("a")).toMatchObject({ content: 11 });
  });

  it("joins the first while that is in flight", async () => {
    await leading();
    await member.ask(fill("a", 1));
    member.auto = false;
    const answers = [later(add("a", 10), "r1"), later(add("a", 10), "r1")];
    member.commit();
    expect(answers.map(([a]) => a?.ok && [a.version, a.replayed])).toEqual([
      [2, false],
      [2, true],
    ]);
    expect(box("a")).toMatchObject({ content: 11 });
  });

  it("under another leader, after a restart, still gets the first answer", async () => {
    await leading();
    await member.ask(fill("a", 1));
    const first = await member.ask(add("a", 10), "r1");
    await member.restart();
    member.lead();
    expect(await member.ask(add("a", 10), "r1")).toEqual({ ...first, replayed: true });
  });

  it("with another command is refused, in flight and afterwards", async () => {
    await leading();
    member.auto = false;
    const first = later(fill("a", 1), "r1");
    const other = later(fill("a", 2), "r1");
    expect(other.map(reasonOf)).toEqual(["request_reused"]);
    member.commit();
    expect(first.map(reasonOf)).toEqual(["ok"]);
    expect(reasonOf(await member.ask(fill("a", 3), "r1"))).toBe("request_reused");
    expect(reasonOf(await member.ask({ content: 1, id: "a", type: "FillBox" }, "r1"))).toBe("ok");
  });

  it("has an id of bounded length, because every member remembers it", async () => {
    await leading();
    expect(reasonOf(await member.ask(fill("a", 1), "r".repeat(600)))).toBe("invalid");
    expect(member.log.last().index).toBe(1);
  });

  it("is well-formed text, because half of a surrogate pair has no bytes to be found by", async () => {
    await leading();
    expect(reasonOf(await member.ask(fill("a", 1), "r\ud800"))).toBe("invalid");
    expect(await member.ask(fill("a", 1), "r😀")).toMatchObject({ ok: true, replayed: false });
    expect(await member.ask(fill("a", 1), "r😀")).toMatchObject({ ok: true, replayed: true });
  });

  it("of another client is another request", async () => {
    await leading();
    await member.ask(fill("a", 1), "r1");
    expect(await member.ask(fill("b", 2), "r1", { name: "oscar", role: "operator" })).toMatchObject({
      ok: true,
      replayed: false,
    });
  });

  it("is remembered for the client's latest 4,096 requests", async () => {
    await leading({ maxInFlight: 10_000 });
    const all = Array.from({ length: 4_097 }, (_, i) => member.ask(fill("a", i), `r${i}`));
    await Promise.all(all);
    expect(member.store.stats().sessions).toBe(4_096);
    expect(await member.ask(fill("a", 1), "r1")).toMatchObject({ replayed: true, version: 2 });
    expect(await member.ask(fill("a", 0), "r0")).toMatchObject({ replayed: false, version: 4_098 });
  });
});

describe("entries of older builds", () => {
  it("are brought up to date when applied", async () => {
    await leading();
    const { encodeEntry } = await import("./entry-codec.ts");
    const old = { type: "BoxFilled", v: 1, id: "a", n: 5 };
    member.append(0, encodeEntry({ at: member.now++, actor: operator, cause: "FillBox", request: null, events: [old] }));
    member.commit();
    expect(box("a")).toEqual({ content: 5, note: "" });
    expect(await member.store.entries(2, 1)).toMatchObject({ entries: [{ events: [filled("a", 5)] }] });
  });

  it("that no build knows stop the member instead of being skipped", async () => {
    await leading();
    const { encodeEntry } = await import("./entry-codec.ts");
    const unknown = { type: "BoxBurnt", v: 1, id: "a" };
    member.append(0, encodeEntry({ at: member.now, actor: operator, cause: "x", request: null, events: [unknown] }));
    expect(() => member.commit()).toThrow("unknown event type BoxBurnt");
  });
});
