/** A place of Azure's for one test: the fake, a clock that runs only when somebody waits, and clients of it. */
import { make as redact } from "effect/Redacted";
import type { AzureCredentials } from "../../azure/credentials.ts";
import type { AzureOptions, AzureSeams } from "../../azure/options.ts";
import { vaultNameOf } from "../../azure/secrets.ts";
import { makeAzureProvider } from "../../azure.ts";
import { makeAccountLimits } from "../../http/rate-limiter.ts";
import type { HttpRequest, Transport } from "../../http/transport.ts";
import { defaultTransportLimits, makeUndiciTransport } from "../../http/undici-transport.ts";
import { nodeLabels } from "../../labels.ts";
import type { CloudProvider, Instance, InstanceSpec } from "../../provider.ts";
import type { EdgePlace, EdgeWorld } from "../edge-conformance.ts";
import { directTransport, serveFake, type FaultPlan } from "../http-fake.ts";
import { seededRandom, VirtualClock } from "../virtual-clock.ts";
import { FakeAzure, operator, place, type FakeAzureOptions } from "./fake.ts";

export const cluster = { id: "0123456789abcdef0123456789abcdef", name: "conform" };
/** Stands in every user data of these tests, and must stand nowhere else. */
export const ticket = "one-time-ticket-5d41402abc4b";
export const vaultHost = "fleet-vault.vault.azure.net";

export const azureMachine = {
  size: "Standard_B2s",
  image: "Debian:debian-12:12-gen2:latest",
  publicIp: true,
  networks: ["aether/nodes"],
  firewalls: [],
  sshKeys: [],
};

export const azureSpec = (name: string, extra: Partial<InstanceSpec> = {}): InstanceSpec => ({
  key: { cluster: cluster.name, node: name, attempt: 1 },
  name,
  address: "*:7600",
  machine: azureMachine,
  labels: nodeLabels(cluster, name),
  userData: redact(`#cloud-config\nruncmd:\n  - aetherd join --ticket ${ticket}\n`),
  ...extra,
});

export const noFaults: FaultPlan = () => undefined;

export const secretOf = ({ client, secret = "" }: { readonly client: string; readonly secret?: string }): AzureCredentials => ({
  kind: "secret",
  tenant: place.tenant,
  client,
  secret: redact(secret),
});

export interface AzureWorld extends EdgeWorld {
  readonly fake: FakeAzure;
  readonly clock: VirtualClock;
  /** Files that a client may read. */
  readonly files: Map<string, string>;
  /** A client as a process of its own would be: nothing shared but the vendor. */
  client(plan?: FaultPlan, options?: Partial<AzureOptions>): CloudProvider;
  /** The same over a given transport. */
  over(transport: Transport, options: Partial<AzureOptions>): CloudProvider;
}

export const nameOf = ({ id }: Instance): string => id.split(".")[0] ?? "";

export function makeAzureWorld(options: Partial<FakeAzureOptions> = {}, seed = 1): AzureWorld {
  const clock = new VirtualClock();
  const fake = new FakeAzure({ now: clock.now, ...options });
  const files = new Map<string, string>();
  const client = (plan: FaultPlan = noFaults, other: Partial<AzureOptions> = {}): CloudProvider =>
    provider(clock, files, seed, directTransport(fake, "", plan), other);
  return {
    fake,
    clock,
    files,
    client,
    over: (transport, other) => provider(clock, files, seed, transport, other),
    cluster,
    provider: client(),
    another: client(),
    spec: (name) => Promise.resolve(azureSpec(name)),
    answers: (instance) => Promise.resolve(fake.compute.isRunning(nameOf(instance))),
    crash: (instance) => Promise.resolve(fake.compute.crash(nameOf(instance))),
    edge: edgePlace(fake, clock),
    close: () => refuseViolations(fake),
  };
}

const edgePlace = (fake: FakeAzure, clock: VirtualClock): EdgePlace => ({
  putSecret: (path, text) => Promise.resolve(fake.vault.putSecret(vaultNameOf(path), text)),
  addBalancer: (name) => Promise.resolve(void fake.pools.add(name)),
  disown: (instance) => {
    const found = fake.compute.machines.get(nameOf(instance));
    if (found !== undefined) found.tags = { team: "web" };
    return Promise.resolve();
  },
  validate: () => Promise.resolve(clock.advance(60_000)),
  asksNoProof: true,
});

/** The same over real HTTP on loopback. `exchangeMs` is real time; `between` stands before the Resource Manager and gives its own URL. */
export async function makeServedWorld(
  plan: FaultPlan,
  exchangeMs = defaultTransportLimits.exchangeMs,
  between: (url: string) => Promise<string> = (url) => Promise.resolve(url),
): Promise<AzureWorld> {
  const world = makeAzureWorld();
  let host: string | null = null;
  // Links in answers are to where its customers see it.
  const seen = (request: HttpRequest): HttpRequest =>
    host === null || request.url.pathname.endsWith("/token") ? request : { ...request, headers: { ...request.headers, host } };
  const { refusal } = world.fake;
  const served = await serveFake({ handle: (request) => world.fake.handle(seen(request)), refusal }, "", plan);
  const management = await between(served.url);
  host = new URL(management).host;
  const transports = [0, 1].map(() => makeUndiciTransport({ ...defaultTransportLimits, exchangeMs }));
  const env = { AETHER_AZURE_ENDPOINT: served.url, AETHER_AZURE_MANAGEMENT_ENDPOINT: management };
  const [one, another] = transports.map((transport) => provider(world.clock, world.files, 1, transport, { env }));
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

function provider(
  clock: VirtualClock,
  files: ReadonlyMap<string, string>,
  seed: number,
  transport: Transport,
  other: Partial<AzureOptions>,
): CloudProvider {
  const options: AzureOptions = {
    cluster: cluster.name,
    region: place.region,
    subscription: place.subscription,
    resourceGroup: place.resourceGroup,
    machine: azureMachine,
    credentials: secretOf(operator),
    adminUser: "aether",
    vault: vaultHost,
    env: {},
    ...other,
  };
  const readText = (path: string): Promise<string> => {
    const text = files.get(path);
    return text === undefined ? Promise.reject(new Error(`no file ${path}`)) : Promise.resolve(text);
  };
  const limiterOf = makeAccountLimits(clock);
  const seams: AzureSeams = { transport, clock, random: seededRandom(seed), limiterOf, readText };
  return makeAzureProvider(options, seams);
}

function refuseViolations(fake: FakeAzure): Promise<void> {
  const found = [...new Set(fake.violations)];
  return found.length === 0 ? Promise.resolve() : Promise.reject(new Error(`against the published model: ${found.join("; ")}`));
}
