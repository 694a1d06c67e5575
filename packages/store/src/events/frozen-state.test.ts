import { afterEach, describe, expect, it } from "vitest";
import type { FrozenRow } from "../types.ts";
import { OneMember } from "./testing/one-member.ts";

const members: OneMember[] = [];
afterEach(async () => {
  for (const each of members.splice(0)) await each.end();
});

async function member(): Promise<OneMember> {
  const made = await OneMember.start();
  members.push(made);
  made.lead();
  return made;
}

const present = (m: OneMember): FrozenRow[] =>
  [...m.store.world.all("box")]
    .map((stored) => ({ noun: "box", stored }))
    .toSorted((a, b) => (a.stored.id < b.stored.id ? -1 : 1));

describe("a frozen state", () => {
  it("is of its moment, row by row, whatever is applied while it is read", async () => {
    const m = await member();
    m.fill(1_000, 300);
    m.commit();
    const [moment, rows] = [m.store.moment(), present(m)];
    const frozen = await m.store.freeze();
    m.fill(500, 400);
    m.commit();
    await m.store.flush();
    const { index, term, at, chain } = frozen;
    expect({ index, term, at, chain }).toEqual(moment);
    expect(m.store.moment().index).toBe(index + 500);
    const found: FrozenRow[] = [];
    for await (const batch of frozen.rows()) {
      expect(batch.length).toBeLessThanOrEqual(128);
      found.push(...batch);
    }
    await frozen.close();
    await frozen.close();
    expect(found).toEqual(rows);
    expect(found).toHaveLength(300);
  });

  it("of which rows are gone ends the process", async () => {
    const m = await OneMember.start({
      wrapDb: (db) => ({
        ...db,
        view: () => {
          const view = db.view();
          return {
            close: () => view.close(),
            scan: async function* (range) {
              for await (const page of view.scan(range)) yield page.slice(1);
            },
          };
        },
      }),
    });
    m.lead();
    m.fill(20, 10);
    m.commit();
    const frozen = await m.store.freeze();
    await expect(async () => {
      for await (const _ of frozen.rows()) await Promise.resolve();
    }).rejects.toThrow("9 rows on disk, where 10 were written");
    await frozen.close();
    expect(m.fatal?.message).toContain("9 rows");
    m.fatal = null;
    await m.end();
  });
});
