/** Google Cloud as a place for machines: one project, the zones of one region. Several clusters may share it. */
import { readFile } from "node:fs/promises";
import { map } from "effect/Effect";
import { asEffect } from "./failure.ts";
import { makeCertificateApi } from "./gcp/certificate-api.ts";
import { makeCertificates } from "./gcp/certificates.ts";
import { makeComputeApi } from "./gcp/compute-api.ts";
import { makeCompute } from "./gcp/compute.ts";
import type { ReadFile } from "./gcp/credentials.ts";
import { fault } from "./gcp/failure.ts";
import { makeLoadBalancers } from "./gcp/load-balancers.ts";
import { makeOperationWaiter } from "./gcp/operations.ts";
import { defaultTimes, type GcpTimes } from "./gcp/owned.ts";
import { preflight, type WantedMachine } from "./gcp/preflight.ts";
import { makeSecrets } from "./gcp/secrets.ts";
import { makeSession } from "./gcp/session.ts";
import type { Clock, Random } from "./http/clock.ts";
import type { RateLimiter, RateLimits } from "./http/rate-limiter.ts";
import type { RetryPolicy } from "./http/retry.ts";
import type { Transport } from "./http/transport.ts";
import { clusterLabels, labelKeys } from "./labels.ts";
import type { CloudProvider, Instance, Peer } from "./provider.ts";

export interface GcpOptions {
  readonly cluster: string;
  /** "europe-west1". Outages of others do not matter. */
  readonly region: string;
  /** Of that region, "europe-west1-b"; the first is for what names none. */
  readonly zones: readonly string[];
  /** Null: GOOGLE_CLOUD_PROJECT, then the one that the credentials or the machine name. */
  readonly project: string | null;
  /** What the cluster's machines are; preflight looks whether it is to be had. */
  readonly machine: WantedMachine;
  /** GOOGLE_APPLICATION_CREDENTIALS, HOME, AETHER_GCP_…_ENDPOINT; the program's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What the provider is given of the world outside. */
export interface GcpSeams {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** One for each account in this process: `makeAccountLimits`. */
  readonly limiterOf: (account: string, limits: RateLimits) => RateLimiter;
  readonly times?: GcpTimes;
  readonly retry?: RetryPolicy;
  /** Things on a page of a list, 1 to 500. */
  readonly pageSize?: number;
  /** Of credentials; the disk's when absent. */
  readonly readFile?: ReadFile;
}

/**
 * Throws a CloudFailure Invalid when an endpoint in `env` cannot be used. Credentials are looked for, and anything is sent, only when an
 * effect runs.
 */
export function makeGcpProvider(options: GcpOptions, seams: GcpSeams): CloudProvider {
  const { transport, clock, random, limiterOf, retry, times = defaultTimes, pageSize } = seams;
  const { cluster, region, zones, env } = options;
  const session = makeSession({
    env,
    project: options.project,
    readFile: seams.readFile ?? fileOrNull,
    transport,
    clock,
    random,
    limiterOf,
    ...(retry === undefined ? {} : { retry }),
  });
  const { project } = session;
  const sized = pageSize === undefined ? {} : { pageSize };
  const api = makeComputeApi({ client: session.compute, project, region, ...sized });
  const operations = makeOperationWaiter(api, clock, times);
  const compute = makeCompute({ cluster, region, zones, project, api, operations, clock, random, times });
  return {
    name: "gcp",
    compute,
    discovery: {
      peers: (wanted) => map(compute.list(clusterLabels(wanted)), (instances) => instances.map(asPeer)),
    },
    secrets: makeSecrets({ client: session.secretmanager, project }),
    loadBalancers: makeLoadBalancers({ cluster, api, operations, clock, random }),
    certificates: makeCertificates({
      api: makeCertificateApi({ client: session.certificatemanager, project, ...sized }),
      clock,
      times,
    }),
    preflight: asEffect((signal) => preflight({ api, session, region, zones, machine: options.machine, now: clock.now }, signal)),
  };
}

const asPeer = (instance: Instance): Peer => ({
  node: instance.labels[labelKeys.node] ?? instance.name,
  address: instance.address,
  instance: instance.id,
  state: instance.state,
});

async function fileOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    const message = `${path} cannot be read (${code})`;
    throw fault({ _tag: "Auth", kind: "unauthenticated", op: "find credentials", code, message });
  }
}
