/** Hetzner's API, one function per call that the provider makes. Facts: docs.hetzner.cloud, checked against its published model. */
import { value as reveal, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import { CloudFailure } from "../failure.ts";
import type { ApiCall, ApiClient } from "../http/api-client.ts";
import { ignoreBody, jsonBody, jsonReader } from "../http/json.ts";
import type { Labels } from "../provider.ts";
import { ActionShape, BalancerShape, CertificateShape, NamedList, PageShape, ServerShape } from "./shapes.ts";
import type { Action, Balancer, HetznerCertificate, Server } from "./shapes.ts";

/** Body of POST /servers, as the vendor names it. */
export interface CreateServer {
  readonly name: string;
  readonly server_type: string;
  readonly image: string;
  readonly location: string;
  readonly labels: Labels;
  readonly ssh_keys: readonly string[];
  readonly networks: readonly number[];
  readonly firewalls: readonly { readonly firewall: number }[];
  readonly placement_group?: number;
  readonly public_net: { readonly enable_ipv4: boolean; readonly enable_ipv6: boolean };
  readonly start_after_create: true;
}

export type PowerCall = "poweron" | "poweroff" | "shutdown" | "reboot";

export interface HetznerApi {
  /** All pages, by id; fails rather than give a part. Servers that others make or delete meanwhile may be in it or not. */
  readonly servers: (
    query: { readonly selector?: Labels; readonly name?: string },
    signal: AbortSignal,
  ) => Promise<readonly Server[]>;
  readonly server: (id: number, signal: AbortSignal) => Promise<Server>;
  readonly createServer: (
    body: CreateServer,
    userData: Redacted,
    signal: AbortSignal,
  ) => Promise<{ readonly server: Server; readonly action: Action }>;
  readonly deleteServer: (id: number, signal: AbortSignal) => Promise<void>;
  /** Replaces all labels. */
  readonly setLabels: (id: number, labels: Labels, signal: AbortSignal) => Promise<Server>;
  readonly power: (id: number, call: PowerCall, signal: AbortSignal) => Promise<Action>;
  /** At most 50 ids. */
  readonly actions: (ids: readonly number[], signal: AbortSignal) => Promise<readonly Action[]>;
  readonly balancer: (name: string, signal: AbortSignal) => Promise<Balancer | null>;
  readonly addTarget: (balancer: number, server: number, privately: boolean, signal: AbortSignal) => Promise<Action>;
  readonly removeTarget: (balancer: number, server: number, signal: AbortSignal) => Promise<Action>;
  readonly certificates: (name: string, signal: AbortSignal) => Promise<readonly HetznerCertificate[]>;
  /** All that carry these labels, by id. */
  readonly labelledCertificates: (selector: Labels, signal: AbortSignal) => Promise<readonly HetznerCertificate[]>;
  readonly certificate: (id: number, signal: AbortSignal) => Promise<HetznerCertificate>;
  readonly uploadCertificate: (upload: CertificateUpload, signal: AbortSignal) => Promise<HetznerCertificate>;
  readonly deleteCertificate: (id: number, signal: AbortSignal) => Promise<void>;
  readonly locations: (name: string, signal: AbortSignal) => Promise<readonly string[]>;
  readonly serverTypes: (name: string, signal: AbortSignal) => Promise<readonly ServerType[]>;
  readonly images: (name: string, architecture: string, signal: AbortSignal) => Promise<number>;
  /** Asks for a server that cannot be made. Throws as Invalid when one could be asked for, as Auth when not. */
  readonly probeCreate: (signal: AbortSignal) => Promise<unknown>;
}

export interface CertificateUpload {
  readonly name: string;
  readonly chain: string;
  readonly key: Redacted;
  readonly labels: Labels;
}

export type ServerType = (typeof NamedList.server_types.Type)["server_types"][number];

/** The vendor's maximum. */
const perPage = 50;
/** 20,000 things; more than that of one kind is not ours to list. */
const pagesMax = 400;
const listingsMax = 4;

export function makeHetznerApi(client: ApiClient, pageSize = perPage): HetznerApi {
  const get = <A>(op: string, path: string, read: ApiCall<A>["read"], signal: AbortSignal, query: Query = []): Promise<A> =>
    client.call({ op, method: "GET", path, query, idempotent: true, read }, signal);
  const post = <A>(op: string, path: string, body: unknown, read: ApiCall<A>["read"], signal: AbortSignal): Promise<A> =>
    // Each of these brings about a state, so twice is as good as once; but two reboots are two.
    client.call({ op, method: "POST", path, idempotent: !path.endsWith("/reboot"), read, ...withBody(body) }, signal);
  return {
    servers: (query, signal) => {
      const asked = query.selector === undefined ? [] : [["label_selector", selectorOf(query.selector)] as const];
      const named = query.name === undefined ? [] : [["name", query.name] as const];
      return allPages(client, "/servers", "list servers", [...asked, ...named, ["sort", "id:asc"]], serverPage, pageSize, signal);
    },
    server: async (id, signal) => (await get(`read server ${id}`, `/servers/${id}`, readServer, signal)).server,
    createServer: (body, userData, signal) =>
      client.call(
        {
          op: `create server ${body.name}`,
          method: "POST",
          path: "/servers",
          body: jsonBody({ ...body, user_data: reveal(userData) }),
          // Its name is unique, but whether a lost answer was a yes is for `ensure` to look up.
          idempotent: false,
          confidential: [userData],
          read: readCreated,
        },
        signal,
      ),
    deleteServer: (id, signal) => remove(client, `delete server ${id}`, `/servers/${id}`, signal),
    setLabels: async (id, labels, signal) => {
      const call = { op: `label server ${id}`, method: "PUT" as const, path: `/servers/${id}`, idempotent: true };
      return (await client.call({ ...call, body: jsonBody({ labels }), read: readServer }, signal)).server;
    },
    power: async (id, power, signal) =>
      (await post(`${power} server ${id}`, `/servers/${id}/actions/${power}`, undefined, readAction, signal)).action,
    actions: async (ids, signal) => {
      if (ids.length === 0 || ids.length > perPage) throw new Error(`${ids.length} actions asked for at once`);
      const query = ids.map((id) => ["id", String(id)] as const);
      return (await get("read actions", "/actions", readActions, signal, [...query, ["per_page", String(perPage)]])).actions;
    },
    ...balancerCalls(get, post),
    ...certificateCalls(client, get, pageSize),
    locations: async (name, signal) =>
      (await get(`look for location ${name}`, "/locations", readNamed.locations, signal, [["name", name]])).locations.map(
        (one) => one.name,
      ),
    serverTypes: async (name, signal) =>
      (await get(`look for server type ${name}`, "/server_types", readNamed.server_types, signal, [["name", name]])).server_types,
    images: async (name, architecture, signal) => {
      const query = [["name", name] as const, ["architecture", architecture] as const];
      return (await get(`look for image ${name}`, "/images", readNamed.images, signal, query)).images.length;
    },
    probeCreate: (signal) => {
      // "-" is no host name and nothing is called so: it is refused after the permission was looked at, and before anything is made.
      const body = jsonBody({ name: "-", server_type: "-", image: "-" });
      return client.call(
        { op: "ask for leave to create", method: "POST", path: "/servers", body, idempotent: false, read: ignoreBody },
        signal,
      );
    },
  };
}

type Query = readonly (readonly [string, string])[];
type Get = <A>(op: string, path: string, read: ApiCall<A>["read"], signal: AbortSignal, query?: Query) => Promise<A>;
type Post = <A>(op: string, path: string, body: unknown, read: ApiCall<A>["read"], signal: AbortSignal) => Promise<A>;

const readServer = jsonReader(Schema.Struct({ server: ServerShape }));
const readCreated = jsonReader(Schema.Struct({ server: ServerShape, action: ActionShape }));
const readAction = jsonReader(Schema.Struct({ action: ActionShape }));
const readActions = jsonReader(Schema.Struct({ actions: Schema.Array(ActionShape) }));
const readCertificate = jsonReader(Schema.Struct({ certificate: CertificateShape }));
const readCertificates = jsonReader(Schema.Struct({ certificates: Schema.Array(CertificateShape) }));
const readBalancers = jsonReader(Schema.Struct({ load_balancers: Schema.Array(BalancerShape) }));
const readPage = jsonReader(PageShape);
const readServers = jsonReader(Schema.Struct({ servers: Schema.Array(ServerShape) }));
const readNamed = {
  locations: jsonReader(NamedList.locations),
  server_types: jsonReader(NamedList.server_types),
  images: jsonReader(NamedList.images),
};

const serverPage: ApiCall<Page<Server>>["read"] = (response, reading) => ({
  items: readServers(response, reading).servers,
  ...readPage(response, reading).meta.pagination,
});

const certificatePage: ApiCall<Page<HetznerCertificate>>["read"] = (response, reading) => ({
  items: readCertificates(response, reading).certificates,
  ...readPage(response, reading).meta.pagination,
});

const withBody = (body: unknown) => (body === undefined ? {} : { body: jsonBody(body) });

/** `k=v,k=v`: ANDed. The label grammar leaves nothing in a value that could mean something here. */
const selectorOf = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");

function balancerCalls(get: Get, post: Post) {
  const target = (server: number) => ({ type: "server", server: { id: server } });
  const change = async (balancer: number, verb: "add_target" | "remove_target", body: unknown, signal: AbortSignal) =>
    (await post(`${verb} of load balancer ${balancer}`, `/load_balancers/${balancer}/actions/${verb}`, body, readAction, signal))
      .action;
  return {
    balancer: async (name: string, signal: AbortSignal) =>
      (await get(`read load balancer ${name}`, "/load_balancers", readBalancers, signal, [["name", name]])).load_balancers[0] ??
      null,
    addTarget: (balancer: number, server: number, privately: boolean, signal: AbortSignal) =>
      change(balancer, "add_target", { ...target(server), use_private_ip: privately }, signal),
    removeTarget: (balancer: number, server: number, signal: AbortSignal) =>
      change(balancer, "remove_target", target(server), signal),
  };
}

function certificateCalls(client: ApiClient, get: Get, pageSize: number) {
  return {
    labelledCertificates: (selector: Labels, signal: AbortSignal) => {
      const query: Query = [
        ["label_selector", selectorOf(selector)],
        ["sort", "id:asc"],
      ];
      return allPages(client, "/certificates", "list certificates", query, certificatePage, pageSize, signal);
    },
    certificates: async (name: string, signal: AbortSignal) =>
      (await get(`look for certificate ${name}`, "/certificates", readCertificates, signal, [["name", name]])).certificates,
    certificate: async (id: number, signal: AbortSignal) =>
      (await get(`read certificate ${id}`, `/certificates/${id}`, readCertificate, signal)).certificate,
    uploadCertificate: async ({ name, chain, key, labels }: CertificateUpload, signal: AbortSignal) => {
      const body = jsonBody({ name, type: "uploaded", certificate: chain, private_key: reveal(key), labels });
      const call = { op: `upload certificate ${name}`, method: "POST" as const, path: "/certificates", idempotent: false };
      return (await client.call({ ...call, body, confidential: [key], read: readCertificate }, signal)).certificate;
    },
    deleteCertificate: (id: number, signal: AbortSignal) =>
      remove(client, `delete certificate ${id}`, `/certificates/${id}`, signal),
  };
}

const remove = async (client: ApiClient, op: string, path: string, signal: AbortSignal): Promise<void> => {
  await client.call({ op, method: "DELETE", path, idempotent: true, read: ignoreBody }, signal);
};

interface Page<A> {
  readonly items: readonly A[];
  readonly next_page: number | null;
  readonly total_entries: number | null;
}

/**
 * Pages are numbered, so something deleted meanwhile moves the rest and one is skipped. A listing in which the total changes, or
 * that gives fewer than the total, is begun anew. (One made for each one deleted would keep the total; that is why no decision to
 * create or to forget rests on one listing.)
 */
async function allPages<A extends { readonly id: number }>(
  client: ApiClient,
  path: string,
  op: string,
  query: Query,
  read: ApiCall<Page<A>>["read"],
  pageSize: number,
  signal: AbortSignal,
): Promise<readonly A[]> {
  for (let listing = 1; ; listing += 1) {
    const found = new Map<number, A>();
    let isWhole = true;
    let total: number | null = null;
    let next: number | null = 1;
    for (let pages = 1; next !== null; pages += 1) {
      if (pages > pagesMax)
        throw new CloudFailure({ _tag: "Protocol", provider: "hetzner", op, message: `more than ${pagesMax} pages` });
      const paging: Query = [
        ["page", String(next)],
        ["per_page", String(pageSize)],
      ];
      const page: Page<A> = await client.call(
        { op, method: "GET", path, query: [...query, ...paging], idempotent: true, read },
        signal,
      );
      for (const item of page.items) found.set(item.id, item);
      isWhole &&= pages === 1 || page.total_entries === total;
      total = page.total_entries;
      next = page.next_page;
    }
    if (isWhole && (total === null || found.size === total)) return [...found.values()];
    if (listing >= listingsMax) {
      const message = `the list changed during each of ${listingsMax} readings`;
      throw new CloudFailure({ _tag: "Transient", maybeApplied: false, provider: "hetzner", op, message });
    }
  }
}
