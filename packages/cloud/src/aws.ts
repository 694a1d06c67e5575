/** Amazon Web Services: machines on EC2, target groups, Secrets Manager, ACM. */
import { map } from "effect/Effect";
import { makeAcm } from "./aws/acm.ts";
import { makeCertificates } from "./aws/certificates.ts";
import { guardAccount } from "./aws/account-guard.ts";
import { makeCompute, defaultTimes, type AwsTimes } from "./aws/compute.ts";
import type { AwsCredentials, Environment } from "./aws/credentials.ts";
import { makeEc2 } from "./aws/ec2.ts";
import { makeElb } from "./aws/elb.ts";
import { makeImages } from "./aws/images.ts";
import { makeLoadBalancers } from "./aws/load-balancers.ts";
import { preflight, type WantedMachine } from "./aws/preflight.ts";
import { makeSecretsManager } from "./aws/secrets-manager.ts";
import { makeSecrets } from "./aws/secrets.ts";
import { makeServices, type ServiceSeams } from "./aws/services.ts";
import { asEffect } from "./failure.ts";
import { clusterLabels, labelKeys } from "./labels.ts";
import type { CloudProvider, Instance, Peer } from "./provider.ts";

export interface AwsOptions {
  readonly cluster: string;
  readonly region: string;
  /** What the cluster's machines are; preflight looks whether it is to be had. */
  readonly machine: WantedMachine;
  /** The only one in which anything is done, twelve digits; any when it is absent. */
  readonly account?: string;
  /** When absent they are looked for where AWS's own tools look: environment, profile, web identity, container, instance. */
  readonly credentials?: AwsCredentials;
  /**
   * The program's environment: AWS_…, and in place of the vendor's addresses AETHER_AWS_ENDPOINT or AETHER_AWS_<SERVICE>_ENDPOINT
   * (EC2, ELASTICLOADBALANCING, SECRETSMANAGER, ACM, STS) and AETHER_AWS_METADATA_ENDPOINT.
   */
  readonly env: Environment;
}

/** What the provider is given of the world outside. `limiterOf`: one for each account in this process, `makeAccountLimits`. */
export interface AwsSeams extends ServiceSeams {
  readonly times?: AwsTimes;
  /** Things on a page of a list, 5 to 1000. Read 1,000 on a page, 1,000 machines took 340 MB; read 250 on a page, 240. */
  readonly pageSize?: number;
}

/** The vendor's longest page of certificates. */
const certificatesOnPage = 1000;

/** Throws a CloudFailure Invalid when an endpoint in `env` cannot be used. Nothing is sent until an effect runs. */
export function makeAwsProvider(options: AwsOptions, seams: AwsSeams): CloudProvider {
  const { region, env, credentials = null } = options;
  const { clock, times = defaultTimes, pageSize = 250 } = seams;
  const { pollMs, consistencyMs } = times;
  const services = makeServices(region, env, credentials, seams);
  const ec2 = makeEc2(services.client("ec2"), pageSize);
  const images = makeImages(ec2, clock);
  const open = makeCompute({ cluster: options.cluster, ec2, images, clock, times });
  const compute = options.account === undefined ? open : guardAccount(open, services.sts, options.account);
  const acm = makeAcm(services.client("acm"), Math.min(pageSize, certificatesOnPage));
  return {
    name: "aws",
    compute,
    discovery: {
      peers: (cluster) => map(compute.list(clusterLabels(cluster)), (instances) => instances.map(asPeer)),
    },
    secrets: makeSecrets(makeSecretsManager(services.client("secretsmanager"))),
    loadBalancers: makeLoadBalancers({ elb: makeElb(services.client("elasticloadbalancing")), ec2, clock, pollMs }),
    certificates: makeCertificates({ acm, clock, pollMs, consistencyMs }),
    preflight: asEffect((signal) =>
      preflight({ ec2, images, sts: services.sts, clock, account: options.account ?? null }, region, options.machine, signal),
    ),
  };
}

const asPeer = (instance: Instance): Peer => ({
  node: instance.labels[labelKeys.node] ?? instance.name,
  address: instance.address,
  instance: instance.id,
  state: instance.state,
});
