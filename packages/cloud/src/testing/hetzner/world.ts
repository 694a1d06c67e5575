/** A place of Hetzner's for one test: the fake, a clock that runs only when somebody waits, and clients of it. */
import { make as redact } from "effect/Redacted";
import { makeHetznerProvider, type HetznerOptions, type HetznerSeams } from "../../hetzner.ts";
import { bootMs } from "../../hetzner/server.ts";
import { makeAccountLimits } from "../../http/rate-limiter.ts";
import type { Transport } from "../../http/transport.ts";
import { defaultTransportLimits, makeUndiciTransport } from "../../http/undici-transport.ts";
import { nodeLabels } from "../../labels.ts";
import type { CloudProvider, Instance, InstanceSpec } from "../../provider.ts";
import type { EdgePlace, EdgeWorld } from "../edge-conformance.ts";
import { secretVariable } from "../../secrets/env-secrets.ts";
import { directTransport, serveFake, type FaultPlan } from "../http-fake.ts";
import { seededRandom, VirtualClock } from "../virtual-clock.ts";
import { fakeDefaults, FakeHetzner, type FakeHetznerOptions } from "./fake.ts";

export const cluster = { id: "0123456789abcdef0123456789abcdef", name: "conform" };
/** Stands in every user data of these tests, and must stand nowhere else. */
export const ticket = "one-time-ticket-5d41402abc4b";

export const hetznerSpec = (name: string, extra: Partial<InstanceSpec> = {}): InstanceSpec => ({
  key: { cluster: cluster.name, node: name, attempt: 1 },
  name,
  address: "*:7600",
  machine: { size: "cx22", image: "debian-12", publicIp: true, networks: [], firewalls: [], sshKeys: ["ops"] },
  labels: nodeLabels(cluster, name),
  userData: redact(`#cloud-config\nruncmd:\n  - aetherd join --ticket ${ticket}\n`),
  ...extra,
});

export const noFaults: FaultPlan = () => undefined;

export interface HetznerWorld extends EdgeWorld {
  readonly fake: FakeHetzner;
  readonly clock: VirtualClock;
  /** What the clients read of the environment. */
  readonly env: Record<string, string>;
  /** A client as a process of its own would be: nothing shared but the vendor. */
  client(plan?: FaultPlan, options?: Partial<HetznerOptions>): CloudProvider;
}

export function makeHetznerWorld(options: Partial<FakeHetznerOptions> = {}, seed = 1): HetznerWorld {
  const clock = new VirtualClock();
  const fake = new FakeHetzner({ now: clock.now, ...options });
  const env: Record<string, string> = {};
  const client = (plan: FaultPlan = noFaults, other: Partial<HetznerOptions> = {}): CloudProvider =>
    provider(clock, seed, directTransport(fake, "/v1", plan), { env, ...other });
  return {
    fake,
    clock,
    client,
    cluster,
    provider: client(),
    another: client(),
    spec: (name) => Promise.resolve(hetznerSpec(name)),
    answers: (instance) => Promise.resolve(fake.isRunning(Number(instance.id))),
    crash: (instance: Instance) => {
      fake.crash(Number(instance.id));
      clock.advance(bootMs);
      return Promise.resolve();
    },
    edge: edgePlace(fake, env),
    env,
    close: () => refuseViolations(fake),
  };
}

const edgePlace = (fake: FakeHetzner, env: Record<string, string>): EdgePlace => ({
  putSecret: (path, text) => {
    env[secretVariable(path)] = text;
    return Promise.resolve(null);
  },
  addBalancer: (name) => {
    fake.addBalancer(name);
    return Promise.resolve();
  },
  disown: ({ id }) => {
    const server = fake.servers.get(Number(id));
    if (server === undefined) throw new Error(`no server ${id}`);
    server.labels = { team: "web" };
    return Promise.resolve();
  },
  validate: null,
});

/** The same over real HTTP on loopback. `exchangeMs` is real time; `between` stands before the fake and gives its own URL. */
export async function makeServedWorld(
  plan: FaultPlan,
  exchangeMs = defaultTransportLimits.exchangeMs,
  between: (url: string) => Promise<string> = (url) => Promise.resolve(url),
): Promise<HetznerWorld> {
  const world = makeHetznerWorld();
  const served = await serveFake(world.fake, "/v1", plan);
  const url = await between(served.url);
  const transports = [0, 1].map(() => makeUndiciTransport({ ...defaultTransportLimits, exchangeMs }));
  const [one, another] = transports.map((transport) =>
    provider(world.clock, 1, transport, { env: Object.assign(world.env, { AETHER_HETZNER_ENDPOINT: url }) }),
  );
  if (one === undefined || another === undefined) throw new Error("two clients");
  return {
    ...world,
    provider: one,
    another,
    close: async () => {
      await Promise.all(transports.map((transport) => transport.close()));
      await served.close();
      await refuseViolations(world.fake);
    },
  };
}

function provider(clock: VirtualClock, seed: number, transport: Transport, other: Partial<HetznerOptions>): CloudProvider {
  const options: HetznerOptions = {
    cluster: cluster.name,
    region: "fsn1",
    machine: { size: "cx22", image: "debian-12" },
    token: redact(fakeDefaults.token),
    env: {},
    ...other,
  };
  const seams: HetznerSeams = { transport, clock, random: seededRandom(seed), limiterOf: makeAccountLimits(clock) };
  return makeHetznerProvider(options, seams);
}

function refuseViolations(fake: FakeHetzner): Promise<void> {
  const found = [...new Set(fake.violations)];
  return found.length === 0 ? Promise.resolve() : Promise.reject(new Error(`against the published model: ${found.join("; ")}`));
}
