import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openSnapshots, readRows } from "../snapshots.ts";
import type { StateDb } from "./state-db.ts";
import { OneMember, carry, picture, someLife } from "./testing/one-member.ts";
import type { MemberOptions } from "./testing/one-member.ts";

const members: OneMember[] = [];
const leading = async (options: MemberOptions = {}): Promise<OneMember> => {
  const member = await OneMember.start(options);
  members.push(member);
  member.lead();
  return member;
};

afterEach(async () => {
  for (const member of members.splice(0)) await member.end();
});

describe("a snapshot", () => {
  it("makes another member equal, answers to old requests included", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    expect(meta).toMatchObject({ id: { index: 153, term: 1 }, digest: leader.store.stateDigest().digest });
    const other = await OneMember.start();
    members.push(other);
    other.fill(5, 3);
    other.commit();
    await carry(meta, leader.snapshots, other.snapshots);
    const told: unknown[] = [];
    other.store.onApplied((changed, applied) => told.push([changed, applied, picture(other)]));
    await other.store.stateMachine.restore(meta, other.snapshots);
    expect(picture(other)).toEqual(picture(leader));
    expect(other.store.stateMachine.applied).toBe(153);
    expect(told).toEqual([[null, 153, picture(leader)]]);
    other.log.base = meta.id;
    other.log.entries = [];
    other.committed = 153;
    other.term = 1;
    await other.restart();
    expect(picture(other)).toEqual(picture(leader));
    other.lead();
    expect(await other.ask({ type: "AddToBox", id: "b2", amount: 3 }, "r2")).toMatchObject({
      ok: true,
      replayed: true,
      index: 153,
    });
  });

  it.each(["altered", "missing"])("is not made of %s rows: who would make it ends, and nobody is sent it", async (how) => {
    const spoilt = (db: StateDb): StateDb => ({
      ...db,
      view: () => {
        const view = db.view();
        const scan: typeof view.scan = async function* (range) {
          for await (const page of view.scan(range)) {
            const of = (kind: string) => page.findIndex(([key]) => String.fromCharCode(key[4] ?? 0) === kind);
            const at = Math.max(of("r"), of("s"));
            const altered = page.map(([key, value], i) => [key, i === at ? value.map((byte) => byte ^ 1) : value] as const);
            yield how === "altered" ? altered : page.filter((_, i) => i !== at);
          }
        };
        return { ...view, scan };
      },
    });
    const m = await leading({ wrapDb: spoilt });
    await someLife(m);
    await m.snapshot();
    expect(m.fatal?.name).toBe("Damaged");
    expect(m.snapshots.latest()).toBeNull();
    m.fatal = null;
  });

  it("wins over a flush of the state that it replaces", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    const other = await OneMember.start({ flushMs: 60_000 });
    members.push(other);
    other.fill(5, 3);
    other.commit();
    await carry(meta, leader.snapshots, other.snapshots);
    const restoring = other.store.stateMachine.restore(meta, other.snapshots);
    expect(await other.store.flush()).toBe(153);
    await restoring;
    other.snapshots = await openSnapshots(join(other.dir, "none"));
    await other.restart();
    expect(picture(other)).toEqual(picture(leader));
  });

  it("does not stop apply while it is streamed, and is of one moment", async () => {
    const m = await leading();
    await someLife(m);
    const streaming = m.snapshot();
    await new Promise(setImmediate);
    m.fill(200);
    m.commit();
    const meta = await streaming;
    expect(m.store.applied).toBe(353);
    const other = await OneMember.start();
    members.push(other);
    other.log.entries = [...m.log.entries];
    other.commit(meta.id.index);
    expect(other.store.stateDigest()).toEqual({ index: meta.id.index, digest: meta.digest });
    other.commit();
    expect(picture(other)).toEqual(picture(m));
  });

  it("installed but not yet restored when the process died is restored at open", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    const other = await OneMember.start();
    members.push(other);
    await carry(meta, leader.snapshots, other.snapshots);
    other.log.base = meta.id;
    other.committed = meta.id.index;
    await other.restart();
    expect(picture(other)).toEqual(picture(leader));
  });

  it("installed but not yet restored is also found when a newer one was on its way in", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    const then = picture(leader);
    leader.fill(10);
    leader.commit();
    const newer = await leader.snapshot();
    const other = await OneMember.start();
    members.push(other);
    await carry(meta, leader.snapshots, other.snapshots);
    other.log.base = meta.id;
    other.installed = meta;
    other.committed = meta.id.index;
    await carry(newer, leader.snapshots, other.snapshots);
    await other.restart();
    expect(picture(other)).toEqual(then);
  });

  it("received, but not yet taken into the log when the process died, is left alone at open", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    const behind = await OneMember.start();
    const astray = await OneMember.start();
    members.push(behind, astray);
    behind.fill(5, 3);
    behind.commit();
    // Its log reaches beyond the snapshot, with entries of a leader that never committed them.
    astray.fill(5, 3);
    astray.commit();
    astray.term = 7;
    astray.fill(200);
    for (const other of [behind, astray]) {
      const before = picture(other);
      await carry(meta, leader.snapshots, other.snapshots);
      await other.restart();
      expect(picture(other)).toEqual(before);
      expect(other.store.stateMachine.applied).toBe(5);
    }
  });

  it("cut off at any write leaves the old state or the new one", async () => {
    const leader = await leading();
    await someLife(leader);
    leader.fill(2_000, 2_000);
    leader.commit();
    const meta = await leader.snapshot();
    const after = picture(leader);
    const outcomes = new Set<string>();
    for (let allowed = 0; allowed < 4; allowed++) {
      let left = Number.POSITIVE_INFINITY;
      const wrapDb = (db: StateDb): StateDb => ({
        ...db,
        write: (ops) => (left-- > 0 ? db.write(ops) : Promise.reject(new Error("cut off"))),
      });
      const other = await OneMember.start({ wrapDb });
      members.push(other);
      other.fill(5, 3);
      other.commit();
      await other.store.flush();
      const old = picture(other);
      await carry(meta, leader.snapshots, other.snapshots);
      left = allowed;
      const failed = await other.store.stateMachine.restore(meta, other.snapshots).then(
        () => false,
        () => true,
      );
      left = Number.POSITIVE_INFINITY;
      // without the snapshot at hand, the folder shows what it has of its own
      other.snapshots = await openSnapshots(join(other.dir, "none"));
      await other.crash();
      expect(picture(other)).toEqual(failed ? old : after);
      outcomes.add(failed ? "old" : "new");
    }
    expect(outcomes).toEqual(new Set(["old", "new"]));
  });

  it("whose records were tampered with is not taken", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    const tampered = { ...meta, digest: meta.digest.replace(/^./, (c) => (c === "0" ? "1" : "0")) };
    const wrong = await leader.snapshots.create(meta.id, meta.membership, tampered.digest, readRows(leader.snapshots, meta));
    const other = await OneMember.start();
    members.push(other);
    const before = picture(other);
    await carry(wrong, leader.snapshots, other.snapshots);
    await expect(other.store.stateMachine.restore(wrong, other.snapshots)).rejects.toThrow(/should have digest/);
    expect(picture(other)).toEqual(before);
  });
});
