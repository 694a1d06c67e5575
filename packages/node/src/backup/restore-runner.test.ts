import { chosenBy } from "@aether/core/backup/plan";
import { filesOf, observedFolder, parseThing, type WantedThing } from "@aether/core/backup/thing-files";
import { reject, type Command, type Reason, type Rejection } from "@aether/core/kernel/command";
import type { World } from "@aether/core/kernel/world";
import { registry } from "@aether/core/registry";
import type { RestorationRow } from "@aether/core/restoration/state";
import { readyCluster, RulesBench } from "@aether/core/testing/rules-bench";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RestoreRunner, type Restored, type RestoreProgress, type Submit, type Submitted } from "./restore-runner.ts";

const source = { commit: "0a1b2c3d", index: 12, at: 1_000 };
const everything = chosenBy(registry, []);
const set = (id: string, value: unknown): Command => ({ type: "SetSetting", id, value });

function filesIn(world: World): Map<string, string> {
  const files = registry.nouns.flatMap((noun) => [...world.all(noun.name)].flatMap((stored) => filesOf(noun, stored)));
  return new Map(files.filter(({ path }) => !path.startsWith(`${observedFolder}/`)).map(({ path, text }) => [path, text]));
}
const backedUp = (world: World): WantedThing[] => [...filesIn(world)].map(([path, text]) => parseThing(registry, path, text));

/** What happens to a try on its way: it arrives, it is lost, or its answer is; or there is no leader. */
type Fate = "arrives" | "lost" | "answer lost" | "no leader";

/** A cluster that commands reach by way of these fates, and then arrive. Requests are remembered. */
class Remote {
  readonly bench: RulesBench;
  readonly asked: string[] = [];
  readonly #fates: Fate[];
  readonly #remembered = new Map<string, Submitted>();
  /** Called before each try. */
  before: (command: Command) => void = () => undefined;

  constructor(bench: RulesBench, fates: readonly Fate[] = []) {
    this.bench = bench;
    this.#fates = [...fates];
  }

  readonly submit: Submit = async (command, request) => {
    this.asked.push(`${command.type} ${request.replace(/^[^/]*/, "")}`);
    await Promise.resolve();
    const fate = this.#fates.shift() ?? "arrives";
    const open = (reason: Reason): Rejection => reject(reason, "a bad day", "again");
    if (fate === "lost") return open("ambiguous");
    if (fate === "no leader") return open("no_leader");
    this.before(command);
    const done = this.#remembered.get(request) ?? this.#decide(command, request);
    return fate === "answer lost" ? open("ambiguous") : done;
  };

  #decide(command: Command, request: string): Submitted | Rejection {
    const done = this.bench.try(command);
    if ("rejected" in done) return done;
    const submitted = { index: this.bench.world.index, answer: done.answer };
    if (done.events.length > 0) this.#remembered.set(request, submitted);
    return submitted;
  }
}

const runner = (pauses: number[] = []): RestoreRunner => {
  const pause = (ms: number): Promise<void> => Promise.resolve(void pauses.push(ms));
  return new RestoreRunner({ registry, rest: () => Promise.resolve(), pause, drawId: () => "r-1" });
};
const succeeded = (result: Restored | Rejection): Restored => {
  if ("rejected" in result) throw new Error(result.message);
  return result;
};

/** A backup of some settings, and the cluster after it was changed. */
function changedSince(count: number, text = ""): { bench: RulesBench; files: Map<string, string>; things: WantedThing[] } {
  const bench = readyCluster(3);
  for (let i = 0; i < count; i++) bench.try(set(`app/${i}`, `${text}${i}`));
  const [files, things] = [filesIn(bench.world), backedUp(bench.world)];
  for (let i = 0; i < count; i++) bench.try(i % 2 === 0 ? set(`app/${i}`, "changed") : { type: "RemoveSetting", id: `app/${i}` });
  bench.try(set("app/new", 1));
  return { bench, files, things };
}

describe("a restore", () => {
  it("plans, stages in parts of which none is too large, applies, and leaves nothing to do", async () => {
    const { bench, files, things } = changedSince(300, "x".repeat(10_000));
    const run = runner();
    const plan = await run.plan(bench.world, things, everything);
    expect([plan.things.length, plan.kept, plan.refused]).toEqual([301, [], null]);
    const remote = new Remote(bench);
    const progress: RestoreProgress[] = [];
    const restored = succeeded(await run.run(plan, source, remote.submit, (at) => progress.push(at)));
    expect(restored).toEqual({ restore: "r-1", index: bench.world.index, things: 301 });
    expect(filesIn(bench.world)).toEqual(files);
    expect(progress.map(({ staged, parts }) => `${staged}/${parts}`)).toEqual(["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]);
    expect(remote.asked.at(0)).toBe("BeginRestore /begin");
    expect(remote.asked.at(-1)).toBe("ApplyRestore /apply");
    const row = bench.world.get<RestorationRow>("restoration", "r-1")?.row;
    expect(row).toMatchObject({ state: "applied", source, things: 301, parts: 6 });
    const again = await run.plan(bench.world, things, everything);
    expect(again.things).toEqual([]);
    expect(await run.run(again, source, remote.submit)).toEqual({ restore: "", index: null, things: 0 });
  });

  it("is planned of all that another restore has changed, or of nothing of it, whenever that comes", async () => {
    for (const when of [1, 2, 3, 4, 5]) {
      const { bench, things } = changedSince(1_200);
      const remote = new Remote(bench);
      const first = await runner().plan(bench.world, things, everything);
      succeeded(await runner().run(first, source, remote.submit));
      const wanted = things.map((thing) =>
        thing.id.startsWith("app/") ? { ...thing, wanted: { value: "theirs", description: "" } } : thing,
      );
      let rests = 0;
      const rest = async (): Promise<void> => {
        if (++rests !== when) return;
        const others = new RestoreRunner({ registry, rest: () => Promise.resolve(), drawId: () => "theirs" });
        succeeded(await others.run(await others.plan(bench.world, wanted, everything), source, remote.submit));
      };
      const plan = await new RestoreRunner({ registry, rest }).plan(bench.world, things, everything);
      expect(rests).toBeGreaterThan(when);
      expect([plan.things.length, plan.refused]).toEqual([1_200, null]);
    }
  });

  it("has one digest for one plan, whatever version its things are of, and another for another", async () => {
    const { bench, things } = changedSince(4);
    const run = runner();
    const digest = async (): Promise<string> => (await run.plan(bench.world, things, everything)).digest;
    const first = await digest();
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    bench.try(set("app/0", "changed twice"));
    const second = await digest();
    bench.try(set("app/0", "changed"));
    expect(second).not.toBe(first);
    expect(await digest()).toBe(first);
    expect((await run.plan(bench.world, things, chosenBy(registry, ["setting/app/1"]))).digest).not.toBe(first);
  });

  it("says beforehand what the rules would not allow", async () => {
    const bench = readyCluster(3);
    bench.try({ type: "SetSetting", id: "cpu_critical", value: 0.99 });
    bench.try({ type: "SetSetting", id: "cpu_warning", value: 0.95 });
    const things = backedUp(bench.world);
    bench.try({ type: "SetSetting", id: "cpu_warning", value: 0.5 });
    bench.try({ type: "SetSetting", id: "cpu_critical", value: 0.6 });
    const refused = await runner().plan(bench.world, things, chosenBy(registry, ["setting/cpu_warning"]));
    expect(refused.refused).toMatchObject({ reason: "conflict", message: expect.stringContaining("cpu_critical = 0.6") });
    expect((await runner().plan(bench.world, things, everything)).refused).toBeNull();
  });

  it("is planned while the world goes on, under its feet as well", async () => {
    const bench = readyCluster(3);
    for (let i = 0; i < 2_000; i++) bench.try(set(`app/${i}`, 1));
    bench.try({ type: "DrainNode", id: "n3", reason: "fan" });
    const things = backedUp(bench.world);
    bench.try({ type: "UndrainNode", id: "n3" });
    for (let i = 0; i < 2_000; i++) bench.try(set(`app/${i}`, 2));
    let rests = 0;
    // after the node was looked at, and before the rules are
    const rest = (): Promise<void> => {
      if (++rests === 8) bench.try({ type: "DrainNode", id: "n3", reason: "another" });
      return Promise.resolve();
    };
    const plan = await new RestoreRunner({ registry, rest }).plan(bench.world, things, everything);
    expect(rests).toBeGreaterThan(8);
    expect(plan.things).toHaveLength(2_001);
    expect(plan.refused).toBeNull();
    expect(await runner().run(plan, source, new Remote(bench).submit)).toMatchObject({ reason: "stale" });
  });

  it("is refused as stale when something has changed since it was planned, and leaves nothing", async () => {
    const { bench, things } = changedSince(6);
    const plan = await runner().plan(bench.world, things, everything);
    for (const late of ["StageRestorePart", "ApplyRestore"]) {
      const remote = new Remote(bench);
      const now = filesIn(bench.world);
      let changed = false;
      remote.before = ({ type }) => {
        if (type === late && !changed) bench.try(set("app/2", `at ${late}`));
        changed ||= type === late;
      };
      const fresh = late === "StageRestorePart" ? plan : await runner().plan(bench.world, things, everything);
      const run = new RestoreRunner({ registry, drawId: () => `r-${late.toLowerCase()}` });
      expect(await run.run(fresh, source, remote.submit)).toMatchObject({ reason: "stale" });
      expect(remote.asked.at(-1)).toBe("DropRestore /drop");
      expect(bench.world.count("restoration-part")).toBe(0);
      expect(filesIn(bench.world).size).toBe(now.size);
    }
    expect(bench.world.get<{ value: unknown }>("setting", "app/0")?.row.value).toBe("changed");
  });

  it("has happened whole or not at all, whatever becomes of its messages, and knows which, or says that it does not", async () => {
    const fate = fc.constantFrom<Fate>("arrives", "arrives", "lost", "answer lost", "no leader");
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(fate, { maxLength: 60 }), fc.boolean(), async (fates, ends) => {
        const { bench, files, things } = changedSince(4);
        const before = filesIn(bench.world);
        // a run of bad luck that outlasts all tries
        const luck = ends ? [...fates, ...Array.from({ length: 40 }, (): Fate => "lost")] : fates;
        const remote = new Remote(bench, luck);
        const plan = await runner().plan(bench.world, things, everything);
        const result = await runner().run(plan, source, remote.submit);
        const now = filesIn(bench.world);
        const whole = bench.world.get<RestorationRow>("restoration", "r-1")?.row.state === "applied";
        expect(now).toEqual(whole ? files : before);
        outcomes.add("rejected" in result ? result.reason : "restored");
        if (!("rejected" in result)) expect(whole).toBe(true);
        else if (result.reason !== "ambiguous") expect(whole).toBe(false);
        const applied = bench.entries.filter((events) => events.some(({ type }) => type === "RestoreApplied"));
        expect(applied.length).toBe(whole ? 1 : 0);
        // whoever takes it up later finds a way
        const next = new RestoreRunner({ registry, drawId: () => "r-2" });
        const later = await next.plan(bench.world, things, everything);
        succeeded(await next.run(later, source, new Remote(bench).submit));
        expect(filesIn(bench.world)).toEqual(files);
      }),
      { numRuns: 400 },
    );
    expect(outcomes).toContain("restored");
    expect(outcomes).toContain("ambiguous");
  });

  it("that another one takes the place of says so, and the other is whole", async () => {
    const { bench, files, things } = changedSince(4);
    const plan = await runner().plan(bench.world, things, everything);
    const remote = new Remote(bench);
    let other: Restored | Rejection | null = null;
    const second = new RestoreRunner({ registry, drawId: () => "r-2" });
    const submit: Submit = async (command, request) => {
      if (command.type === "ApplyRestore") other ??= await second.run(plan, source, remote.submit);
      return remote.submit(command, request);
    };
    expect(await runner().run(plan, source, submit)).toMatchObject({
      reason: "conflict",
      message: expect.stringContaining("dropped"),
    });
    expect(other).toMatchObject({ restore: "r-2" });
    expect(filesIn(bench.world)).toEqual(files);
  });

  it("waits longer from try to try, and not for ever", async () => {
    const { bench, things } = changedSince(1);
    const pauses: number[] = [];
    const plan = await runner().plan(bench.world, things, everything);
    const remote = new Remote(
      bench,
      Array.from({ length: 100 }, (): Fate => "no leader"),
    );
    expect(await runner(pauses).run(plan, source, remote.submit)).toMatchObject({ reason: "no_leader" });
    expect(pauses).toEqual([250, 500, 750, 1000, 1250, 1500, 1750]);
    expect(remote.asked.length).toBe(8);
  });

  it("of more than fits is refused before anything is written", async () => {
    const { bench } = changedSince(1);
    const thing = {
      noun: "setting",
      id: "x",
      kind: "created",
      fields: [],
      wanted: "y".repeat(600_000),
      events: [],
      version: 0,
      index: 0,
    } as const;
    const plan = { things: Array.from({ length: 1_025 }, () => thing), kept: [], unchanged: 0 };
    const remote = new Remote(bench);
    expect(await runner().run(plan, source, remote.submit)).toMatchObject({ reason: "too_large" });
    expect(remote.asked).toEqual([]);
  });
});
