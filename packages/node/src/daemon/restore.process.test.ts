/** Restores of several parts, asked for over HTTP as the CLI does, while daemons are killed. */
import { chosenBy } from "@aether/core/backup/plan";
import type { WantedThing } from "@aether/core/backup/thing-files";
import { reject, type Command, type Rejection } from "@aether/core/kernel/command";
import type { Stored, World } from "@aether/core/kernel/world";
import { registry } from "@aether/core/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RestoreRunner, type Restored, type Submit, type Submitted } from "../backup/restore-runner.ts";
import { leaderOf } from "../testing/cluster-facts.ts";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import type { TestClient } from "../testing/test-client.ts";

interface Setting {
  readonly key: string;
  readonly value: unknown;
  readonly version: number;
  readonly index: number;
}

const source = { commit: null, index: 1, at: 1 };
const onlyApp = chosenBy(registry, ["setting/app/*"]);
const many = 500;
/** Settings of some kilobytes each: six parts of a restore. */
const fleet = (salt: string): WantedThing[] =>
  Array.from({ length: many }, (_, i) => ({
    noun: "setting",
    id: `app/${i}`,
    wanted: { value: `${salt}${i}`.padEnd(6_000, "."), description: "" },
  }));

describe("a restore of a real cluster", () => {
  let h: ClusterHarness;
  let operator: TestClient;
  const runner = new RestoreRunner({ registry });

  const settings = (): Promise<readonly Setting[]> =>
    eventually("the settings are read", 60_000, async () => {
      const { status, body } = await operator.any("GET", "/v1/settings");
      const all = (body as { readonly settings: readonly Setting[] }).settings;
      return status === 200 ? all.filter(({ key }) => key.startsWith("app/")) : undefined;
    });
  /** The settings as the plan of a restore needs them. */
  const worldNow = async (): Promise<World> => {
    const rows = (await settings()).map(({ key: id, value, version, index }) => {
      return { id, version, index, at: 0, row: { value, description: "" } } satisfies Stored;
    });
    const byId = new Map(rows.map((stored) => [stored.id, stored]));
    return {
      get: <R>(noun: string, id: string) => (noun === "setting" ? (byId.get(id) as Stored<R> | undefined) : undefined),
      all: <R>(noun: string) => (noun === "setting" ? (rows as Iterable<Stored>) : []) as Iterable<Stored<R>>,
      count: (noun) => (noun === "setting" ? rows.length : 0),
    };
  };
  const salts = async (): Promise<readonly string[]> => {
    const values = (await settings()).map(({ value }) => String(value).replace(/\d.*$/, ""));
    return [`${values.length}`, ...new Set(values)];
  };
  const submit: Submit = async (command, request): Promise<Submitted | Rejection> => {
    try {
      const { status, body } = await operator.any("POST", "/v1/commands", command, { "idempotency-key": request });
      return status === 200 ? (body as Submitted) : { ...(body as Rejection), rejected: true };
    } catch (error) {
      return reject("ambiguous", (error as Error).message);
    }
  };
  /** Does something before the first command of a type is sent. */
  const acting = (type: string, act: (command: Command) => Promise<void>): Submit => {
    let acted = false;
    return async (command, request) => {
      if (command.type === type && !acted) {
        acted = true;
        await act(command);
      }
      return submit(command, request);
    };
  };
  const restored = async (things: readonly WantedThing[], how: Submit): Promise<Restored> => {
    const done = await runner.run(await runner.plan(await worldNow(), things, onlyApp), source, how);
    if ("rejected" in done) throw new Error(`${done.reason}: ${done.message}`);
    return done;
  };
  const appliedEntries = async (): Promise<number> => {
    const { address } = await leaderOf(h, operator, 60_000);
    const { body } = await operator.ask("GET", address, "/v1/events?from=1&limit=100000");
    return String(body).split("RestoreApplied").length - 1;
  };
  const back = async (nodes: readonly TestNode[]): Promise<void> => {
    for (const node of nodes) h.start(node);
    await leaderOf(h, operator, 60_000);
  };

  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3, historyKeep: 100_000 });
    await h.form();
    operator = await h.client("operator");
  }, 120_000);
  afterAll(() => h.dispose());

  it("is carried over the death of its leader", { timeout: 180_000 }, async () => {
    let killed: TestNode | null = null;
    const done = await restored(
      fleet("first"),
      acting("StageRestorePart", async () => {
        killed = await leaderOf(h, operator, 60_000);
        await h.kill(killed, "SIGKILL");
      }),
    );
    expect(done.things).toBe(many);
    expect(await salts()).toEqual([`${many}`, "first"]);
    if (killed !== null) await back([killed]);
    expect(await appliedEntries()).toBe(1);
  });

  it("that is given up midway has changed nothing, and the next one is whole", { timeout: 180_000 }, async () => {
    let parts = 0;
    const dies: Submit = (command, request) => {
      if (command.type === "StageRestorePart" && ++parts === 3) throw new Error("the client is killed");
      return submit(command, request);
    };
    await expect(restored(fleet("second"), dies)).rejects.toThrow("the client is killed");
    expect(await salts()).toEqual([`${many}`, "first"]);
    await restored(fleet("third").slice(1), submit);
    expect(await salts()).toEqual([`${many - 1}`, "third"]);
    expect(await appliedEntries()).toBe(2);
  });

  it("whose every daemon dies as it is applied is found to have happened once, or not", { timeout: 180_000 }, async () => {
    const dying: Submit = async (command, request) => {
      if (command.type !== "ApplyRestore" || h.nodes.every(({ process }) => process === null)) return submit(command, request);
      const asked = submit(command, request);
      await Promise.all(h.nodes.map((node) => h.kill(node, "SIGKILL")));
      await asked;
      await back(h.nodes);
      return reject("ambiguous", "everybody was dead");
    };
    let deaths = 0;
    const once: Submit = (command, request) =>
      (command.type === "ApplyRestore" && deaths++ === 0 ? dying : submit)(command, request);
    const done = await restored(fleet("fourth"), once);
    expect(deaths).toBeGreaterThan(1);
    expect(await salts()).toEqual([`${many}`, "fourth"]);
    expect(await appliedEntries()).toBe(3);
    const { body } = await operator.any("GET", `/v1/restorations/${done.restore}`);
    expect(body).toMatchObject({ state: "applied", appliedAt: done.index });
  });
});
