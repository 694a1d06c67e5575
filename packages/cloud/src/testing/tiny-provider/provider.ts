/** The tiny cloud as a place for machines: the smallest provider that keeps every rule. docs/providers/writing-a-provider.md reads it aloud. */
import { map } from "effect/Effect";
import type { Redacted } from "effect/Redacted";
import { asEffect } from "../../failure.ts";
import { makeApiClient } from "../../http/api-client.ts";
import { endpointsFrom } from "../../http/endpoints.ts";
import { bearer } from "../../http/signer.ts";
import { clusterLabels, labelKeys } from "../../labels.ts";
import type { CloudProvider, Instance, Peer } from "../../provider.ts";
import type { CloudSeams } from "../../provider-of.ts";
import { makeTinyApi, type TinyApi } from "./api.ts";
import { makeCompute } from "./compute.ts";
import { classifyTiny } from "./errors.ts";
import { failedAs, tiny } from "./failure.ts";

export interface TinyOptions {
  readonly cluster: string;
  /** A place of the vendor's. */
  readonly region: string;
  readonly token: Redacted;
  /** AETHER_TINY_ENDPOINT. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Throws a CloudFailure Invalid when the endpoint in `env` cannot be used. Nothing is sent until an effect runs. */
export function makeTinyProvider(options: TinyOptions, seams: CloudSeams): CloudProvider {
  const base = endpointsFrom(tiny, options.env, () => "https://api.tiny.example").base("machines");
  const client = makeApiClient({
    provider: tiny,
    base,
    signer: bearer(options.token),
    transport: seams.transport,
    limiter: seams.limiterOf(`tiny ${base.origin}`, { burst: 100, perSecond: 10, waitingMax: 1000 }),
    clock: seams.clock,
    random: seams.random,
    classify: classifyTiny,
    // The vendor tells no count of calls that are left.
    remaining: () => null,
  });
  const api = makeTinyApi(client);
  const compute = makeCompute({ cluster: options.cluster, region: options.region, api, clock: seams.clock });
  return {
    name: tiny,
    compute,
    discovery: { peers: (cluster) => map(compute.list(clusterLabels(cluster)), (instances) => instances.map(asPeer)) },
    // No secrets, no load balancers, no certificates: what a vendor does not have is left out.
    preflight: asEffect((signal) => preflight(api, options.region, signal)),
  };
}

async function preflight(api: TinyApi, region: string, signal: AbortSignal) {
  try {
    const isThere = (await api.places(signal)).includes(region);
    const place = { check: "the place", ok: isThere, detail: isThere ? region : `there is no place ${region}` };
    return [{ check: "the token is accepted", ok: true, detail: "it may read" }, place];
  } catch (failure) {
    if (!failedAs(failure, "Auth")) throw failure;
    return [{ check: "the token is accepted", ok: false, detail: failure.error.message }];
  }
}

const asPeer = (instance: Instance): Peer => ({
  node: instance.labels[labelKeys.node] ?? instance.name,
  address: instance.address,
  instance: instance.id,
  state: instance.state,
});
