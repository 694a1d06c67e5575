/** Hetzner Cloud as a place for machines. One token is one project of the vendor's; several clusters may share it. */
import { createHash } from "node:crypto";
import { map } from "effect/Effect";
import { value as reveal, type Redacted } from "effect/Redacted";
import type { CertificateIssuer } from "./certificates/issuer.ts";
import { asEffect } from "./failure.ts";
import { makeActionWaiter } from "./hetzner/actions.ts";
import { makeHetznerApi } from "./hetzner/api.ts";
import { makeCertificates } from "./hetzner/certificates.ts";
import { defaultTimes, makeCompute, type HetznerTimes } from "./hetzner/compute.ts";
import { classifyHetzner, remainingCalls } from "./hetzner/errors.ts";
import { makeLoadBalancers } from "./hetzner/load-balancers.ts";
import { preflight, type WantedMachine } from "./hetzner/preflight.ts";
import { makeApiClient } from "./http/api-client.ts";
import type { Clock, Random } from "./http/clock.ts";
import { endpointsFrom } from "./http/endpoints.ts";
import type { RateLimiter, RateLimits } from "./http/rate-limiter.ts";
import type { RetryPolicy } from "./http/retry.ts";
import { bearer } from "./http/signer.ts";
import type { Transport } from "./http/transport.ts";
import { clusterLabels, labelKeys } from "./labels.ts";
import type { CloudProvider, Instance, Peer } from "./provider.ts";
import { envSecrets } from "./secrets/env-secrets.ts";

export interface HetznerOptions {
  readonly cluster: string;
  /** A location of the vendor's, "fsn1", for what names no zone. */
  readonly region: string;
  /** What the cluster's machines are; preflight looks whether it is to be had. */
  readonly machine: WantedMachine;
  readonly token: Redacted;
  /** AETHER_HETZNER_ENDPOINT and AETHER_SECRET_…; the program's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Signs what is to be uploaded for {@link CloudProvider.certificates}; the vendor signs nothing. */
  readonly issuer?: CertificateIssuer | undefined;
}

/** What the provider is given of the world outside. */
export interface HetznerSeams {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** One for each account in this process: `makeAccountLimits`. */
  readonly limiterOf: (account: string, limits: RateLimits) => RateLimiter;
  readonly times?: HetznerTimes;
  readonly retry?: RetryPolicy;
  /** Things on a page of a list, 1 to 50. */
  readonly pageSize?: number;
}

/** 3600 calls an hour, refilled one a second. A burst is held well below, because other programs share the account. */
const rateLimits: RateLimits = { burst: 600, perSecond: 1, waitingMax: 1000 };

/** Throws a CloudFailure Invalid when the endpoint in `env` cannot be used. Nothing is sent until an effect runs. */
export function makeHetznerProvider(options: HetznerOptions, seams: HetznerSeams): CloudProvider {
  const { transport, clock, random, times = defaultTimes } = seams;
  const base = endpointsFrom("hetzner", options.env, () => "https://api.hetzner.cloud/v1").base("cloud");
  const client = makeApiClient({
    provider: "hetzner",
    base,
    signer: bearer(options.token),
    transport,
    limiter: seams.limiterOf(accountOf(base, options.token), rateLimits),
    clock,
    random,
    ...(seams.retry === undefined ? {} : { retry: seams.retry }),
    classify: classifyHetzner,
    remaining: remainingCalls,
  });
  const api = makeHetznerApi(client, seams.pageSize);
  const actions = makeActionWaiter(api, clock, times.pollMs, times.actionMs);
  const compute = makeCompute({ cluster: options.cluster, region: options.region, api, actions, clock, times });
  return {
    name: "hetzner",
    compute,
    discovery: {
      peers: (cluster) => map(compute.list(clusterLabels(cluster)), (instances) => instances.map(asPeer)),
    },
    secrets: envSecrets("hetzner", options.env),
    loadBalancers: makeLoadBalancers({ api, actions, clock }),
    certificates: makeCertificates({ api, now: clock.now, issuer: options.issuer }),
    preflight: asEffect((signal) => preflight(api, options.region, options.machine, signal)),
  };
}

const asPeer = (instance: Instance): Peer => ({
  node: instance.labels[labelKeys.node] ?? instance.name,
  address: instance.address,
  instance: instance.id,
  state: instance.state,
});

/** Two tokens are taken for two accounts, which at worst counts one project's calls twice. The digest gives nothing away. */
const accountOf = (base: URL, token: Redacted): string =>
  `hetzner ${base.origin} ${createHash("sha256").update(reveal(token)).digest("hex").slice(0, 16)}`;
