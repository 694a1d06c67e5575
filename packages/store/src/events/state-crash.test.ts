/** Whatever a crash leaves of the state folder, at whatever write: it opens, and holds what was promised. */
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { CrashFolder } from "./testing/crash-folder.ts";
import { DiskLife, chainAt, digestAt, entriesOf, sentBy } from "./testing/disk-life.ts";
import type { Sent } from "./testing/disk-life.ts";

/** Snapshots of the same entries by two members whose packs are cut at other places, by index. */
let eager: readonly Sent[];
let lazy: readonly Sent[];
beforeAll(async () => {
  eager = await Promise.all([40, 80, 120].map((index) => sentBy(3, index)));
  lazy = await Promise.all([40, 80, 120].map((index) => sentBy(7, index)));
});

/** Every choice among `count` things, as functions that say whether one is chosen. */
const choices = (count: number): ((place: number) => boolean)[] =>
  Array.from({ length: 2 ** count }, (_, bits) => (place: number) => (bits & (1 << place)) !== 0);

/** Opens what is left, and checks it against the log: rows and answers, the chain, and history behind the newest restore. */
async function opened(folder: CrashFolder, atLeast: number, restored: number): Promise<DiskLife> {
  const life = await DiskLife.open(folder);
  expect(life.openedAt).toBeGreaterThanOrEqual(atLeast);
  expect(life.state.digest().digest).toBe(digestAt(life.openedAt));
  const from = restored + 1;
  for (const box of [1, 2]) expect(await life.history(box, from)).toEqual(entriesOf(box, from, life.openedAt));
  for (let index = from; index <= life.openedAt; index++) {
    const digest = await life.disk.chainAt(life.state, index);
    expect([index, digest === undefined ? "none" : Buffer.from(digest).toString("hex")]).toEqual([index, chainAt(index)]);
  }
  return life;
}

describe("a restore that was cut off", () => {
  it("leaves nothing that could come back among the records of the next one", async () => {
    const first = await DiskLife.open(new CrashFolder());
    first.apply(12);
    await first.flush();
    // meta and records are on disk, the switch is not
    first.folder.dieAtWrite(3);
    expect(await Promise.race([first.restore(eager[0] as Sent), first.folder.died])).toBe("died");
    const second = await opened(
      first.folder.afterCrash(() => false),
      12,
      0,
    );
    expect(second.openedAt).toBe(12);
    await second.restore(lazy[0] as Sent);
    const third = await opened(
      second.folder.afterCrash(() => false),
      40,
      40,
    );
    expect(third.openedAt).toBe(40);
  });

  it(
    "is harmless wherever it and the next one end, and whatever of them that was not synced is gone",
    { timeout: 120_000 },
    async () => {
      const dieIn = async (life: DiskLife, write: number, sent: Sent): Promise<boolean> => {
        life.folder.dieAtWrite(write);
        return (await Promise.race([life.restore(sent).then(() => "lived"), life.folder.died])) === "died";
      };
      let ends = 0;
      for (let one = 1, died = true; died; one++) {
        for (let two = 1, diedAgain = true; diedAgain; two++) {
          const start = async (): Promise<DiskLife> => {
            const life = await DiskLife.open(new CrashFolder());
            life.apply(12);
            await life.flush();
            died = await dieIn(life, one, eager[0] as Sent);
            return life;
          };
          const { undecided } = (await start()).folder;
          for (const keepsFirst of choices(undecided)) {
            const life = await opened((await start()).folder.afterCrash(keepsFirst), 12, 40);
            diedAgain = await dieIn(life, two, lazy[0] as Sent);
            for (const keepsThen of choices(life.folder.undecided)) {
              const last = await opened(life.folder.afterCrash(keepsThen), life.openedAt, 40);
              await last.restore(lazy[1] as Sent);
              last.apply(5);
              await last.flush();
              await opened(
                last.folder.afterCrash(() => false),
                85,
                80,
              );
              ends++;
            }
          }
        }
      }
      expect(ends).toBeGreaterThan(50);
    },
  );
});

describe("for any life of applying, flushing, restoring, trimming and dying", () => {
  const move = fc.oneof(
    { weight: 4, arbitrary: fc.record({ move: fc.constant("apply" as const), count: fc.integer({ min: 1, max: 25 }) }) },
    { weight: 3, arbitrary: fc.record({ move: fc.constant("flush" as const), meanwhile: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ move: fc.constant("restore" as const), eager: fc.boolean(), which: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ move: fc.constant("trim" as const), behind: fc.nat(30) }) },
  );
  const death = fc.record({ atWrite: fc.integer({ min: 1, max: 6 }), keeps: fc.array(fc.boolean(), { maxLength: 6 }) });
  const lives = fc.array(fc.tuple(fc.array(move, { minLength: 1, maxLength: 8 }), death), { minLength: 1, maxLength: 5 });

  it("the folder opens with all that was durable, and with the state of one entry", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(lives, async (script) => {
        let life = await DiskLife.open(new CrashFolder());
        let trimmed = 0;
        let restored = 0;
        for (const [moves, { atWrite, keeps }] of script) {
          const live = async (): Promise<void> => {
            for (const step of moves) {
              if (step.move === "apply") life.apply(step.count);
              else if (step.move === "flush") {
                life.meanwhile = () => life.apply(step.meanwhile);
                await life.flush();
                life.meanwhile = () => undefined;
              } else if (step.move === "restore") {
                const sent = (step.eager ? eager : lazy)[step.which] as Sent;
                if (sent.meta.id.index > life.index) restored = sent.meta.id.index;
                await life.restore(sent);
              } else {
                trimmed = Math.max(trimmed, life.disk.durable.index - step.behind);
                await life.disk.trim(trimmed);
              }
            }
          };
          life.folder.dieAtWrite(atWrite);
          await Promise.race([live(), life.folder.died]);
          const { durable } = life.disk;
          life = await opened(
            life.folder.afterCrash((place) => keeps[place] ?? false),
            durable.index,
            Math.max(restored, trimmed),
          );
        }
      }),
      { numRuns: 120 },
    );
  });
});
