/** One instance's whole life on a real cloud: what the fakes promise, asked of the vendor itself. It always ends in a sweep by label. */
import { minutes } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import type { Clock } from "../http/clock.ts";
import { clusterLabels, nodeLabels } from "../labels.ts";
import { machineOf, zonesOf } from "../machine.ts";
import { pollUntil } from "../polling.ts";
import type { CloudError, CloudProvider, InstanceId, InstanceSpec, PowerAction } from "../provider.ts";
import { sweepInstances } from "../sweep.ts";

/** Always the same, so that the next smoke finds what a killed one left. Two at once in one account sweep each other's. */
export const smokeCluster = { id: "5170ce5170ce5170ce5170ce5170ce51", name: "aether-smoke" };
const node = "n1";
const mine = clusterLabels(smokeCluster.name);
/** Longer than any vendor's lists were seen to lag. */
const consistencyMs = 5_000;

export interface SmokeParts {
  readonly provider: CloudProvider;
  readonly settings: CloudSettings;
  readonly clock: Clock;
  /** A line for the person who looks on. */
  readonly say: (line: string) => void;
  /** Aborted: no further step, then the sweep. */
  readonly signal: AbortSignal;
}

export function smokeSpec(settings: CloudSettings): InstanceSpec {
  const [zone = settings.region] = zonesOf(settings);
  return {
    key: { cluster: smokeCluster.name, node, attempt: 1 },
    name: node,
    address: "*:7400",
    machine: machineOf(settings, { zone, size: settings.instanceType }),
    labels: nodeLabels(smokeCluster, node),
    userData: redact("#cloud-config\n{}\n"),
  };
}

/** True when every step held. Rejects only when the sweep fails: then there may be an instance left, and the message says so. */
export async function smoke(parts: SmokeParts): Promise<boolean> {
  const { say, signal } = parts;
  let holds = false;
  try {
    await sweep(parts, "before");
    for (const [name, step] of steps(parts)) {
      signal.throwIfAborted();
      say(`ok    ${name}: ${await step()}`);
    }
    holds = true;
  } catch (failure) {
    say(`${signal.aborted ? "ended " : "FAILED"} ${words(failure)}`);
  } finally {
    await sweep(parts, "after");
  }
  return holds;
}

async function sweep({ provider, clock, say }: SmokeParts, when: "before" | "after"): Promise<void> {
  const options = { cluster: smokeCluster.name, expected: 1, consistencyMs };
  try {
    // Not to be interrupted: it is what must happen.
    say(`sweep ${when}: ${await runPromise(sweepInstances(provider, options, clock))} deleted`);
  } catch (failure) {
    const left = `an instance labelled aether-cluster=${smokeCluster.name} may be left and cost money`;
    throw new Error(`the sweep ${when} failed: ${words(failure)}; ${left}`, { cause: failure });
  }
}

const words = (failure: unknown): string =>
  failure instanceof Error ? failure.message : [(failure as CloudError)._tag, (failure as CloudError).message].join(" ");

type Step = readonly [name: string, run: () => Promise<string>];

interface Life extends SmokeParts {
  readonly run: <A>(effect: Effect<A, CloudError>) => Promise<A>;
  readonly shows: (what: string, look: () => Promise<boolean>) => Promise<void>;
  readonly becomes: (state: "running" | "stopped") => Promise<string>;
  /** Empty until `ensure` has given it. */
  id: InstanceId;
}

function steps(parts: SmokeParts): readonly Step[] {
  const { provider, clock, signal } = parts;
  const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect, { signal });
  const life: Life = {
    ...parts,
    run,
    shows: async (what, look) => {
      const timing = { everyMs: 1_000, withinMs: 60_000 };
      claim((await pollUntil(clock, timing, signal, async () => (await look()) || null)) !== null, what);
    },
    becomes: async (state) => (await run(provider.compute.awaitState(life.id, [state], minutes(5)))).rawState,
    id: "" as InstanceId,
  };
  return [...making(life), ...looking(life), ...ending(life)];
}

function claim(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what);
}

function making(life: Life): readonly Step[] {
  const { provider, settings, run } = life;
  const spec = smokeSpec(settings);
  const preflight = async (): Promise<string> => {
    const checks = await run(provider.preflight);
    const failed = checks.filter(({ ok }) => !ok).map(({ check, detail }) => `${check}: ${detail}`);
    claim(failed.length === 0, failed.join("; "));
    return `${checks.length} checks`;
  };
  const ensure = async (): Promise<string> => {
    const { instance, created } = await run(provider.compute.ensure(spec));
    claim(created, `${instance.id} was there before`);
    return (life.id = instance.id);
  };
  const again = async (): Promise<string> => {
    // Some vendors answer a repeated create as they answered the first, so `created` says nothing here.
    const { instance } = await run(provider.compute.ensure(spec));
    claim(instance.id === life.id, `a second instance ${instance.id} beside ${life.id}`);
    return "the same";
  };
  return [
    ["preflight", preflight],
    ["ensure", ensure],
    ["ensure again", again],
    ["running", () => life.becomes("running")],
  ];
}

function looking(life: Life): readonly Step[] {
  const { run, shows } = life;
  const { compute, discovery } = life.provider;
  const get = async (): Promise<string> => {
    const { address, name } = await run(compute.get(life.id));
    claim(name === node && address.endsWith(":7400"), `${name} at ${address}`);
    return address;
  };
  const list = async (): Promise<string> => {
    await shows("no list shows it", async () => (await run(compute.list(mine))).some(({ id }) => id === life.id));
    await shows("discovery does not show it", async () => (await run(discovery.peers(smokeCluster.name))).length === 1);
    return "shown";
  };
  const label = async (): Promise<string> => {
    const { labels } = await run(compute.label(life.id, { set: { "aether-ring": "blue" } }));
    claim(labels["aether-ring"] === "blue" && labels["aether-node"] === node, JSON.stringify(labels));
    return "merged";
  };
  return [
    ["get", get],
    ["list", list],
    ["label", label],
  ];
}

function ending(life: Life): readonly Step[] {
  const { run, shows, becomes, signal } = life;
  const { compute } = life.provider;
  const powered = async (action: PowerAction, state: "running" | "stopped"): Promise<string> => {
    await run(compute.power(life.id, action));
    return becomes(state);
  };
  const remove = async (): Promise<string> => {
    const how = await run(compute.delete(life.id));
    const { _tag: tag } = await runPromise(flip(compute.get(life.id)), { signal });
    claim(how === "deleted" && tag === "NotFound", `${how}, then ${tag}`);
    return how;
  };
  const list = async (): Promise<string> => {
    await shows("a list still shows it", async () => (await run(compute.list(mine))).length === 0);
    return "empty";
  };
  return [
    ["stop", () => powered("stop-hard", "stopped")],
    ["start", () => powered("start", "running")],
    ["delete", remove],
    ["list after", list],
  ];
}

/** For steps that the vendor never ends. */
export const smokeWithin = minutes(20);
