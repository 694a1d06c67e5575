/** One entry that makes many staged events count: the only entries whose events are not all in them. */
import type { RecordedEntry } from "@aether/core/kernel/event";
import { registry } from "@aether/core/registry";
import { afterEach, describe, expect, it } from "vitest";
import { OneMember, carry } from "./testing/one-member.ts";
import { apply, arranged, begin, gone, ok, pictureOf, set, stage, staged, wish } from "./testing/restoring.ts";

const members: OneMember[] = [];
const started = async (member: Promise<OneMember>): Promise<OneMember> => {
  members.push(await member);
  return member;
};
afterEach(async () => {
  for (const member of members.splice(0)) await member.end();
});

const settings = ({ store }: OneMember): Record<string, unknown> =>
  Object.fromEntries([...store.world.all<{ value: unknown }>("setting")].map(({ id, row }) => [id, row.value]));
const turns = async (n = 30): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
};

/** The log of a life with a restore that is applied after one that is not, and entries on both sides of it. */
async function wholeLife(): Promise<OneMember> {
  const member = await started(arranged());
  await staged(member, "r1", [wish("a", 1, "dropped")]);
  await staged(member, "r2", [wish("a", 1, "restored"), gone("b", 1)], [wish("d", 0, { deep: [1] })]);
  ok(await member.ask(set("z", 1)));
  ok(await member.ask(apply("r2"), "apply"));
  ok(await member.ask(set("a", "later")));
  return member;
}

/** Another member that is given the same log. */
async function follower(leader: OneMember): Promise<OneMember> {
  const member = await started(OneMember.start({ registry }));
  member.log.entries = [...leader.log.entries];
  member.term = leader.term;
  return member;
}

describe("an entry that stands for others", () => {
  it("changes all things in one step, says so, and is in the history of each", async () => {
    const member = await started(arranged());
    await staged(member, "r1", [wish("a", 1, 10), gone("b", 1)], [wish("d", 0, 13)]);
    expect(settings(member)).toEqual({ a: 0, b: 1, c: 2 });
    const told: (readonly string[])[] = [];
    member.store.onApplied((changed) => told.push([...(changed ?? [])].toSorted()));
    const { index, answer } = ok(await member.ask(apply("r1")));
    expect(answer).toEqual({ things: 3, appliedAt: null });
    expect(settings(member)).toEqual({ a: 10, c: 2, d: 13 });
    expect(member.store.world.get("setting", "a")).toMatchObject({ version: 2, index });
    expect(told).toEqual([
      ["restoration-part/r1/1", "restoration-part/r1/2", "restoration/r1", "setting/a", "setting/b", "setting/d"],
    ]);
    for (const id of ["a", "b", "d"]) expect((await member.store.history("setting", id, 1, 10)).at(-1), id).toBe(index);
    expect(await member.store.history("setting", "c", 1, 10)).not.toContain(index);
    await member.store.flush();
    expect((await member.store.history("setting", "b", 1, 10)).at(-1)).toBe(index);
    const page = await member.store.entries(index, 1);
    expect("entries" in page && page.entries[0]?.events).toMatchObject([{ type: "RestoreApplied", things: 3, events: 3 }]);
  });

  it("keeps everything else waiting while it is on its way, and its own retries too", async () => {
    const member = await started(arranged());
    await staged(member, "r1", [wish("a", 1, 10)]);
    member.auto = false;
    const answers: unknown[] = [];
    const first = member.ask(apply("r1"), "q1").then((answer) => answers.push(answer));
    expect(await member.ask(set("c", 9))).toMatchObject({ ok: false, rejection: { reason: "not_ready" } });
    expect(await member.ask(apply("r1"), "q2")).toMatchObject({ ok: false, rejection: { reason: "not_ready" } });
    const again = member.ask(apply("r1"), "q1").then((answer) => answers.push(answer));
    member.commit();
    await Promise.all([first, again]);
    expect(answers).toMatchObject([
      { ok: true, replayed: false },
      { ok: true, replayed: true },
    ]);
    member.auto = true;
    expect(ok(await member.ask({ ...set("a", 11), ifVersion: 2 })).version).toBe(3);
  });

  it("that staging parts wait for nobody", async () => {
    const member = await started(arranged());
    member.auto = false;
    const asked = [begin("r1", 2, 2), stage("r1", 1, [wish("a", 1, 1)]), stage("r1", 2, [wish("b", 1, 1)]), set("z", 1)];
    const answers = asked.map((command) => member.ask(command));
    member.commit();
    for (const answer of await Promise.all(answers)) ok(answer);
  });

  it("that is overwritten with its leadership changed nothing, and keeps nobody waiting", async () => {
    const member = await started(arranged());
    await staged(member, "r1", [wish("a", 1, 10)]);
    member.auto = false;
    const lost = member.ask(apply("r1"), "q1");
    member.follow();
    member.overwrite(2, true);
    expect(await lost).toMatchObject({ ok: false });
    member.commit();
    expect(settings(member)).toEqual({ a: 0, b: 1, c: 2 });
    member.lead();
    member.auto = true;
    ok(await member.ask(set("c", 9)));
    ok(await member.ask(apply("r1"), "q1"));
    expect(settings(member)).toEqual({ a: 10, b: 1, c: 9 });
  });
});

describe("a restore in the log", () => {
  it("makes one state wherever a member died, however its entries came", async () => {
    const leader = await wholeLife();
    const wanted = pictureOf(leader);
    const last = leader.log.last().index;
    for (let cut = 1; cut < last; cut++) {
      const member = await follower(leader);
      member.commit(cut);
      if (cut % 2 === 0) await member.store.flush();
      if (cut % 3 === 0) await member.restart();
      else await member.crash();
      member.commit();
      expect(pictureOf(member)).toEqual(wanted);
      expect(await member.store.history("setting", "a", 1, 20)).toEqual(await leader.store.history("setting", "a", 1, 20));
    }
  });

  it("makes the same state at a member that begins with a snapshot, also one from the middle of staging", async () => {
    const leader = await wholeLife();
    const wanted = pictureOf(leader);
    for (let at = 5; at <= leader.log.last().index; at++) {
      const giving = await follower(leader);
      giving.commit(at);
      const meta = await giving.snapshot();
      const taking = await started(OneMember.start({ registry }));
      await carry(meta, giving.snapshots, taking.snapshots);
      await taking.store.stateMachine.restore(meta, taking.snapshots);
      taking.log.base = meta.id;
      taking.log.entries = leader.log.entries.filter(({ index }) => index > at);
      taking.committed = at;
      taking.commit();
      expect(pictureOf(taking)).toEqual(wanted);
    }
  });
});

describe("a watch of a thing", () => {
  const watching = (member: OneMember, thing: string, from = 1): RecordedEntry[] => {
    const seen: RecordedEntry[] = [];
    const onEntries = (entries: readonly RecordedEntry[]): boolean => seen.push(...entries) > 0;
    member.store.watch({ from, thing, onEntries, onEnd: () => undefined });
    return seen;
  };
  const causes = (seen: readonly RecordedEntry[]): string[] => seen.map(({ cause }) => cause);
  const until = async (met: () => boolean): Promise<void> => {
    for (let turn = 0; turn < 10_000 && !met(); turn++) await turns(1);
  };

  it("is told of the entry that restores it, as it comes and when it catches up", async () => {
    const member = await started(arranged());
    const [a, c] = [watching(member, "setting/a"), watching(member, "setting/c")];
    await turns();
    await staged(member, "r1", [wish("a", 1, 10)], [gone("b", 1)]);
    ok(await member.ask(apply("r1")));
    await member.store.flush();
    await staged(member, "r2", [wish("c", 1, 12)]);
    ok(await member.ask(apply("r2")));
    ok(await member.ask(set("a", 11)));
    const whole = ["SetSetting", "ApplyRestore", "SetSetting"];
    expect(causes(a)).toEqual(whole);
    expect(causes(c)).toEqual(["SetSetting", "ApplyRestore"]);
    const late = [watching(member, "setting/a"), watching(member, "setting/c"), watching(member, "setting/b")];
    await until(() => late.every((seen) => seen.length > 1) && (late[0]?.length ?? 0) > 2);
    expect(late.map(causes)).toEqual([whole, ["SetSetting", "ApplyRestore"], ["SetSetting", "ApplyRestore"]]);
    // and stays in step from then on
    ok(await member.ask(set("b", 1)));
    expect(causes(late[2]!)).toEqual(["SetSetting", "ApplyRestore", "SetSetting"]);
    expect(causes(watching(member, "setting/a", member.store.applied + 1))).toEqual([]);
  });

  it("is told of a restore that may have been about it, where the history begins later", async () => {
    const leader = await wholeLife();
    const at = leader.log.last().index;
    const meta = await leader.snapshot();
    const taking = await started(OneMember.start({ registry }));
    await carry(meta, leader.snapshots, taking.snapshots);
    await taking.store.stateMachine.restore(meta, taking.snapshots);
    // its log is whole all the same
    taking.log.entries = [...leader.log.entries];
    taking.committed = at;
    const seen = watching(taking, "setting/a");
    await until(() => seen.length > 2);
    expect(causes(seen)).toEqual(expect.arrayContaining(["SetSetting", "ApplyRestore", "SetSetting"]));
  });
});
