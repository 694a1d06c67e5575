/** A place of Google's for one test: the fake, a clock that runs only when somebody waits, and clients of it. */
import { make as redact } from "effect/Redacted";
import { makeGcpProvider, type GcpOptions, type GcpSeams } from "../../gcp.ts";
import { makeAccountLimits } from "../../http/rate-limiter.ts";
import type { Transport } from "../../http/transport.ts";
import { defaultTransportLimits, makeUndiciTransport } from "../../http/undici-transport.ts";
import { nodeLabels } from "../../labels.ts";
import type { CloudProvider, Instance, InstanceSpec } from "../../provider.ts";
import type { EdgeWorld } from "../edge-conformance.ts";
import { directTransport, serveFake, type FaultPlan } from "../http-fake.ts";
import { seededRandom, VirtualClock } from "../virtual-clock.ts";
import { FakeGcp, region, type FakeGcpOptions } from "./fake.ts";
import { credentialFiles, project } from "./tokens.ts";

export const cluster = { id: "0123456789abcdef0123456789abcdef", name: "conform" };
/** Stands in every user data of these tests, and must stand nowhere else. */
export const ticket = "one-time-ticket-5d41402abc4b";
export const zones = [`${region}-b`, `${region}-c`];

export const machine = {
  size: "e2-medium",
  image: "ubuntu-os-cloud/ubuntu-2404-lts-amd64",
  publicIp: true,
  networks: [],
  firewalls: [],
  sshKeys: [],
};

export const gcpSpec = (name: string, extra: Partial<InstanceSpec> = {}): InstanceSpec => ({
  key: { cluster: cluster.name, node: name, attempt: 1 },
  name,
  address: "*:7600",
  machine,
  labels: nodeLabels(cluster, name),
  userData: redact(`#cloud-config\nruncmd:\n  - aetherd join --ticket ${ticket}\n`),
  ...extra,
});

export const noFaults: FaultPlan = () => undefined;

type Files = Readonly<Record<string, string>>;
/** A login, which costs no signature: what the assertion must be is a test of its own. */
const login: Files = { "/home/ann/.config/gcloud/application_default_credentials.json": credentialFiles.authorized_user() };

export interface GcpClientOptions extends Partial<GcpOptions> {
  readonly files?: Files;
}

export interface GcpWorld extends EdgeWorld {
  readonly fake: FakeGcp;
  readonly clock: VirtualClock;
  /** A client as a process of its own would be: nothing shared but the vendor. */
  client(plan?: FaultPlan, options?: GcpClientOptions): CloudProvider;
}

export function makeGcpWorld(options: Partial<FakeGcpOptions> = {}, seed = 1): GcpWorld {
  const clock = new VirtualClock();
  const fake = new FakeGcp({ now: clock.now, ...options });
  let clients = 0;
  // No two processes draw the same numbers.
  const client = (plan: FaultPlan = noFaults, other: GcpClientOptions = {}): CloudProvider =>
    provider(clock, seed * 10_000 + (clients += 1), directTransport(fake, "", plan), other);
  return {
    fake,
    clock,
    client,
    cluster,
    provider: client(),
    another: client(),
    spec: (name) => Promise.resolve(gcpSpec(name)),
    answers: (instance) => Promise.resolve(fake.isRunning(instance.id)),
    crash: (instance: Instance) => {
      fake.machines.crash(...placeOf(instance));
      return Promise.resolve();
    },
    edge: {
      putSecret: (path, text) => Promise.resolve(fake.edge.put(path, text)),
      addBalancer: (name) => {
        for (const zone of zones) fake.groups.all.set(`${zone}/${name}`, []);
        return Promise.resolve();
      },
      disown: (instance) => {
        fake.machines.get(...placeOf(instance)).labels = {};
        return Promise.resolve();
      },
      validate: (ref) => {
        fake.edge.validate(ref);
        return Promise.resolve();
      },
    },
    close: () => refuseViolations(fake),
  };
}

export const placeOf = ({ id }: Pick<Instance, "id">): [zone: string, name: string] => {
  const [zone = "", name = ""] = id.split("/");
  return [zone, name];
};

/** The same over real HTTP on loopback. `exchangeMs` is real time; `between` stands before Compute Engine and gives its own URL. */
export async function makeServedWorld(
  plan: FaultPlan,
  exchangeMs = defaultTransportLimits.exchangeMs,
  between: (url: string) => Promise<string> = (url) => Promise.resolve(url),
): Promise<GcpWorld> {
  const world = makeGcpWorld();
  const served = await serveFake(world.fake, "", plan);
  const transports = [0, 1].map(() => makeUndiciTransport({ ...defaultTransportLimits, exchangeMs }));
  const env = { HOME: "/home/ann", AETHER_GCP_ENDPOINT: served.url, AETHER_GCP_COMPUTE_ENDPOINT: await between(served.url) };
  const [one, another] = transports.map((transport, at) => provider(world.clock, at + 1, transport, { env }));
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

function provider(clock: VirtualClock, seed: number, transport: Transport, other: GcpClientOptions): CloudProvider {
  const { files = login, ...rest } = other;
  const options: GcpOptions = {
    cluster: cluster.name,
    region,
    zones,
    project,
    machine,
    env: { HOME: "/home/ann" },
    ...rest,
  };
  const seams: GcpSeams = {
    transport,
    clock,
    random: seededRandom(seed),
    limiterOf: makeAccountLimits(clock),
    readFile: (path) => Promise.resolve(files[path] ?? null),
  };
  return makeGcpProvider(options, seams);
}

function refuseViolations(fake: FakeGcp): Promise<void> {
  const found = [...new Set(fake.violations)];
  return found.length === 0 ? Promise.resolve() : Promise.reject(new Error(`against the published model: ${found.join("; ")}`));
}
