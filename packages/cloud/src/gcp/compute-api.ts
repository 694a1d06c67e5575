/** Compute Engine's API, one function per call that the provider makes. Facts: its published model (fixtures/cloud-models). */
import type { Redacted } from "effect/Redacted";
import type { ApiCall, ApiClient } from "../http/api-client.ts";
import { jsonBody, jsonReader } from "../http/json.ts";
import type { Method } from "../http/transport.ts";
import { carries } from "../labels.ts";
import type { Labels } from "../provider.ts";
import { allPages, wholeScopes } from "./paging.ts";
import * as shapes from "./shapes.ts";
import type { Endpoint, EndpointGroup, EndpointRow, GcpInstance, Operation } from "./shapes.ts";

/** Body of instances.insert, as the vendor names it. */
export interface InsertInstance {
  readonly name: string;
  readonly machineType: string;
  readonly labels: Labels;
  readonly metadata: { readonly items: readonly { readonly key: string; readonly value: string }[] };
  readonly disks: readonly {
    readonly boot: true;
    readonly autoDelete: true;
    readonly initializeParams: { readonly sourceImage: string; readonly labels: Labels };
  }[];
  readonly networkInterfaces: readonly {
    readonly network?: string;
    readonly subnetwork?: string;
    readonly accessConfigs?: readonly { readonly name: string; readonly type: "ONE_TO_ONE_NAT" }[];
  }[];
  readonly tags?: { readonly items: readonly string[] };
  readonly serviceAccounts?: readonly { readonly email: string; readonly scopes: readonly string[] }[];
  readonly scheduling?: { readonly provisioningModel: "SPOT"; readonly instanceTerminationAction: "STOP" };
  readonly resourcePolicies?: readonly string[];
}

export type PowerCall = "start" | "stop" | "reset" | "resume";

/** What an instance is called at the vendor. */
export interface Place {
  readonly zone: string;
  readonly name: string;
}

export interface ComputeApi {
  /** All that carry the labels, in every zone. Fails rather than give a part of our region. */
  readonly instances: (labels: Labels, signal: AbortSignal) => Promise<readonly GcpInstance[]>;
  readonly instance: (at: Place, signal: AbortSignal) => Promise<GcpInstance>;
  /** The same requestId is the same create, whose operation is answered again. */
  readonly insert: (
    zone: string,
    body: InsertInstance,
    requestId: string,
    userData: Redacted,
    signal: AbortSignal,
  ) => Promise<Operation>;
  readonly remove: (at: Place, requestId: string, signal: AbortSignal) => Promise<Operation>;
  readonly power: (at: Place, call: PowerCall, requestId: string, signal: AbortSignal) => Promise<Operation>;
  /** Replaces all labels of the version that `fingerprint` names; Conflict stale when there is a later one. */
  readonly setLabels: (
    at: Place,
    labels: Labels,
    fingerprint: string,
    requestId: string,
    signal: AbortSignal,
  ) => Promise<Operation>;
  readonly operation: (zone: string, name: string, signal: AbortSignal) => Promise<Operation>;
  /** Zonal network endpoint groups of that name, in every zone. */
  readonly groups: (name: string, signal: AbortSignal) => Promise<readonly EndpointGroup[]>;
  readonly endpoints: (at: Place, signal: AbortSignal) => Promise<readonly EndpointRow[]>;
  /** At most 500 endpoints. */
  readonly changeEndpoints: (
    at: Place,
    verb: "attach" | "detach",
    endpoints: readonly Endpoint[],
    requestId: string,
    signal: AbortSignal,
  ) => Promise<Operation>;
  /** How far the vendor's clock is before ours, in milliseconds; null when it does not say. */
  readonly clockSkew: (now: () => number, signal: AbortSignal) => Promise<number | null>;
  readonly region: (name: string, signal: AbortSignal) => Promise<typeof shapes.RegionShape.Type>;
  readonly machineType: (at: Place, signal: AbortSignal) => Promise<typeof shapes.MachineTypeShape.Type>;
  /** "projects/p/global/images/…", see `imagePath`. */
  readonly image: (path: string, signal: AbortSignal) => Promise<typeof shapes.ImageShape.Type>;
}

/** The vendor's maximum. */
const perPage = 500;

const read = {
  instances: jsonReader(shapes.InstancePage),
  instance: jsonReader(shapes.InstanceShape),
  operation: jsonReader(shapes.OperationShape),
  groups: jsonReader(shapes.GroupPage),
  endpoints: jsonReader(shapes.EndpointPage),
  region: jsonReader(shapes.RegionShape),
  machineType: jsonReader(shapes.MachineTypeShape),
  image: jsonReader(shapes.ImageShape),
  project: jsonReader(shapes.ProjectShape),
};

export interface ComputeApiParts {
  readonly client: ApiClient;
  readonly project: (signal: AbortSignal) => Promise<string>;
  readonly region: string;
  /** Things on a page, 1 to 500. */
  readonly pageSize?: number;
}

type Query = readonly (readonly [string, string])[];
type Aggregated = <P extends { readonly nextPageToken?: string | undefined }>(
  op: string,
  kind: string,
  filter: string,
  reader: ApiCall<P>["read"],
  signal: AbortSignal,
) => Promise<readonly P[]>;
interface Change {
  readonly op: string;
  readonly method?: Method;
  readonly path: string;
  readonly requestId: string;
  readonly body?: unknown;
  readonly confidential?: readonly Redacted[];
}

export function makeComputeApi(parts: ComputeApiParts): ComputeApi {
  const { client, region, pageSize = perPage } = parts;
  const root = async (signal: AbortSignal): Promise<string> => `/compute/v1/projects/${await parts.project(signal)}`;
  const get = async <A>(op: string, path: string, reader: ApiCall<A>["read"], signal: AbortSignal, query: Query = []) =>
    client.call({ op, method: "GET", path: `${await root(signal)}${path}`, query, idempotent: true, read: reader }, signal);
  /** With its requestId each of these may be sent as often as it takes. */
  const change = async ({ op, method = "POST", path, requestId, body, confidential = [] }: Change, signal: AbortSignal) =>
    client.call(
      {
        op,
        method,
        path: `${await root(signal)}${path}`,
        query: [["requestId", requestId]],
        ...(body === undefined ? {} : { body: jsonBody(body) }),
        idempotent: true,
        confidential,
        read: read.operation,
      },
      signal,
    );
  const aggregated: Aggregated = (op, kind, filter, reader, signal) =>
    allPages(op, (token) =>
      get(op, `/aggregated/${kind}`, reader, signal, [["filter", filter], ...paging(pageSize, token), partial]),
    );
  return {
    instances: async (labels, signal) => {
      const op = "list instances";
      const pages = await aggregated(op, "instances", filterOf(labels), read.instances, signal);
      const all = wholeScopes(op, region, pages).flatMap(({ instances = [] }) => instances);
      // Looked at again: a filter that is understood otherwise must not make somebody else's look like ours.
      return all.filter((instance) => carries(instance.labels ?? {}, labels));
    },
    instance: (at, signal) => get(`read instance ${at.name}`, instancePath(at), read.instance, signal),
    insert: (zone, body, requestId, userData, signal) =>
      change(
        { op: `create instance ${body.name}`, path: `/zones/${zone}/instances`, requestId, body, confidential: [userData] },
        signal,
      ),
    remove: (at, requestId, signal) =>
      change({ op: `delete instance ${at.name}`, method: "DELETE", path: instancePath(at), requestId }, signal),
    power: (at, call, requestId, signal) =>
      change({ op: `${call} instance ${at.name}`, path: `${instancePath(at)}/${call}`, requestId }, signal),
    setLabels: (at, labels, labelFingerprint, requestId, signal) =>
      change(
        { op: `label instance ${at.name}`, path: `${instancePath(at)}/setLabels`, requestId, body: { labels, labelFingerprint } },
        signal,
      ),
    operation: (zone, name, signal) => get(`read operation ${name}`, `/zones/${zone}/operations/${name}`, read.operation, signal),
    ...groupCalls({ change, aggregated, root, client, region, pageSize }),
    clockSkew: async (now, signal) => clockSkew(client, await root(signal), now, signal),
    region: (name, signal) => get(`read region ${name}`, `/regions/${name}`, read.region, signal),
    machineType: ({ zone, name }, signal) =>
      get(`look for machine type ${name}`, `/zones/${zone}/machineTypes/${name}`, read.machineType, signal),
    image: (path, signal) =>
      client.call(
        { op: `look for image ${path}`, method: "GET", path: `/compute/v1/${path}`, idempotent: true, read: read.image },
        signal,
      ),
  };
}

const clockSkew = (client: ApiClient, path: string, now: () => number, signal: AbortSignal): Promise<number | null> =>
  client.call(
    {
      op: "read the project",
      method: "GET",
      path,
      idempotent: true,
      read: (response, reading) => {
        read.project(response, reading);
        const theirs = Date.parse(response.headers["date"] ?? "");
        return Number.isNaN(theirs) ? null : theirs - now();
      },
    },
    signal,
  );

interface GroupParts {
  readonly change: (change: Change, signal: AbortSignal) => Promise<Operation>;
  readonly aggregated: Aggregated;
  readonly root: (signal: AbortSignal) => Promise<string>;
  readonly client: ApiClient;
  readonly region: string;
  readonly pageSize: number;
}

function groupCalls({ change, aggregated, root, client, region, pageSize }: GroupParts) {
  const path = ({ zone, name }: Place): string => `/zones/${zone}/networkEndpointGroups/${name}`;
  return {
    groups: async (name: string, signal: AbortSignal) => {
      const op = `look for endpoint groups ${name}`;
      const filter = `name = "${name}"`;
      const pages = await aggregated(op, "networkEndpointGroups", filter, read.groups, signal);
      return wholeScopes(op, region, pages).flatMap(({ networkEndpointGroups = [] }) => networkEndpointGroups);
    },
    endpoints: async (at: Place, signal: AbortSignal) => {
      const op = `list endpoints of ${at.name} in ${at.zone}`;
      const at_ = `${await root(signal)}${path(at)}/listNetworkEndpoints`;
      const body = jsonBody({ healthStatus: "SHOW" });
      const pages = await allPages(op, (token) =>
        // A list, for all that it is a POST.
        client.call(
          {
            op,
            method: "POST",
            path: at_,
            query: [...paging(pageSize, token)],
            body,
            idempotent: true,
            read: read.endpoints,
          },
          signal,
        ),
      );
      return pages.flatMap(({ items = [] }) => items);
    },
    changeEndpoints: (
      at: Place,
      verb: "attach" | "detach",
      networkEndpoints: readonly Endpoint[],
      requestId: string,
      signal: AbortSignal,
    ) => {
      const op = `${verb} endpoints of ${at.name} in ${at.zone}`;
      return change({ op, path: `${path(at)}/${verb}NetworkEndpoints`, requestId, body: { networkEndpoints } }, signal);
    },
  };
}

const instancePath = ({ zone, name }: Place): string => `/zones/${zone}/instances/${name}`;

const paging = (pageSize: number, token: string | null): Query => [
  ["maxResults", String(pageSize)],
  ...(token === null ? [] : [["pageToken", token] as const]),
];

/** A part that fails is then named, so that an outage in another region is not ours. */
const partial = ["returnPartialSuccess", "true"] as const;

/** ANDed. The label grammar leaves nothing in a value that could mean something here. */
const filterOf = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `(labels.${key} = "${value}")`)
    .join(" ");
