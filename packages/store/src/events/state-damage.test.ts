/** Each kind of record of the state folder, missing, altered or out of place at open: the state is put aside and built anew. */
import { readdir } from "node:fs/promises";
import { afterEach, describe, expect, it } from "vitest";
import {
  bareKey,
  generationMax,
  generationRange,
  keyNumber,
  metaKey,
  numberKey,
  openLevelState,
  withGeneration,
} from "./state-db.ts";
import type { Pair, StateDb, StateOp } from "./state-db.ts";
import { OneMember, carry, picture, someLife } from "./testing/one-member.ts";
import { seal, unseal } from "./value-codec.ts";

const members: OneMember[] = [];
const started = async (told: string[] = []): Promise<OneMember> => {
  const member = await OneMember.start({ flushMs: 60_000, onRecovered: (why) => told.push(why) });
  members.push(member);
  return member;
};
afterEach(async () => {
  for (const member of members.splice(0)) await member.end();
});

/** Lives on over several flushes, so that there is more than one pack of each kind. */
async function liveOn(m: OneMember): Promise<void> {
  for (let i = 0; i < 3; i++) {
    m.fill(20);
    m.commit();
    for (let n = 0; n < 3; n++) await m.ask({ type: "AddToBox", id: "b1", amount: 1 }, `more-${i}-${n}`);
    await m.store.flush();
  }
}

/** One that has only ever applied its log. */
async function grown(told: string[]): Promise<OneMember> {
  const m = await started(told);
  m.lead();
  await someLife(m);
  await m.store.flush();
  await liveOn(m);
  return m;
}

/** One that began with another's snapshot: its records are of the second generation. */
async function restored(told: string[]): Promise<OneMember> {
  const leader = await started();
  leader.lead();
  await someLife(leader);
  const meta = await leader.snapshot();
  const m = await started(told);
  await carry(meta, leader.snapshots, m.snapshots);
  m.log.base = meta.id;
  m.committed = meta.id.index;
  m.term = meta.id.term;
  m.now = leader.now;
  await m.store.stateMachine.restore(meta, m.snapshots);
  m.lead();
  await liveOn(m);
  return m;
}

const kinds = ["meta", "r", "s", "h", "c"] as const;
type Kind = (typeof kinds)[number];

/** The records of a kind, ascending. */
async function recordsOf(db: StateDb, kind: Kind): Promise<Pair[]> {
  if (kind === "meta") return [[metaKey, (await db.get(metaKey)) as Uint8Array]];
  const found: Pair[] = [];
  for await (const page of db.scan(generationRange(0, generationMax)))
    found.push(...page.filter(([key]) => String.fromCharCode(bareKey(key)[0] ?? 0) === kind));
  return found;
}

const deleted = ([key]: Pair): StateOp[] => [{ type: "del", key }];

function altered([key, value]: Pair): StateOp[] {
  const bytes = Buffer.from(value);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  return [{ type: "put", key, value: bytes }];
}

/** A record moved, with a seal that fits its new place, to the number before its own: into what the pack before it holds. */
function early([key, value]: Pair): StateOp[] {
  const kind = String.fromCharCode(bareKey(key)[0] ?? 0) as "s" | "h" | "c";
  const bare = numberKey(kind, keyNumber(key) - 1);
  const generation = Buffer.from(key).readUInt32BE(0);
  const moved = seal(bare, unseal(bareKey(key), value));
  return [...deleted([key, value]), { type: "put", key: withGeneration(generation, bare), value: moved }];
}

/** The same record once more, at the end of its kind. */
function doubled([key, value]: Pair): StateOp[] {
  const kind = String.fromCharCode(bareKey(key)[0] ?? 0) as "s" | "h" | "c";
  const bare = numberKey(kind, 1_000_000);
  const generation = Buffer.from(key).readUInt32BE(0);
  return [{ type: "put", key: withGeneration(generation, bare), value: seal(bare, unseal(bareKey(key), value)) }];
}

const packs = ["s", "h", "c"] as const;
const cases = [
  ...kinds.map((kind) => [kind, "missing", deleted] as const),
  ...kinds.map((kind) => [kind, "altered", altered] as const),
  ...packs.map((kind) => [kind, "out of order", early] as const),
  ...packs.map((kind) => [kind, "there twice", doubled] as const),
];

describe.each([
  ["grown from its log", grown, 1],
  ["that began with a snapshot", restored, 2],
] as const)("the state of a member %s", (_, make, generation) => {
  it.each(cases)(
    "is built anew when a record of kind %s is %s, and the next start finds nothing amiss",
    async (kind, _how, harm) => {
      const told: string[] = [];
      const m = await make(told);
      const before = picture(m);
      await m.store.close();
      const db = await openLevelState(m.state);
      const records = await recordsOf(db, kind);
      expect(records.length).toBeGreaterThan(kind === "meta" ? 0 : 1);
      if (kind !== "meta") expect(Buffer.from(records[0]?.[0] ?? []).readUInt32BE(0)).toBe(generation);
      await db.write(harm(records.at(kind === "meta" ? 0 : 1) as Pair));
      await db.close();
      await m.open();
      expect([told.length, picture(m)]).toEqual([1, before]);
      expect(await readdir(m.dir)).toContain("state-damaged");
      await m.restart();
      expect([told.length, picture(m)]).toEqual([1, before]);
    },
  );
});

describe("a record that goes bad under a running store", () => {
  const auditedTo = 150;
  const reads = {
    h: (m: OneMember) => m.store.history("box", "b1", 1, 1_000),
    c: (m: OneMember) => m.store.auditRange(1, auditedTo),
  };
  const deeds = [
    ["h", "missing", deleted],
    ["h", "altered", altered],
    ["h", "there once more", doubled],
    ["h", "of another place", early],
    ["c", "missing", deleted],
    ["c", "altered", altered],
  ] as const;

  it.each(deeds)(
    "ends the process when one of kind %s that is %s is read; the next start builds the state anew",
    async (kind, _how, harm) => {
      const told: string[] = [];
      let under: StateDb | undefined;
      const wrapDb = (db: StateDb): StateDb => (under = db);
      const m = await OneMember.start({ flushMs: 60_000, onRecovered: (why) => told.push(why), wrapDb });
      members.push(m);
      m.lead();
      await someLife(m);
      await m.store.flush();
      await liveOn(m);
      const [before, read] = [picture(m), await reads[kind](m)];
      expect(m.fatal).toBeNull();
      const records = await recordsOf(under as StateDb, kind);
      expect(records.length).toBeGreaterThan(2);
      const harmed = kind === "h" ? records[1] : records.findLast(([key]) => keyNumber(key) <= auditedTo);
      await (under as StateDb).write(harm(harmed as Pair));
      await reads[kind](m);
      expect(m.fatal?.name).toBe("Damaged");
      m.fatal = null;
      await m.store.close();
      await m.open();
      expect([told.length, picture(m), await reads[kind](m)]).toEqual([1, before, read]);
    },
  );
});
