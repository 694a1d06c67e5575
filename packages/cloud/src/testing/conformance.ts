/**
 * What every provider must keep, whatever stands behind it. A provider's own test file calls {@link conformance} with a
 * world of its own and adds only what is special to it.
 */
import { millis, seconds } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clusterLabels, nodeLabels } from "../labels.ts";
import type { CloudError, CloudProvider, Instance, InstanceId, InstanceSpec } from "../provider.ts";

/** One fresh, empty place for one test. */
export interface CloudWorld {
  readonly cluster: { readonly id: string; readonly name: string };
  readonly provider: CloudProvider;
  /** A second client of the same place, as another process or operator would have. */
  readonly another: CloudProvider;
  /** A spec for node `name`, the same each time it is asked for. */
  spec(name: string): Promise<InstanceSpec>;
  /** Does something run there that answers? */
  answers(instance: Instance): Promise<boolean>;
  /** Makes it end without the provider being asked. */
  crash(instance: Instance): Promise<void>;
  close(): Promise<void>;
}

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));

export function conformance(name: string, makeWorld: () => Promise<CloudWorld>): void {
  describe(`provider ${name}`, () => {
    let world: CloudWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(() => world.close());
    const compute = () => world.provider.compute;
    const mine = () => clusterLabels(world.cluster.name);
    const made = async (node: string): Promise<Instance> => {
      const { instance } = await run(compute().ensure(await world.spec(node)));
      return run(compute().awaitState(instance.id, ["running"], seconds(20)));
    };
    const answering = async (instance: Instance): Promise<void> => {
      await expect.poll(() => world.answers(instance), { timeout: 20_000 }).toBe(true);
    };

    it("makes an instance that runs and carries its labels from the first moment", async () => {
      const { instance, created } = await run(compute().ensure(await world.spec("n1")));
      expect(created).toBe(true);
      expect(instance.labels).toEqual(nodeLabels(world.cluster, "n1"));
      await answering(await made("n1"));
    });

    it("gives the same instance for the same key, however often it is asked", async () => {
      const first = await made("n1");
      const again = await run(world.another.compute.ensure(await world.spec("n1")));
      expect(again).toEqual({ created: false, instance: first });
      expect(await run(compute().list(mine()))).toEqual([first]);
    });

    it("makes one instance when several ask at once", async () => {
      const spec = await world.spec("n1");
      const asked = [0, 1, 2, 3].map((at) => run((at % 2 === 0 ? world.provider : world.another).compute.ensure(spec)));
      const answers = await Promise.all(asked);
      expect(new Set(answers.map((answer) => answer.instance.id)).size).toBe(1);
      // Exactly one where the vendor tells; some answer a repeated create as they answered the first.
      expect(answers.filter((answer) => answer.created).length).toBeGreaterThanOrEqual(1);
    });

    it("refuses another wish under a name that is taken", async () => {
      await made("n1");
      const spec = await world.spec("n1");
      const labels = { ...spec.labels, "aether-extra": "x" };
      expect(await failure(compute().ensure({ ...spec, labels }))).toMatchObject({ _tag: "Conflict", kind: "exists" });
    });

    it("takes an older attempt for stale and a newer one only after a delete", async () => {
      const old = await made("n1");
      const spec = await world.spec("n1");
      const next = { ...spec, key: { ...spec.key, attempt: spec.key.attempt + 1 } };
      expect(await failure(compute().ensure(next))).toMatchObject({ _tag: "Conflict", kind: "exists" });
      await run(compute().delete(old.id));
      const fresh = await run(compute().ensure(next));
      expect(fresh.instance.id).not.toBe(old.id);
      expect(await failure(compute().ensure(spec))).toMatchObject({ _tag: "Conflict", kind: "stale" });
    });

    it("finds instances by labels, all of them ANDed, and nothing by an empty selector", async () => {
      await made("n1");
      await made("n2");
      expect((await run(compute().list(mine()))).map((instance) => instance.name)).toEqual(["n1", "n2"]);
      expect((await run(compute().list({ ...mine(), "aether-node": "n2" }))).map((instance) => instance.name)).toEqual(["n2"]);
      expect(await run(compute().list(clusterLabels("another")))).toEqual([]);
      expect(await failure(compute().list({}))).toMatchObject({ _tag: "Invalid" });
    });

    it.each([
      ["an upper-case value", { "aether-version": "V1" }],
      ["a dotted value", { "aether-version": "1.2.0" }],
      ["an empty value", { "aether-version": "" }],
      ["a value of 64 characters", { "aether-version": "a".repeat(64) }],
      ["a key that is not ours", { version: "1" }],
    ])("refuses %s before anything is made", async (_, extra) => {
      const spec = await world.spec("n1");
      const refused = await failure(compute().ensure({ ...spec, labels: { ...spec.labels, ...extra } }));
      expect(refused).toMatchObject({ _tag: "Invalid" });
      expect(await run(compute().list(mine()))).toEqual([]);
    });

    it("refuses an instance without its cluster's labels, which no sweep would find", async () => {
      const spec = await world.spec("n1");
      expect(await failure(compute().ensure({ ...spec, labels: {} }))).toMatchObject({ _tag: "Invalid" });
      expect(await failure(compute().ensure({ ...spec, labels: { "aether-node": "n1" } }))).toMatchObject({ _tag: "Invalid" });
    });

    it("changes labels and leaves the others, and never those that say whose an instance is", async () => {
      const instance = await made("n1");
      const labels = nodeLabels(world.cluster, "n1");
      const set = { "aether-ring": "blue", "aether-rack": "r1" };
      expect((await run(compute().label(instance.id, { set }))).labels).toEqual({ ...labels, ...set });
      const next = { set: { "aether-ring": "green" }, unset: ["aether-rack"] };
      expect((await run(world.another.compute.label(instance.id, next))).labels).toEqual({ ...labels, "aether-ring": "green" });
      expect(await run(compute().list({ ...mine(), "aether-ring": "green" }))).toHaveLength(1);
      expect(await failure(compute().label(instance.id, { unset: ["aether-managed"] }))).toMatchObject({ _tag: "Invalid" });
      expect(await failure(compute().label(instance.id, { set: { "aether-cluster": "x" } }))).toMatchObject({ _tag: "Invalid" });
      expect(await failure(compute().label(instance.id, { set: { "aether-ring": "BLUE" } }))).toMatchObject({ _tag: "Invalid" });
      const again = await run(compute().ensure(await world.spec("n1")));
      expect([again.created, again.instance.labels["aether-ring"]]).toEqual([false, "green"]);
    });

    it("stops and starts an instance, which stays the same instance", async () => {
      const instance = await made("n1");
      await run(compute().power(instance.id, "stop-graceful"));
      expect((await run(compute().get(instance.id))).state).toBe("stopped");
      expect(await world.answers(instance)).toBe(false);
      await run(compute().power(instance.id, "start"));
      const again = await run(compute().awaitState(instance.id, ["running"], seconds(20)));
      expect(again.id).toBe(instance.id);
      await answering(again);
    });

    it("takes a start of a running and a stop of a stopped instance as done", async () => {
      const instance = await made("n1");
      await run(compute().power(instance.id, "start"));
      expect(await run(compute().get(instance.id))).toEqual(instance);
      await run(compute().power(instance.id, "stop-hard"));
      await run(compute().power(instance.id, "stop-hard"));
      expect((await run(compute().get(instance.id))).state).toBe("stopped");
    });

    it("reboots into the same instance", async () => {
      const instance = await made("n1");
      await run(compute().power(instance.id, "reboot"));
      const again = await run(compute().awaitState(instance.id, ["running"], seconds(20)));
      expect(again.id).toBe(instance.id);
      await answering(again);
    });

    it("tells an instance that ended by itself from one that was stopped, and starts it again", async () => {
      const instance = await made("n1");
      await world.crash(instance);
      expect((await run(compute().awaitState(instance.id, ["failed"], seconds(5)))).state).toBe("failed");
      await run(compute().power(instance.id, "start"));
      expect((await run(compute().awaitState(instance.id, ["running"], seconds(20)))).id).toBe(instance.id);
    });

    it("deletes for good: not found, not listed, not answering, and absent the second time", async () => {
      const instance = await made("n1");
      await answering(instance);
      expect(await run(compute().delete(instance.id))).toBe("deleted");
      expect(await failure(compute().get(instance.id))).toMatchObject({ _tag: "NotFound" });
      expect(await run(compute().list(mine()))).toEqual([]);
      expect(await world.answers(instance)).toBe(false);
      expect(await run(compute().delete(instance.id))).toBe("absent");
    });

    it("does not take a recycled name for the old instance", async () => {
      const old = await made("n1");
      await run(compute().delete(old.id));
      const spec = await world.spec("n1");
      const { instance: fresh } = await run(compute().ensure({ ...spec, key: { ...spec.key, attempt: 2 } }));
      await run(compute().awaitState(fresh.id, ["running"], seconds(20)));
      expect(await run(compute().delete(old.id))).toBe("absent");
      expect(await failure(compute().power(old.id, "stop-hard"))).toMatchObject({ _tag: "NotFound" });
      expect((await run(compute().get(fresh.id))).state).toBe("running");
    });

    it("says NotFound for an id that never was", async () => {
      const never = "n9.00000000" as InstanceId;
      expect(await failure(compute().get(never))).toMatchObject({ _tag: "NotFound", eventual: false });
      expect(await run(compute().delete(never))).toBe("absent");
    });

    it("waits no longer than it was told", async () => {
      const instance = await made("n1");
      const late = await failure(compute().awaitState(instance.id, ["stopped"], millis(100)));
      expect(late).toMatchObject({ _tag: "Deadline" });
    });

    it("shows a cluster's peers with their addresses", async () => {
      const [one, two] = [await made("n1"), await made("n2")];
      await run(compute().power(two.id, "stop-hard"));
      expect(await run(world.provider.discovery.peers(world.cluster.name))).toEqual([
        { node: "n1", address: one.address, instance: one.id, state: "running" },
        { node: "n2", address: two.address, instance: two.id, state: "stopped" },
      ]);
    });

    it("passes its own preflight where it can make instances", async () => {
      expect((await run(world.provider.preflight)).filter((check) => !check.ok)).toEqual([]);
    });
  });
}
