/** Whatever is asked in whatever order: replay, restart, snapshot and being ahead of commit change nothing. */
import * as fc from "fast-check";
import type { Command } from "@aether/core/kernel/command";
import { describe, expect, it } from "vitest";
import type { Answer } from "../types.ts";
import { OneMember, operator, picture } from "./testing/one-member.ts";

const id = fc.constantFrom("a", "b", "c", "d");
const ifVersion = fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined, freq: 3 });
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ type: fc.constant("FillBox"), id, content: fc.nat(5), ifVersion }),
  fc.record({ type: fc.constant("AddToBox"), id, amount: fc.nat(5), ifVersion }),
  fc.record({ type: fc.constant("MoveAll"), id, to: id, ifVersion }),
  fc.record({ type: fc.constant("CountBoxes"), id }),
);
const request = fc.option(
  fc.nat(5).map((n) => `r${n}`),
  { nil: null },
);
const asked = fc.array(fc.tuple(command, request), { maxLength: 40 });
const moves = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ move: fc.constant("ask" as const), command, request }) },
    { weight: 2, arbitrary: fc.record({ move: fc.constantFrom("commit", "flush", "restart", "crash", "snapshot") }) },
  ),
  { maxLength: 40 },
);

/** What of an answer must be equal: everything but the hint of who leads. */
const essence = (a: Answer | undefined): unknown => (a?.ok === false ? a.rejection.reason : a);

async function withMember<T>(f: (m: OneMember) => Promise<T>): Promise<T> {
  const member = await OneMember.start({ flushMs: 60_000 });
  try {
    member.lead();
    return await f(member);
  } finally {
    await member.end();
  }
}

describe("for any sequence of commands", () => {
  it("deciding ahead of commit gives the answers and the world of deciding one at a time", async () => {
    await fc.assert(
      fc.asyncProperty(asked, fc.array(fc.nat(6), { minLength: 1, maxLength: 8 }), async (script, bursts) => {
        const oneByOne = await withMember(async (m) => {
          const answers: unknown[] = [];
          for (const [c, r] of script) {
            m.now = 5_000;
            answers.push(essence(await m.ask(c, r)));
          }
          return { answers, world: picture(m) };
        });
        const ahead = await withMember(async (m) => {
          m.auto = false;
          const answers: (Answer | undefined)[] = script.map(() => undefined);
          for (const [i, [c, r]] of script.entries()) {
            m.now = 5_000;
            const submission = { command: c, actor: operator, request: r === null ? null : { client: operator.name, id: r } };
            m.store.submit(submission, (a) => (answers[i] = a));
            if (i % 9 === bursts[i % bursts.length]) m.commit(Math.min(m.log.last().index, m.committed + 2));
          }
          m.commit();
          for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
          return { answers: answers.map(essence), world: picture(m) };
        });
        expect(ahead.answers).toEqual(oneByOne.answers);
        expect(ahead.world).toEqual(oneByOne.world);
      }),
      { numRuns: 60 },
    );
  });

  it("a member that restarts, crashes and snapshots at any point equals one that only replays the log", async () => {
    await fc.assert(
      fc.asyncProperty(moves, async (script) => {
        const { log, live } = await withMember(async (m) => {
          const fresh: string[] = [];
          for (const step of script) {
            if (step.move === "ask" && "command" in step) {
              const a = await m.ask(step.command, step.request);
              if (a.ok && step.request !== null && a.changed && !a.replayed) fresh.push(step.request);
            } else if (step.move === "flush") await m.store.flush();
            else if (step.move === "snapshot") await m.snapshot();
            else if (step.move === "restart") await m.restart().then(() => m.lead());
            else if (step.move === "crash") await m.crash().then(() => m.lead());
          }
          expect(new Set(fresh).size).toBe(fresh.length);
          return { log: [...m.log.entries], live: picture(m) };
        });
        const replayed = await withMember(async (m) => {
          await m.restart();
          m.log.entries = [];
          await m.store.close();
          m.state = `${m.state}-fresh`;
          m.committed = 0;
          await m.open();
          m.log.entries = [...log];
          m.commit();
          return picture(m);
        });
        expect(replayed).toEqual(live);
      }),
      { numRuns: 60 },
    );
  });

  it("each request takes effect once, however often it is retried and whoever leads", async () => {
    const step = fc.record({ box: id, request: fc.nat(8), lose: fc.constantFrom("no", "no", "kept", "lost"), again: fc.nat(2) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), (script) =>
        withMember(async (m) => {
          for (const box of ["a", "b", "c", "d"]) await m.ask({ type: "FillBox", id: box, content: 0 });
          const expected = new Map<string, number>();
          const done = new Set<string>();
          for (const { box, request: n, lose, again } of script) {
            const name = `${box}${n}`;
            const add = { type: "AddToBox", id: box, amount: 1 };
            m.auto = lose === "no";
            const first = m.ask(add, name);
            if (lose !== "no") {
              const last = m.log.last().index;
              m.follow();
              if (lose === "kept") m.commit(last);
              else m.overwrite(0, true);
              await first.catch(() => undefined);
              m.lead();
              m.auto = true;
            }
            const answers = [await first];
            for (let i = 0; i <= again; i++) answers.push(await m.ask(add, name));
            expect(answers.slice(1).every((a) => a.ok)).toBe(true);
            const versions = new Set(answers.slice(1).map((a) => a.ok && a.version));
            expect(versions.size).toBe(1);
            if (!done.has(name)) expected.set(box, (expected.get(box) ?? 0) + 1);
            done.add(name);
          }
          for (const [box, times] of expected)
            expect(m.store.world.get<{ content: number }>("box", box)?.row.content).toBe(times);
        }),
      ),
      { numRuns: 60 },
    );
  });
});
