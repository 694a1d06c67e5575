/** Amazon EC2 as a place for machines: instances and discovery. */
import { map } from "effect/Effect";
import { makeCompute, defaultTimes, type AwsTimes } from "./aws/compute.ts";
import type { AwsCredentials } from "./aws/credentials.ts";
import { makeEc2 } from "./aws/ec2.ts";
import { classifyEc2 } from "./aws/errors.ts";
import { preflight, type WantedMachine } from "./aws/preflight.ts";
import { sigV4Signer } from "./aws/sigv4-signer.ts";
import { asEffect } from "./failure.ts";
import { makeApiClient } from "./http/api-client.ts";
import type { Clock, Random } from "./http/clock.ts";
import { endpointsFrom } from "./http/endpoints.ts";
import type { RateLimiter, RateLimits } from "./http/rate-limiter.ts";
import type { RetryPolicy } from "./http/retry.ts";
import type { Transport } from "./http/transport.ts";
import { clusterLabels, labelKeys } from "./labels.ts";
import type { CloudProvider, Instance, Peer } from "./provider.ts";

export interface AwsOptions {
  readonly cluster: string;
  readonly region: string;
  /** What the cluster's machines are; preflight looks whether it is to be had. */
  readonly machine: WantedMachine;
  readonly credentials: AwsCredentials;
  /** AETHER_AWS_EC2_ENDPOINT, AETHER_AWS_ENDPOINT; the program's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What the provider is given of the world outside. */
export interface AwsSeams {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** One for each account in this process: `makeAccountLimits`. */
  readonly limiterOf: (account: string, limits: RateLimits) => RateLimiter;
  readonly times?: AwsTimes;
  readonly retry?: RetryPolicy;
  /** Instances on a page of a list, 5 to 1000. */
  readonly pageSize?: number;
}

/** The vendor publishes buckets per action and region and tells no counts; this stays below the smallest that matter. */
const rateLimits: RateLimits = { burst: 50, perSecond: 10, waitingMax: 1000 };

/** Throws a CloudFailure Invalid when the endpoint in `env` cannot be used. Nothing is sent until an effect runs. */
export function makeAwsProvider(options: AwsOptions, seams: AwsSeams): CloudProvider {
  const { region, credentials } = options;
  const { transport, clock, random, times = defaultTimes } = seams;
  const base = endpointsFrom("aws", options.env, (service) => `https://${service}.${region}.amazonaws.com`).base("ec2");
  const client = makeApiClient({
    provider: "aws",
    base,
    signer: sigV4Signer(credentials, region, "ec2", clock),
    transport,
    limiter: seams.limiterOf(`aws ${base.origin} ${credentials.accessKeyId} ${region} ec2`, rateLimits),
    clock,
    random,
    ...(seams.retry === undefined ? {} : { retry: seams.retry }),
    classify: classifyEc2,
    remaining: () => null,
  });
  const ec2 = makeEc2(client, seams.pageSize ?? 1000);
  const compute = makeCompute({ cluster: options.cluster, ec2, clock, times });
  return {
    name: "aws",
    compute,
    discovery: {
      peers: (cluster) => map(compute.list(clusterLabels(cluster)), (instances) => instances.map(asPeer)),
    },
    preflight: asEffect((signal) => preflight(ec2, region, options.machine, signal)),
  };
}

const asPeer = (instance: Instance): Peer => ({
  node: instance.labels[labelKeys.node] ?? instance.name,
  address: instance.address,
  instance: instance.id,
  state: instance.state,
});
