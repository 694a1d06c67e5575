import { describe, expect, it } from "vitest";
import { Lone, membershipOf, unlimited } from "../cases/lone.ts";
import { encodeConfigChange } from "../config-change.ts";
import { type ConfigChange, type Entry, Kind } from "../types.ts";
import { collect } from "./ready.ts";

const nothing = { index: 0, term: 0 };
const byte = Uint8Array.of(1);

/** Member 1 leads term 1; its no-op is committed with member 2. */
function leading(limits = unlimited): Lone {
  const lone = new Lone({ options: { limits } });
  lone.step({ k: "campaign" });
  lone.settle();
  lone.receive(2, { t: "voteResp", granted: true, commit: nothing });
  lone.settle();
  lone.receive(2, { t: "appResp", index: 1, reject: null });
  lone.settle();
  return lone;
}

function change(changes: ConfigChange["changes"]): ConfigChange {
  return { changes, transition: "auto", leave: false, context: new Uint8Array(0) };
}

describe("a proposal", () => {
  it("is told as dropped when a new leader overwrites it, and only the part that is overwritten", () => {
    const lone = leading();
    lone.step({ k: "propose", data: [byte, byte, byte] });
    lone.settle();
    const kept: Entry = { index: 3, term: 2, kind: Kind.noop, data: new Uint8Array(0) };
    lone.receive(3, { t: "app", prev: { index: 2, term: 1 }, entries: [kept], commit: 0 }, 2);
    expect(collect(lone.r).dropped).toEqual([{ first: 3, last: 4, term: 1 }]);
    lone.receive(3, { t: "app", prev: { index: 1, term: 1 }, entries: [{ ...kept, index: 2 }], commit: 0 }, 2);
    expect(collect(lone.r).dropped).toEqual([{ first: 2, last: 2, term: 1 }]);
  });

  it("is told as dropped when a snapshot takes its place: what became of it cannot be seen here", () => {
    const lone = leading();
    lone.step({ k: "propose", data: [byte] });
    lone.settle();
    const meta = { id: { index: 9, term: 2 }, membership: membershipOf([1, 2, 3]), digest: "d", bytes: 1 };
    lone.receive(3, { t: "snapOffer", meta }, 2);
    expect(collect(lone.r).dropped).toEqual([{ first: 2, last: 2, term: 1 }]);
  });

  it("is not told as dropped when the next leader keeps it", () => {
    const lone = leading();
    lone.step({ k: "propose", data: [byte] });
    lone.settle();
    lone.receive(3, { t: "app", prev: { index: 2, term: 1 }, entries: [], commit: 2 }, 2);
    const ready = collect(lone.r);
    expect(ready.dropped).toEqual([]);
    expect(ready.apply.map((e) => e.index)).toEqual([2]);
  });

  it("counts against the quota until it is applied", () => {
    const lone = leading({ ...unlimited, maxUncommittedBytes: 2 });
    expect(lone.step({ k: "propose", data: [byte, byte, byte] })).toMatchObject({ ok: true });
    expect(lone.step({ k: "propose", data: [byte] })).toEqual({ ok: false, why: "uncommittedQuota", leader: 1 });
    lone.settle();
    lone.receive(2, { t: "appResp", index: 4, reject: null });
    lone.settle();
    lone.step({ k: "applied", index: 4, bytes: 3 });
    expect(lone.step({ k: "propose", data: [byte] })).toMatchObject({ ok: true, first: 5 });
  });

  it("of nothing is invalid, and takes no index", () => {
    expect(leading().step({ k: "propose", data: [] })).toEqual({ ok: false, why: "invalid", leader: 1 });
  });
});

describe("a membership change", () => {
  it("that no longer applies when it is reached changes nothing", () => {
    const lone = new Lone({ terms: [1, 1], term: 1, commit: 2 });
    lone.settle();
    const before = lone.r.membership();
    lone.step({ k: "configApplied", index: 1, change: change([1, 2, 3].map((id) => ({ op: "remove", id }) as const)) });
    expect(lone.r.membership()).toBe(before);
    lone.step({ k: "configApplied", index: 2, change: change([{ op: "remove", id: 3 }]) });
    expect(lone.r.membership().voters).toEqual([1, 2]);
  });

  it("that a snapshot contains already is not applied to what the snapshot brought", () => {
    const lone = new Lone({ terms: [1, 1], term: 1, commit: 2 });
    lone.settle();
    const meta = { id: { index: 9, term: 1 }, membership: membershipOf([1, 2, 3, 4]), digest: "d", bytes: 1 };
    lone.receive(2, { t: "snapOffer", meta }, 1);
    lone.step({ k: "configApplied", index: 2, change: change([{ op: "remove", id: 3 }]) });
    expect(lone.r.membership().voters).toEqual([1, 2, 3, 4]);
  });

  it("out of order is a defect of the driver, and ends the member", () => {
    const lone = new Lone({ terms: [1, 1], term: 1, commit: 1 });
    lone.settle();
    expect(() => lone.step({ k: "configApplied", index: 2, change: change([{ op: "remove", id: 3 }]) })).toThrow("A11");
  });

  it("is learned as committed from a voter's answer, so that the candidate asks the right quorum", () => {
    const removal: Entry = { index: 1, term: 1, kind: Kind.config, data: encodeConfigChange(change([{ op: "remove", id: 2 }])) };
    const lone = new Lone({ voters: [1, 2] });
    lone.receive(2, { t: "app", prev: nothing, entries: [removal], commit: 0 }, 1);
    lone.settle();
    lone.step({ k: "campaign" });
    lone.settle();
    expect(lone.r.state).toBe("candidate");
    // Member 2 led, has applied its own removal and has a longer log: it refuses, and says what is committed.
    lone.receive(2, { t: "voteResp", granted: false, commit: { index: 1, term: 1 } });
    lone.settle();
    expect(lone.r).toMatchObject({ state: "follower" });
    expect(lone.toApply.map((e) => e.index)).toEqual([1]);
    lone.step({ k: "configApplied", index: 1, change: change([{ op: "remove", id: 2 }]) });
    lone.step({ k: "applied", index: 1, bytes: removal.data.length });
    lone.step({ k: "campaign" });
    lone.settle();
    expect(lone.r.state).toBe("leader");
  });
});

describe("a leadership that ended", () => {
  it("offers no snapshot any more, though it owed one", () => {
    const lone = new Lone({ base: { index: 5, term: 1 }, term: 1 });
    lone.step({ k: "campaign" });
    lone.settle();
    lone.receive(2, { t: "voteResp", granted: true, commit: nothing });
    lone.settle();
    lone.receive(3, { t: "appResp", index: 5, reject: { hint: nothing } });
    expect(lone.r.out.snapshotTo).toEqual([{ to: 3, atLeast: 5 }]);
    lone.receive(2, { t: "hb", commit: 5, readPos: 0 }, 9);
    expect(collect(lone.r)).toMatchObject({ snapshotTo: [], role: { state: "follower", term: 9, leader: 2 } });
  });
});
