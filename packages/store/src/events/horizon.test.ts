import { afterEach, describe, expect, it } from "vitest";
import { openLevelState } from "./state-db.ts";
import { OneMember, picture } from "./testing/one-member.ts";
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

describe("the log's horizon", () => {
  it("moves up behind snapshot and flush, keeping the entries asked for", async () => {
    const m = await leading({ snapshotEveryEntries: 100, keepEntries: 30 });
    for (let round = 0; round < 200 && m.log.first() <= 400; round++) {
      m.fill(50);
      m.commit();
      await new Promise((f) => setTimeout(f, 15));
    }
    expect(m.log.first()).toBeGreaterThan(400);
    await expect.poll(() => m.log.first() - (m.snapshots.latest()?.id.index ?? 0)).toBe(-29);
    const history = await m.store.history("box", "b1", 1, 1_000);
    expect(history[0]).toBeGreaterThanOrEqual(m.log.first());
    const before = picture(m);
    await m.restart();
    expect(picture(m)).toEqual(before);
  });

  it("waits longer the more rows there are, because a snapshot writes them all", async () => {
    const m = await leading({ snapshotEveryEntries: 100, keepEntries: 30 });
    m.fill(400, 400);
    m.commit();
    await m.store.flush();
    for (let i = 0; i < 7; i++) {
      m.fill(50, 400);
      m.commit();
      await m.store.flush();
      expect(m.snapshots.latest()).toBeNull();
    }
    m.fill(60, 400);
    m.commit();
    await expect.poll(() => m.snapshots.latest()?.id.index ?? 0).toBeGreaterThanOrEqual(800);
  });

  it("takes history and digests of compacted entries along", async () => {
    const m = await leading({ snapshotEveryEntries: 200, keepEntries: 5, flushMs: 1 });
    const keys = async (): Promise<number> => {
      await m.store.close();
      const db = await openLevelState(m.state);
      let n = 0;
      for await (const page of db.scan({ gte: Buffer.from([0]), lt: Buffer.from("meta") })) n += page.length;
      await db.close();
      await m.open();
      return n;
    };
    for (let i = 0; i < 30; i++) {
      m.fill(6);
      m.commit();
      await m.store.flush();
    }
    const before = await keys();
    m.fill(30);
    m.commit();
    await expect.poll(() => m.log.first()).toBeGreaterThan(180);
    await m.store.flush();
    expect(await keys()).toBeLessThan(before / 4);
  });
});
