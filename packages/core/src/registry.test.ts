import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRejection, reasons } from "./kernel/command.ts";
import { makePlainWorld } from "./kernel/plain-world.ts";
import { makeRegistry } from "./kernel/registry.ts";
import type { NodeRow } from "./node/state.ts";
import { dutyTransitions, isContactEvent } from "./node/transitions.ts";
import { registry } from "./registry.ts";
import { readyCluster, RulesBench } from "./testing/rules-bench.ts";
import { actorOf, story } from "./testing/rules-stories.ts";

const dutiesOf = (bench: RulesBench): ReadonlyMap<string, NodeRow> =>
  new Map([...bench.world.all<NodeRow>("node")].map(({ id, row }) => [id, row]));

describe("whatever is asked", () => {
  it("no rule throws, every refusal says what to do, and every event is one that its own Schema takes", () => {
    fc.assert(
      fc.property(fc.boolean(), story, (ready, commands) => {
        const bench = ready ? readyCluster(3) : new RulesBench();
        for (const command of commands) {
          const done = bench.try(command, actorOf(command));
          if (isRejection(done)) {
            expect(Object.keys(reasons)).toContain(done.reason);
            expect(done.message.length * done.hint.length).toBeGreaterThan(0);
          } else for (const event of done.events) expect(registry.event(event.type)?.parse(event)).toEqual(event);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("no node makes a step that is not in the table, and no member number is given twice", () => {
    fc.assert(
      fc.property(story, (commands) => {
        const bench = readyCluster(3);
        const owners = new Map<number, string>();
        for (const command of commands) {
          const before = dutiesOf(bench);
          const done = bench.try(command, actorOf(command));
          const after = dutiesOf(bench);
          const events = isRejection(done) ? [] : done.events.filter(({ type }) => registry.nounOf(type)?.name === "node");
          for (const { type, id } of events.filter((event) => !isContactEvent(event.type))) {
            const step = { from: before.get(id)?.duty ?? null, event: type, to: after.get(id)?.duty ?? null };
            expect(dutyTransitions).toContainEqual(expect.objectContaining(step));
          }
          for (const [id, row] of after) {
            if (!events.some((event) => event.id === id)) expect(row).toBe(before.get(id));
            expect(owners.get(row.member) ?? id).toBe(id);
            owners.set(row.member, id);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("the events alone, replayed, make the same world", () => {
    fc.assert(
      fc.property(story, (commands) => {
        const bench = readyCluster(3);
        for (const command of commands) bench.try(command, actorOf(command));
        const replayed = makePlainWorld(registry);
        for (const events of bench.entries) replayed.apply(JSON.parse(JSON.stringify(events)) as typeof events);
        for (const { name } of registry.nouns) {
          const rows = (world: typeof replayed) => [...world.all(name)].map(({ at: _at, ...stored }) => stored);
          expect(JSON.stringify(rows(replayed))).toBe(JSON.stringify(rows(bench.world)));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("what does not parse is refused, and never thrown", () => {
    const types = registry.nouns.flatMap((noun) => noun.commands);
    fc.assert(
      fc.property(
        fc.constantFrom(...types),
        fc.anything({ withBigInt: true, withDate: true, withMap: true }),
        fc.string(),
        (type, junk, id) => {
          const inputs = [junk, { type: type.type, id, ...(typeof junk === "object" ? junk : {}) }, { type: "Other", id }];
          for (const input of inputs) {
            const parsed = type.parse(input);
            if ("rejected" in parsed) expect(parsed.reason).toBe("invalid");
            else expect(parsed.type).toBe(type.type);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("the registry", () => {
  it("knows every noun by its events and commands, each in version 1 and level 1", () => {
    expect(registry.nouns.map(({ name }) => name)).toEqual([
      "cluster",
      "node",
      "setting",
      "backup",
      "instance",
      "fleet",
      "restoration",
      "restoration-part",
    ]);
    for (const noun of registry.nouns) {
      for (const { type, v, level } of noun.events) expect([registry.nounOf(type)?.name, v, level]).toEqual([noun.name, 1, 1]);
      for (const { type } of noun.commands) expect(registry.command(type)?.type).toBe(type);
    }
  });

  it("refuses a world in which two nouns claim one word, and an event it cannot read", () => {
    const [first] = registry.nouns;
    if (first === undefined) throw new Error("there are nouns");
    expect(() => makeRegistry([first, first])).toThrow("noun cluster is claimed twice");
    expect(() => makeRegistry([first, { ...first, name: "other" }])).toThrow("is claimed twice");
    expect(() => registry.upcast({ type: "ClusterReady", v: 2, id: "home" })).toThrow("newer than v1");
    expect(() => registry.event("ClusterReady")?.parse({ type: "ClusterReady", v: 1, id: "home", more: 1 })).toThrow(
      'field "more" is not known',
    );
  });

  it("throws on events that its rules could not have made", () => {
    const world = readyCluster(1).world;
    for (const event of [
      { type: "NodeDrained", v: 1, id: "n1" },
      { type: "NodeLost", v: 1, id: "n7" },
      { type: "ClusterReady", v: 1, id: "away" },
    ]) {
      expect(() => world.apply([event])).toThrow(/not legal|does not exist/);
    }
    expect(() => world.apply([{ type: "ClusterInitialised", v: 1, id: "home" }])).toThrow("twice");
  });
});
