/** A place of the tiny cloud's for one test. */
import { make as redact } from "effect/Redacted";
import { makeAccountLimits } from "../../http/rate-limiter.ts";
import type { Transport } from "../../http/transport.ts";
import { defaultTransportLimits, makeUndiciTransport } from "../../http/undici-transport.ts";
import { nodeLabels } from "../../labels.ts";
import type { CloudProvider, InstanceSpec } from "../../provider.ts";
import type { CloudWorld } from "../conformance.ts";
import { directTransport, serveFake, type FaultPlan } from "../http-fake.ts";
import { seededRandom, VirtualClock } from "../virtual-clock.ts";
import { FakeTiny, tinyToken } from "./fake.ts";
import { makeTinyProvider } from "./provider.ts";

export const cluster = { id: "0123456789abcdef0123456789abcdef", name: "conform" };
/** Stands in every user data of these tests, and must stand nowhere else. */
export const ticket = "one-time-ticket-5d41402abc4b";

export const tinySpec = (name: string): InstanceSpec => ({
  key: { cluster: cluster.name, node: name, attempt: 1 },
  name,
  address: "*:7600",
  machine: { size: "small", image: "debian", publicIp: true, networks: [], firewalls: [], sshKeys: [] },
  labels: nodeLabels(cluster, name),
  userData: redact(`#cloud-config\nruncmd:\n  - aetherd join --ticket ${ticket}\n`),
});

export const noFaults: FaultPlan = () => undefined;

export interface TinyWorld extends CloudWorld {
  readonly fake: FakeTiny;
  readonly clock: VirtualClock;
  client(plan?: FaultPlan): CloudProvider;
}

export function makeTinyWorld(seed = 1): TinyWorld {
  const clock = new VirtualClock();
  const fake = new FakeTiny(clock.now);
  const client = (plan = noFaults): CloudProvider => provider(clock, seed, directTransport(fake, "", plan), {});
  return {
    fake,
    clock,
    client,
    cluster,
    provider: client(),
    another: client(),
    spec: (name) => Promise.resolve(tinySpec(name)),
    answers: ({ id }) => Promise.resolve(fake.isRunning(id)),
    crash: ({ id }) => Promise.resolve(fake.crash(id)),
    close: () => Promise.resolve(),
  };
}

/** The same over real HTTP on loopback. */
export async function makeServedTinyWorld(): Promise<TinyWorld> {
  const world = makeTinyWorld();
  const served = await serveFake(world.fake, "", noFaults);
  const transport = makeUndiciTransport(defaultTransportLimits);
  const client = (): CloudProvider => provider(world.clock, 1, transport, { AETHER_TINY_ENDPOINT: served.url });
  return {
    ...world,
    provider: client(),
    another: client(),
    close: async () => {
      await transport.close();
      await served.close();
    },
  };
}

const provider = (clock: VirtualClock, seed: number, transport: Transport, env: Record<string, string>): CloudProvider =>
  makeTinyProvider(
    { cluster: cluster.name, region: "here", token: redact(tinyToken), env },
    { transport, clock, random: seededRandom(seed), limiterOf: makeAccountLimits(clock) },
  );
