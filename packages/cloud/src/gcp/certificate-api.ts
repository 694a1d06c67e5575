/** Certificate Manager's API, one function per call that the provider makes. All is in the location "global". */
import type { Redacted } from "effect/Redacted";
import type { ApiCall, ApiClient } from "../http/api-client.ts";
import { jsonBody, jsonReader } from "../http/json.ts";
import type { Labels } from "../provider.ts";
import { allPages } from "./paging.ts";
import { fault } from "./failure.ts";
import * as shapes from "./shapes.ts";
import type { DnsAuthorization, GcpCertificate, LongOperation } from "./shapes.ts";

export type NewCertificate = { readonly labels: Labels } & (
  | { readonly managed: { readonly domains: readonly string[]; readonly dnsAuthorizations: readonly string[] } }
  | { readonly selfManaged: { readonly pemCertificate: string; readonly pemPrivateKey: string } }
);

export interface CertificateApi {
  readonly certificate: (id: string, signal: AbortSignal) => Promise<GcpCertificate>;
  readonly certificates: (labels: Labels, signal: AbortSignal) => Promise<readonly GcpCertificate[]>;
  readonly create: (
    id: string,
    body: NewCertificate,
    confidential: readonly Redacted[],
    signal: AbortSignal,
  ) => Promise<LongOperation>;
  readonly remove: (id: string, signal: AbortSignal) => Promise<LongOperation>;
  readonly authorization: (id: string, signal: AbortSignal) => Promise<DnsAuthorization>;
  readonly authorize: (
    id: string,
    body: { readonly domain: string; readonly labels: Labels },
    signal: AbortSignal,
  ) => Promise<LongOperation>;
  readonly removeAuthorization: (id: string, signal: AbortSignal) => Promise<LongOperation>;
  /** The whole name of an authorization, as certificates point to it. */
  readonly authorizationName: (id: string, signal: AbortSignal) => Promise<string>;
  /** `name` as the vendor gave it. */
  readonly operation: (name: string, signal: AbortSignal) => Promise<LongOperation>;
}

const read = {
  certificate: jsonReader(shapes.CertificateShape),
  certificates: jsonReader(shapes.CertificatePage),
  authorization: jsonReader(shapes.AuthorizationShape),
  operation: jsonReader(shapes.LongOperationShape),
};

export interface CertificateApiParts {
  readonly client: ApiClient;
  readonly project: (signal: AbortSignal) => Promise<string>;
  readonly pageSize?: number;
}

export function makeCertificateApi({ client, project, pageSize = 100 }: CertificateApiParts): CertificateApi {
  const parent = async (signal: AbortSignal): Promise<string> => `projects/${await project(signal)}/locations/global`;
  const get = async <A>(op: string, below: string, reader: ApiCall<A>["read"], signal: AbortSignal): Promise<A> =>
    client.call({ op, method: "GET", path: `/v1/${await parent(signal)}/${below}`, idempotent: true, read: reader }, signal);
  const remove = async (op: string, below: string, signal: AbortSignal): Promise<LongOperation> =>
    client.call(
      { op, method: "DELETE", path: `/v1/${await parent(signal)}/${below}`, idempotent: true, read: read.operation },
      signal,
    );
  const create = async (
    kind: "certificate" | "dnsAuthorization",
    id: string,
    body: unknown,
    confidential: readonly Redacted[],
    signal: AbortSignal,
  ) =>
    client.call(
      {
        op: `create ${kind} ${id}`,
        method: "POST",
        path: `/v1/${await parent(signal)}/${kind}s`,
        query: [[`${kind}Id`, id]],
        body: jsonBody(body),
        // Its name is unique, but whether a lost answer was a yes is for the caller to look up.
        idempotent: false,
        confidential,
        read: read.operation,
      },
      signal,
    );
  return {
    certificate: (id, signal) => get(`read certificate ${id}`, `certificates/${id}`, read.certificate, signal),
    certificates: async (labels, signal) =>
      listed(client, `/v1/${await parent(signal)}/certificates`, filterOf(labels), pageSize, signal),
    create: (id, body, confidential, signal) => create("certificate", id, body, confidential, signal),
    remove: (id, signal) => remove(`delete certificate ${id}`, `certificates/${id}`, signal),
    authorization: (id, signal) => get(`read authorization ${id}`, `dnsAuthorizations/${id}`, read.authorization, signal),
    authorize: (id, body, signal) => create("dnsAuthorization", id, body, [], signal),
    removeAuthorization: (id, signal) => remove(`delete authorization ${id}`, `dnsAuthorizations/${id}`, signal),
    authorizationName: async (id, signal) => `${await parent(signal)}/dnsAuthorizations/${id}`,
    operation: async (name, signal) => {
      // It becomes a path: only an operation's name may.
      if (!/^projects\/[a-z0-9.:-]+\/locations\/global\/operations\/[A-Za-z0-9._-]+$/.test(name)) {
        throw fault({ _tag: "Protocol", op: "read operation", message: `${JSON.stringify(name)} is no name of an operation` });
      }
      return client.call(
        {
          op: `read operation ${shapes.lastPart(name)}`,
          method: "GET",
          path: `/v1/${name}`,
          idempotent: true,
          read: read.operation,
        },
        signal,
      );
    },
  };
}

async function listed(client: ApiClient, path: string, filter: string, pageSize: number, signal: AbortSignal) {
  const op = "list certificates";
  const pages = await allPages(op, (token) => {
    const paging = [["pageSize", String(pageSize)] as const, ...(token === null ? [] : [["pageToken", token] as const])];
    const query = [["filter", filter] as const, ...paging];
    return client.call({ op, method: "GET", path, query, idempotent: true, read: read.certificates }, signal);
  });
  const missing = pages.flatMap(({ unreachable = [] }) => unreachable)[0];
  if (missing === undefined) return pages.flatMap(({ certificates = [] }) => certificates);
  const message = `the list is not whole: ${missing} could not be reached`;
  throw fault({ _tag: "Transient", maybeApplied: false, op, message });
}

/** ANDed. */
const filterOf = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `labels.${key}="${value}"`)
    .join(" AND ");
