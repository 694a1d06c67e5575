/** The services of one account in one region, each with its own limit, all with the same credentials. */
import { makeApiClient, type ApiClient } from "../http/api-client.ts";
import type { Clock, Random } from "../http/clock.ts";
import { endpointsFrom } from "../http/endpoints.ts";
import type { RateLimiter, RateLimits } from "../http/rate-limiter.ts";
import type { RetryPolicy } from "../http/retry.ts";
import type { Signer } from "../http/signer.ts";
import type { Transport } from "../http/transport.ts";
import { credentialChain } from "./credential-chain.ts";
import { fixedCredentials, type AwsCredentials, type CredentialSource, type Environment } from "./credentials.ts";
import { classifyAws } from "./errors.ts";
import { profileName } from "./profiles.ts";
import { sigV4Signer } from "./sigv4-signer.ts";
import { makeSts, type Sts } from "./sts.ts";

/** By the vendor's prefix of their addresses, which is the name they are signed for too. */
export const awsServices = ["ec2", "elasticloadbalancing", "secretsmanager", "acm", "sts"] as const;
export type AwsServiceName = (typeof awsServices)[number];

export interface ServiceSeams {
  readonly transport: Transport;
  /** For the metadata service; one that gives up soon. The same as `transport` when absent. */
  readonly metadataTransport?: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly limiterOf: (account: string, limits: RateLimits) => RateLimiter;
  readonly retry?: RetryPolicy;
}

/** The vendor publishes buckets per action and region and tells no counts; this stays below the smallest that matter. */
const rateLimits: RateLimits = { burst: 50, perSecond: 10, waitingMax: 1000 };

const unsigned: Signer = { confidential: [], sign: (request) => Promise.resolve(request) };

export interface AwsServices {
  readonly client: (service: AwsServiceName) => ApiClient;
  readonly sts: Sts;
}

/** Without `credentials` they are looked for where AWS's tools look. Throws a CloudFailure Invalid for an endpoint that cannot be. */
export function makeServices(
  region: string,
  env: Environment,
  credentials: AwsCredentials | null,
  seams: ServiceSeams,
): AwsServices {
  const endpoints = endpointsFrom("aws", env, (service) => vendorAddress(service, region));
  const bases = new Map(awsServices.map((service) => [service, endpoints.base(service)] as const));
  const account = credentials?.accessKeyId ?? env["AWS_ACCESS_KEY_ID"] ?? `profile ${profileName(env)}`;
  const { clock, random, transport } = seams;
  const clientOf = (service: AwsServiceName, signer: Signer): ApiClient => {
    const base = bases.get(service);
    if (base === undefined) throw new Error(`no address of ${service}`);
    return makeApiClient({
      provider: "aws",
      base,
      signer,
      transport,
      limiter: seams.limiterOf(`aws ${base.origin} ${account} ${region} ${service}`, rateLimits),
      clock,
      random,
      ...(seams.retry === undefined ? {} : { retry: seams.retry }),
      classify: classifyAws,
      remaining: () => null,
    });
  };
  const stsWith = (source: CredentialSource | null): Sts =>
    makeSts(clientOf("sts", source === null ? unsigned : sigV4Signer(source, region, "sts", clock)));
  const metadata = { env, clock, random, limiterOf: seams.limiterOf, transport: seams.metadataTransport ?? transport };
  const source = credentials === null ? credentialChain({ metadata, stsWith }) : fixedCredentials(credentials);
  return {
    client: (service) => clientOf(service, sigV4Signer(source, region, service, clock)),
    sts: stsWith(source),
  };
}

/** The regions of China have addresses of their own. */
const vendorAddress = (service: string, region: string): string =>
  `https://${service}.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
