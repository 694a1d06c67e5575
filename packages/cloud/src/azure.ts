/** Microsoft Azure as a place for machines: one resource group of one subscription. */
import { map } from "effect/Effect";
import { makeCertificates } from "./azure/certificates.ts";
import { makeComputeApi } from "./azure/compute-api.ts";
import { makeCompute } from "./azure/compute.ts";
import { resourceId } from "./azure/create-body.ts";
import { classifyAzure, remainingCalls } from "./azure/errors.ts";
import { fault } from "./azure/failure.ts";
import { makeLoadBalancers } from "./azure/load-balancers.ts";
import { audienceTokens, claimsOf, signerOf, type Audience } from "./azure/login.ts";
import { defaultTimes, type AzureOptions, type AzureSeams, type AzureTimes } from "./azure/options.ts";
import { preflight } from "./azure/preflight.ts";
import { makeRest, type Rest } from "./azure/rest.ts";
import { makeSecrets } from "./azure/secrets.ts";
import { makeVault, vaultUrl } from "./azure/vault.ts";
import { asEffect } from "./failure.ts";
import { makeApiClient } from "./http/api-client.ts";
import { endpointsFrom } from "./http/endpoints.ts";
import type { RateLimits } from "./http/rate-limiter.ts";
import type { Signer } from "./http/signer.ts";
import { clusterLabels, labelKeys } from "./labels.ts";
import type { CloudProvider, Instance, Peer } from "./provider.ts";

/** 200 writes of one principal in one subscription at once, refilled ten a second. Reads have more, and share it here. */
const managementLimits: RateLimits = { burst: 200, perSecond: 10, waitingMax: 1000 };
/** 2,000 in ten seconds for a vault. */
const vaultLimits: RateLimits = { burst: 500, perSecond: 100, waitingMax: 1000 };

const management: Audience = "https://management.azure.com";

/** Throws a CloudFailure Invalid for an endpoint, a subscription or a vault that cannot be. Nothing is sent until an effect runs. */
export function makeAzureProvider(options: AzureOptions, seams: AzureSeams): CloudProvider {
  const { cluster, subscription, resourceGroup } = options;
  const { clock, times = defaultTimes } = seams;
  refuseOptions(options);
  const endpoints = endpointsFrom("azure", options.env, () => management);
  const base = endpoints.base("management");
  const parts = { ...seams, credentials: options.credentials, env: options.env };
  const tokens = audienceTokens(parts, management);
  const account = `azure ${base.origin} ${subscription}`;
  const rest = restOf(base, signerOf(parts, tokens), account, managementLimits, seams, times);
  const api = makeComputeApi(rest, subscription, resourceGroup);
  const compute = makeCompute({ place: options, rest, api, clock, times });
  const group = resourceId(options, "", "").replace(/\/providers.*$/, "");
  return {
    name: "azure",
    compute,
    discovery: {
      peers: (name) => map(compute.list(clusterLabels(name)), (instances) => instances.map(asPeer)),
    },
    ...(options.vault === null ? {} : vaultParts(options, options.vault, seams, times)),
    loadBalancers: makeLoadBalancers({ cluster, rest, api, clock, group, withinMs: times.powerMs }),
    preflight: asEffect((signal) => preflight({ rest, clock, claims: () => claimsOf(tokens), options }, signal)),
  };
}

function refuseOptions({ subscription, resourceGroup, region, adminUser }: AzureOptions): void {
  const wrong = [
    [subscription, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, "subscription"],
    [resourceGroup, /^[\w.()-]{0,89}[\w()-]$/, "resource group"],
    [region, /^[a-z0-9]{1,40}$/, "location"],
    [adminUser, /^[a-z_][a-z0-9_-]{0,31}$/, "user of a machine"],
  ].find(([text, grammar]) => !(grammar as RegExp).test(text as string));
  if (wrong === undefined) return;
  const message = `${JSON.stringify(wrong[0])} is no ${String(wrong[2])}`;
  throw fault({ _tag: "Invalid", op: "read the options", message });
}

function vaultParts(options: AzureOptions, name: string, seams: AzureSeams, times: AzureTimes) {
  const url = vaultUrl(name);
  const base = endpointsFrom("azure", options.env, () => url).base("vault");
  const parts = { ...seams, credentials: options.credentials, env: options.env };
  const signer = signerOf(parts, audienceTokens(parts, "https://vault.azure.net"));
  const vault = makeVault(restOf(base, signer, `azure ${base.origin} vault`, vaultLimits, seams, times));
  return { secrets: makeSecrets(vault), certificates: makeCertificates(vault, options.certificateIssuer ?? "Self") };
}

function restOf(base: URL, signer: Signer, account: string, limits: RateLimits, seams: AzureSeams, times: AzureTimes): Rest {
  const { transport, clock, random } = seams;
  const client = makeApiClient({
    provider: "azure",
    base,
    signer,
    transport,
    limiter: seams.limiterOf(account, limits),
    clock,
    random,
    ...(seams.retry === undefined ? {} : { retry: seams.retry }),
    classify: classifyAzure,
    remaining: remainingCalls,
  });
  return makeRest(client, base, clock, times.pollMs);
}

const asPeer = (instance: Instance): Peer => ({
  node: instance.labels[labelKeys.node] ?? instance.name,
  address: instance.address,
  instance: instance.id,
  state: instance.state,
});
