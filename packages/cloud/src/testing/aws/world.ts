/** A place of EC2's for one test: the fake, a clock that runs only when somebody waits, and clients of it. */
import { make as redact } from "effect/Redacted";
import type { Environment } from "../../aws/credentials.ts";
import { makeAwsProvider, type AwsOptions, type AwsSeams } from "../../aws.ts";
import { makeAccountLimits } from "../../http/rate-limiter.ts";
import type { Transport } from "../../http/transport.ts";
import { defaultTransportLimits, makeUndiciTransport } from "../../http/undici-transport.ts";
import { nodeLabels } from "../../labels.ts";
import type { CloudProvider, Instance, InstanceSpec } from "../../provider.ts";
import type { EdgePlace, EdgeWorld } from "../edge-conformance.ts";
import { directTransport, serveFake, type FaultPlan } from "../http-fake.ts";
import { FakeMetadata } from "./fake-metadata.ts";
import { seededRandom, VirtualClock } from "../virtual-clock.ts";
import { fakeDefaults, FakeEc2, type FakeEc2Options } from "./fake.ts";

export const cluster = { id: "0123456789abcdef0123456789abcdef", name: "conform" };
/** Stands in every user data of these tests, and must stand nowhere else. */
export const ticket = "one-time-ticket-5d41402abc4b";

export const awsSpec = (name: string, extra: Partial<InstanceSpec> = {}): InstanceSpec => ({
  key: { cluster: cluster.name, node: name, attempt: 1 },
  name,
  address: "*:7600",
  machine: {
    size: "t4g.small",
    image: "ami-0123456789abcdef0",
    publicIp: true,
    networks: ["subnet-0a1b2c3d"],
    firewalls: ["sg-0a1b2c3d", "sg-1a1b2c3d"],
    sshKeys: ["ops"],
  },
  labels: nodeLabels(cluster, name),
  userData: redact(`#cloud-config\nruncmd:\n  - aetherd join --ticket ${ticket} # ü&<>+\n`),
  ...extra,
});

export interface AwsWorld extends EdgeWorld {
  readonly fake: FakeEc2;
  readonly clock: VirtualClock;
  /** Where an instance or a container asks who it is. */
  readonly metadata: FakeMetadata;
  client(plan?: FaultPlan, options?: Partial<AwsOptions>): CloudProvider;
  /** A client that is given no credentials but what this environment leads to; without a transport it meets the fakes directly. */
  bare(env: Environment, plan?: FaultPlan, transport?: Transport): CloudProvider;
  /** A credentials file with one profile, which holds the account's own keys. */
  credentialsFile(profile: string): string;
}

const noFaults: FaultPlan = () => undefined;

export function makeAwsWorld(options: Partial<FakeEc2Options> = {}, seed = 1): AwsWorld {
  const clock = new VirtualClock();
  const fake = new FakeEc2({ now: clock.now, ...options });
  const metadata = new FakeMetadata(fake.sts);
  const client = (plan: FaultPlan = noFaults, other: Partial<AwsOptions> = {}): CloudProvider =>
    provider(clock, seed, directTransport(fake, "", plan), other);
  return {
    fake,
    clock,
    metadata,
    client,
    bare: (env, plan = noFaults, transport) => {
      const seams = {
        ...seamsOf(clock, seed, transport ?? directTransport(fake, "", plan)),
        metadataTransport: transport ?? directTransport(metadata, "", plan),
      };
      return makeAwsProvider({ cluster: cluster.name, region: fakeDefaults.region, machine, env }, seams);
    },
    credentialsFile: (profile) => {
      const { accessKeyId, secretAccessKey } = fakeDefaults.keys;
      return `[${profile}]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    },
    cluster,
    provider: client(),
    another: client(),
    spec: (name) => Promise.resolve(awsSpec(name)),
    answers: (instance) => Promise.resolve(fake.isRunning(instance.id)),
    crash: (instance: Instance) => Promise.resolve(fake.crash(instance.id)),
    edge: edgePlace(fake),
    close: () => {
      const found = [...new Set(fake.violations)];
      return found.length === 0 ? Promise.resolve() : Promise.reject(new Error(`against the service model: ${found.join("; ")}`));
    },
  };
}

const edgePlace = (fake: FakeEc2): EdgePlace => ({
  putSecret: (path, text) => Promise.resolve(fake.secrets.put(path, text)),
  addBalancer: (name) => {
    fake.elb.addGroup(name);
    return Promise.resolve();
  },
  disown: ({ id }) => {
    const instance = fake.instances.get(id);
    if (instance === undefined) throw new Error(`no instance ${id}`);
    instance.tags = { team: "web" };
    return Promise.resolve();
  },
  validate: (ref) => Promise.resolve(fake.acm.validate(ref)),
});

/** The same over real HTTP on loopback. */
export async function makeServedAwsWorld(): Promise<AwsWorld> {
  const world = makeAwsWorld();
  const served = await serveFake(world.fake, "", noFaults);
  const transport = makeUndiciTransport(defaultTransportLimits);
  const client = (): CloudProvider => provider(world.clock, 1, transport, { env: { AETHER_AWS_ENDPOINT: served.url } });
  return {
    ...world,
    provider: client(),
    another: client(),
    close: async () => {
      await transport.close();
      await served.close();
      await world.close();
    },
  };
}

function provider(clock: VirtualClock, seed: number, transport: Transport, other: Partial<AwsOptions>): CloudProvider {
  const { accessKeyId, secretAccessKey } = fakeDefaults.keys;
  const options: AwsOptions = {
    cluster: cluster.name,
    region: fakeDefaults.region,
    machine,
    credentials: { accessKeyId, secretAccessKey: redact(secretAccessKey), sessionToken: null },
    env: {},
    ...other,
  };
  return makeAwsProvider(options, seamsOf(clock, seed, transport));
}

const machine = { size: "t4g.small", image: "ami-0123456789abcdef0" };

const seamsOf = (clock: VirtualClock, seed: number, transport: Transport): AwsSeams => ({
  transport,
  clock,
  random: seededRandom(seed),
  limiterOf: makeAccountLimits(clock),
});
