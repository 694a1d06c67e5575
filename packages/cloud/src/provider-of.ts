/** The one place that knows all clouds: from the settings of a cluster to its provider. The command and the leader both come here. */
import { readFile } from "node:fs/promises";
import { make as redact } from "effect/Redacted";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { makeAwsProvider } from "./aws.ts";
import { azureCredentialsFrom } from "./azure/credentials.ts";
import { makeAzureProvider } from "./azure.ts";
import type { CertificateIssuer } from "./certificates/issuer.ts";
import { CloudFailure } from "./failure.ts";
import { makeGcpProvider } from "./gcp.ts";
import { makeHetznerProvider } from "./hetzner.ts";
import { systemClock, type Clock, type Random } from "./http/clock.ts";
import { isLoopback } from "./http/endpoints.ts";
import { makeAccountLimits, type RateLimiter, type RateLimits } from "./http/rate-limiter.ts";
import type { RetryPolicy } from "./http/retry.ts";
import type { Transport } from "./http/transport.ts";
import { makeUndiciTransport } from "./http/undici-transport.ts";
import { machineOf, zonesOf } from "./machine.ts";
import type { CloudProvider } from "./provider.ts";

/** What providers are given of the world outside. One for each process: its accounts share their limits. */
export interface CloudSeams {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly limiterOf: (account: string, limits: RateLimits) => RateLimiter;
  readonly retry?: RetryPolicy;
}

export interface ProviderWish {
  readonly settings: CloudSettings;
  /** Its name; only instances of this cluster are made. */
  readonly cluster: string;
  /** Credentials, AETHER_…_ENDPOINT and AETHER_SECRET_…; the program's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly seams: CloudSeams;
  /** The cluster's CA, where the cluster secret is at hand: signs for vendors that do not. */
  readonly issuer?: CertificateIssuer;
}

/**
 * The real world. `close` ends idle connections. AETHER_CLOUD_PACE, above 0 and at most 1, is for a vendor's fake, whose time is shorter:
 * all waits for the vendor are so much of what they would be. Throws a RangeError when it is anything else.
 */
export function processSeams(
  env: Readonly<Record<string, string | undefined>> = {},
): CloudSeams & { readonly close: () => Promise<void> } {
  const transport = makeUndiciTransport();
  const clock = paced(paceOf(env));
  return { transport, clock, random: Math.random, limiterOf: makeAccountLimits(clock), close: () => transport.close() };
}

/**
 * AETHER_CLOUD_PACE where a vendor's endpoint is on this computer, else 1: that a machine is gone is proved by waiting, and a vendor's own
 * time is never short.
 */
export function paceOf(env: Readonly<Record<string, string | undefined>>): number {
  const pace = Number(env["AETHER_CLOUD_PACE"] ?? 1);
  if (!(pace > 0 && pace <= 1)) throw new RangeError("AETHER_CLOUD_PACE is above 0 and at most 1");
  const isFake = Object.entries(env).some(([name, text = ""]) => {
    return /^AETHER_(HETZNER|AWS|GCP|AZURE)_ENDPOINT$/.test(name) && URL.canParse(text) && isLoopback(new URL(text));
  });
  return isFake ? pace : 1;
}

/** Only waits are shorter: what a clock says goes into signatures, and a deadline that is far off harms no fake. */
function paced(pace: number): Clock {
  if (pace === 1) return systemClock;
  return { now: systemClock.now, sleep: (ms, signal) => systemClock.sleep(Math.ceil(ms * pace), signal) };
}

/** Nothing is sent until an effect runs. Throws a CloudFailure: Auth without credentials, Invalid for an endpoint that cannot be. */
export function providerOf(wish: ProviderWish): CloudProvider {
  const { settings } = wish;
  const [zone = settings.region] = zonesOf(settings);
  return makers[settings.provider](wish, machineOf(settings, { zone, size: settings.instanceType }));
}

type Maker = (wish: ProviderWish, machine: ReturnType<typeof machineOf>) => CloudProvider;

const makers: Readonly<Record<CloudSettings["provider"], Maker>> = {
  hetzner: ({ settings, cluster, env, seams, issuer }, machine) => {
    const { HCLOUD_TOKEN: token = "" } = env;
    if (token === "") throw unauthenticated("hetzner", "the environment variable HCLOUD_TOKEN is not set");
    return makeHetznerProvider({ cluster, region: settings.region, machine, token: redact(token), env, issuer }, seams);
  },
  aws: ({ settings, cluster, env, seams }, machine) => {
    const { account } = settings.aws;
    const guard = account === undefined ? {} : { account };
    return makeAwsProvider({ cluster, region: settings.region, machine, env, ...guard }, seams);
  },
  gcp: ({ settings, cluster, env, seams }, machine) => {
    const { region, gcp } = settings;
    const options = { cluster, region, zones: zonesOf(settings), project: gcp.project ?? null, machine, env };
    return makeGcpProvider(options, seams);
  },
  azure: ({ settings, cluster, env, seams }, machine) => {
    const { subscription, resource_group: resourceGroup, vault = null, admin_user: adminUser } = settings.azure;
    if (subscription === undefined || resourceGroup === undefined) {
      const message = "[azure] subscription and resource_group, or AZURE_SUBSCRIPTION_ID and AZURE_RESOURCE_GROUP, must be set";
      throw new CloudFailure({ _tag: "Invalid", provider: "azure", op: "read the options", message });
    }
    const place = { cluster, region: settings.region, subscription, resourceGroup, adminUser, vault };
    const readText = (path: string): Promise<string> => readFile(path, "utf8");
    return makeAzureProvider({ ...place, machine, credentials: azureCredentialsFrom(env), env }, { ...seams, readText });
  },
};

const unauthenticated = (provider: "hetzner", message: string): CloudFailure =>
  new CloudFailure({ _tag: "Auth", kind: "unauthenticated", provider, op: "look for credentials", message });
