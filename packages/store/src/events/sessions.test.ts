import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PackList } from "./pack-list.ts";
import { Sessions } from "./sessions.ts";
import type { AnswerPack, NewAnswer, SessionLimits } from "./sessions.ts";

/** As an entry's reader gives it: the texts are spans of bytes that hold more than them. */
function answer(client: string, id: string, version = 1, given?: unknown): NewAnswer {
  const idBytes = Buffer.from(id);
  const bytes = Buffer.concat([Buffer.from("--"), idBytes, Buffer.from(`f${id}-`)]);
  const idEnd = 2 + idBytes.length;
  return { client, bytes, idAt: 2, idEnd, printAt: idEnd, printEnd: bytes.length - 1, version, answer: given };
}
const live = (s: Sessions, names: readonly (readonly [string, string])[]): string[] =>
  names.filter(([client, id]) => s.find(client, id) !== undefined).map(([client, id]) => `${client}:${id}`);

describe("remembered answers", () => {
  it("are forgotten oldest first for each client", () => {
    const s = new Sessions({ perClient: 2, clients: 10, window: 100 });
    for (const id of ["1", "2", "3"]) s.remember(answer("a", id), Number(id));
    s.remember(answer("b", "1"), 4);
    expect(
      live(s, [
        ["a", "1"],
        ["a", "2"],
        ["a", "3"],
        ["b", "1"],
      ]),
    ).toEqual(["a:2", "a:3", "b:1"]);
    expect(s.size).toBe(3);
  });

  it("go with the client that has been silent longest when there are too many", () => {
    const s = new Sessions({ perClient: 5, clients: 2, window: 100 });
    s.remember(answer("a", "1"), 1);
    s.remember(answer("b", "1"), 2);
    s.remember(answer("a", "2"), 3);
    s.remember(answer("c", "1"), 4);
    expect(
      live(s, [
        ["a", "1"],
        ["a", "2"],
        ["b", "1"],
        ["c", "1"],
      ]),
    ).toEqual(["a:1", "a:2", "c:1"]);
  });

  it("leave the window in the order they came", () => {
    const s = new Sessions({ perClient: 5, clients: 9, window: 3 });
    for (const [i, client] of ["a", "b", "c", "d"].entries()) s.remember(answer(client, "1"), i);
    expect(
      live(
        s,
        ["a", "b", "c", "d"].map((c) => [c, "1"] as const),
      ),
    ).toEqual(["b:1", "c:1", "d:1"]);
    expect([s.seq, s.floor, s.size]).toEqual([4, 1, 3]);
  });

  it("may not be remembered twice: that would be a second execution", () => {
    const s = new Sessions({ perClient: 5, clients: 9, window: 30 });
    s.remember(answer("a", "1"), 1);
    expect(() => s.remember(answer("a", "1"), 2)).toThrow("answered from memory");
  });
});

describe("the memory of answers", () => {
  const limits: SessionLimits = { perClient: 3, clients: 4, window: 12 };
  const script = fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d", "e", "f"), fc.nat(9)), { maxLength: 80 });

  it("read back from any suffix that covers the window equals the one that lived through everything", () => {
    fc.assert(
      fc.property(script, fc.nat(40), fc.array(fc.nat(6), { maxLength: 7 }), (asked, extra, flushes) => {
        const lived = new Sessions(limits);
        const written: AnswerPack[] = [];
        for (const [index, [client, id]] of asked.entries()) {
          if (lived.find(client, `${id}`) !== undefined) continue;
          lived.remember(answer(client, `${id}`), index);
          // flushed now and then: what is forgotten before it is flushed has to be written all the same
          if (flushes.includes(index % 7)) written.push(...lived.takeFresh());
        }
        written.push(...lived.takeFresh());
        const read = new Sessions(limits);
        const needed = written.filter((_, i) => (written[i + 1]?.first ?? Number.POSITIVE_INFINITY) > lived.floor + 1 - extra);
        for (const { first, bytes } of needed) read.restore(first, bytes);
        read.skipTo(lived.seq);
        expect(read.digest()).toBe(lived.digest());
        // and from now on both forget alike
        for (let i = 0; i < 10; i++) {
          lived.remember(answer(`z${i % 5}`, `${i}`), 1_000 + i);
          read.remember(answer(`z${i % 5}`, `${i}`), 1_000 + i);
          expect(read.digest()).toBe(lived.digest());
        }
        const names = asked.map(([client, id]) => [client, `${id}`] as const);
        expect(live(read, names)).toEqual(live(lived, names));
      }),
      { numRuns: 1_000 },
    );
  });

  it("read back evicts the clients that the one that lived evicted, though their answers were forgotten before the flush", () => {
    const lived = new Sessions(limits);
    lived.remember(answer("e", "0"), 1);
    const written = [...lived.takeFresh()];
    // the four in between push e out, and e's return pushes out a, before anything is written
    for (const [i, client] of ["a", "c", "f", "d", "e"].entries()) lived.remember(answer(client, "0"), 2 + i);
    written.push(...lived.takeFresh());
    const read = new Sessions(limits);
    for (const { first, bytes } of written) read.restore(first, bytes);
    expect(read.digest()).toBe(lived.digest());
  });

  it("never holds more than its limits allow", () => {
    fc.assert(
      fc.property(script, (asked) => {
        const s = new Sessions(limits);
        for (const [index, [client, id]] of asked.entries()) {
          if (s.find(client, `${id}`) === undefined) s.remember(answer(client, `${id}`), index);
          const names = ["a", "b", "c", "d", "e", "f"].flatMap((c) => Array.from({ length: 10 }, (_, i) => [c, `${i}`] as const));
          const held = live(s, names);
          expect(held.length).toBe(s.size);
          expect(new Set(held.map(([c]) => c)).size).toBeLessThanOrEqual(limits.clients);
          for (const c of "abcdef")
            expect(held.filter((name) => name.startsWith(c)).length).toBeLessThanOrEqual(limits.perClient);
          expect(s.size).toBeLessThanOrEqual(limits.window);
        }
      }),
    );
  });

  it("gives back what it was told, before and after the disk", () => {
    const lived = new Sessions({ perClient: 500, clients: 40, window: 2_000 });
    // more than a pack, more than the first slots, and clients that come again
    for (let i = 0; i < 1_500; i++)
      lived.remember(answer(`client-ä${i % 30}`, `é${i}`, i, i % 7 === 0 ? { member: i } : undefined), 10 * i);
    const read = new Sessions({ perClient: 500, clients: 40, window: 2_000 });
    const packs = lived.takeFresh();
    expect(packs.length).toBeGreaterThan(1);
    for (const { first, bytes } of packs) read.restore(first, bytes);
    for (const s of [lived, read]) {
      for (let i = 0; i < 1_500; i++) {
        const expected = { seq: i + 1, fingerprint: `fé${i}`, index: 10 * i, version: i };
        expect(s.find(`client-ä${i % 30}`, `é${i}`)).toEqual({ ...expected, answer: i % 7 === 0 ? { member: i } : undefined });
      }
      expect(s.find("client-ä1", "é0")).toBeUndefined();
    }
    expect([read.digest(), read.takeFresh()]).toEqual([lived.digest(), []]);
  });

  it("forgets everything when its place moves on by more than a window", () => {
    const s = new Sessions(limits);
    s.remember(answer("a", "1"), 1);
    s.skipTo(1_000);
    expect([s.size, s.seq, s.find("a", "1")]).toEqual([0, 1_000, undefined]);
    s.remember(answer("a", "1"), 2);
    expect(s.find("a", "1")?.seq).toBe(1_001);
  });
});

describe("the memory of answers, behind flushes and deaths", () => {
  /** A share of the window. */
  const burst = { times: fc.double({ min: 0, max: 1, noNaN: true }), of: fc.nat(7) };
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ does: fc.constant("remember" as const), ...burst }) },
    { weight: 1, arbitrary: fc.constant({ does: "packAhead" as const }) },
    { weight: 1, arbitrary: fc.constant({ does: "die" as const }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom("flush" as const, "dieFlushing" as const), ...burst }) },
  );

  it.each([
    ["some answers", { perClient: 5, clients: 4, window: 12 }, 500],
    ["more answers than a pack holds", { perClient: 400, clients: 4, window: 1_100 }, 20],
  ] as const)(
    "is the same whether a flush was whole or died, with packs made ahead and packs dropped: %s",
    (_, limits, numRuns) => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), (script) => {
          const log: NewAnswer[] = [];
          const lived = new Sessions(limits);
          let now = new Sessions(limits);
          let list = new PackList();
          const disk = new Map<number, Buffer>();
          let durable = 0;
          const remember = ({ times, of }: { times: number; of: number }): void => {
            for (let i = 0; i < Math.ceil(times * limits.window); i++) {
              // some answer much, some little: clients go by their own limit, by the number of clients, and by the window
              const a = answer(`c${(i * i * of + i + of) % 7}`, `${log.length}`, log.length);
              log.push(a);
              lived.remember(a, log.length);
              now.remember(a, log.length);
            }
          };
          const die = (): void => {
            now = new Sessions(limits);
            list = new PackList();
            for (const [first, bytes] of [...disk].toSorted(([a], [b]) => a - b)) {
              list.add(first, 0);
              now.restore(first, bytes);
            }
            now.skipTo(durable);
            for (let i = durable; i < log.length; i++) now.remember(log[i] as NewAnswer, i + 1);
          };
          for (const move of script) {
            if (move.does === "remember") remember(move);
            else if (move.does === "packAhead") now.packAhead(now.seq);
            else if (move.does !== "die") {
              const { seq, floor } = now;
              const fresh = now.takeFresh();
              // answers that come while the flush is written are not of it
              remember(move);
              if (move.does === "flush") {
                for (const { first, bytes } of fresh) {
                  list.add(first, 0);
                  disk.set(first, bytes);
                }
                for (const { first } of list.takeBelow(floor + 1, Number.POSITIVE_INFINITY)) disk.delete(first);
                durable = seq;
              }
            }
            if (move.does === "die" || move.does === "dieFlushing") die();
            expect(now.digest()).toBe(lived.digest());
          }
          die();
          expect(now.digest()).toBe(lived.digest());
          for (const [i, { client }] of log.entries()) expect(now.find(client, `${i}`)).toEqual(lived.find(client, `${i}`));
        }),
        { numRuns },
      );
    },
  );
});
