/**
 * Microsoft Azure in memory, with the habits that matter: create-or-change by name, operations that go on after the answer and may
 * fail there, lists that lag and come in small pages with absolute links, tokens for one audience, quotas, zones with room for some,
 * pools with etags, a vault that keeps what was deleted. Every request and every answer is held against the vendor's model.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { HttpRequest, HttpResponse } from "../../http/transport.ts";
import type { VendorFake } from "../http-fake.ts";
import { noMachines, type Machines } from "../machines.ts";
import { checkRequest, checkResponse, type ModelSlice } from "../openapi-check.ts";
import { Refused, type Call, type Reply } from "./answers.ts";
import { callName } from "./call-name.ts";
import { FakeDirectory, type FakePrincipal } from "./directory.ts";
import { FakeMachines } from "./fake-machines.ts";
import { FakePools } from "./fake-pools.ts";
import { FakeVault } from "./fake-vault.ts";

export interface FakeAzureOptions {
  readonly now: () => number;
  readonly principals: readonly FakePrincipal[];
  readonly machineClient: string | null;
  readonly tokenMs: number;
  /** From the create to running. */
  readonly bootMs: number;
  readonly powerMs: number;
  readonly deleteMs: number;
  /** How long lists do not show what was made. Longer than none, shorter than the boot. */
  readonly lagMs: number;
  readonly issueMs: number;
  readonly showsMaking: boolean;
  readonly pageMax: number;
  readonly machinesMax: number;
  readonly room: Readonly<Record<string, number>>;
  /** How far the vendor's clock is ahead of ours. */
  readonly aheadMs: number;
  /** May states of the whole subscription be listed? */
  readonly isWholeSeen: boolean;
  readonly machines: Machines;
}

export const place = {
  tenant: "11111111-2222-3333-4444-555555555555",
  subscription: "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
  resourceGroup: "Fleet-RG",
  region: "westeurope",
} as const;
export const group = `/subscriptions/${place.subscription}/resourceGroups/${place.resourceGroup}`;
export const operator: FakePrincipal = {
  client: "99999999-8888-7777-6666-555555555555",
  secret: "azure~secret-0123456789abcdef",
};
export const reader: FakePrincipal = {
  client: "99999999-8888-7777-6666-000000000000",
  secret: "azure~reader-0123456789",
  isReader: true,
};

export const fakeDefaults = {
  principals: [operator, reader],
  machineClient: null,
  tokenMs: 3_600_000,
  bootMs: 6_000,
  powerMs: 2_000,
  deleteMs: 3_000,
  lagMs: 2_000,
  issueMs: 20_000,
  showsMaking: true,
  pageMax: 2,
  machinesMax: 100,
  room: { "": 50, "1": 50, "2": 50, "3": 50 },
  aheadMs: 0,
  isWholeSeen: true,
  machines: noMachines,
};

const file = join(import.meta.dirname, "../../../../../fixtures/cloud-models/azure.json");
export const azureModel = JSON.parse(readFileSync(file, "utf8")) as ModelSlice;
/** What the vendor puts into the links of its pages. */
export const pagingNames: readonly string[] = ["$skiptoken"];

const managementAudience = "https://management.azure.com";
const vaultAudience = "https://vault.azure.net";
const size = "Standard_B2s";

export class FakeAzure implements VendorFake {
  readonly violations: string[] = [];
  /** "PUT virtualMachines/{name}", in the order they came. */
  readonly calls: string[] = [];
  readonly directory: FakeDirectory;
  readonly compute: FakeMachines;
  readonly pools: FakePools;
  readonly vault: FakeVault;
  readonly #options: FakeAzureOptions;

  constructor(options: Pick<FakeAzureOptions, "now"> & Partial<FakeAzureOptions>) {
    this.#options = { ...fakeDefaults, ...options };
    const { now, aheadMs } = this.#options;
    this.directory = new FakeDirectory({ ...this.#options, now: () => now() + aheadMs, tenant: place.tenant });
    this.compute = new FakeMachines({ ...this.#options, group });
    this.pools = new FakePools(group);
    this.vault = new FakeVault(this.#options);
  }

  readonly handle = (request: HttpRequest): HttpResponse => {
    this.compute.pass();
    const call = callOf(request);
    this.calls.push(callName(call.method, call.path));
    if (call.path.endsWith("/oauth2/v2.0/token") && call.method === "POST") {
      return this.#response(this.directory.token(call.path, new URLSearchParams(Buffer.from(request.body ?? "").toString())));
    }
    if (call.path === "/metadata/identity/oauth2/token") return this.#response(this.directory.machineToken(request));
    const isOperation = call.path.includes("/operations/");
    const query = [...call.query];
    const body = request.body === null ? undefined : call.body;
    const checked = isOperation
      ? null
      : checkRequest(azureModel, { method: call.method, path: call.path, query, body }, pagingNames);
    for (const violation of checked?.violations ?? []) this.violations.push(`${call.method} ${call.path}: ${violation}`);
    const reply = this.#replyTo(call);
    if (checked?.operation != null) {
      this.violations.push(...checkResponse(azureModel, checked.operation, reply.status, reply.body, "nextLink"));
    }
    return this.#response(reply);
  };

  readonly refusal = (status: number, headers: Readonly<Record<string, string>>): HttpResponse => {
    // A gateway's own pages are no JSON of the vendor's.
    if (status === 404 || status === 502 || status === 504)
      return { status, headers, body: Buffer.from("<html>bad gateway</html>") };
    const code = { 401: "InvalidAuthenticationToken", 429: "TooManyRequests" }[status] ?? "InternalServerError";
    return { status, headers, body: Buffer.from(JSON.stringify({ error: { code, message: "by plan" } })) };
  };

  #replyTo(call: Call): Reply {
    try {
      const isVault = /^\/(secrets|certificates)\b/.test(call.path);
      const principal = this.directory.authorise(call.headers["authorization"], isVault ? vaultAudience : managementAudience);
      if (principal.isReader === true && call.method !== "GET") {
        throw new Refused(
          403,
          "AuthorizationFailed",
          `The client '${principal.client}' does not have authorization to perform this action.`,
        );
      }
      return isVault ? this.vault.handle(call) : this.#manage(call, principal);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { status: error.status, body: { error: error.error } };
    }
  }

  #response({ status, body, headers }: Reply): HttpResponse {
    const { now, aheadMs } = this.#options;
    const all = {
      // Nothing is of no kind.
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      date: new Date(now() + aheadMs).toUTCString(),
      "x-ms-request-id": `fake-${this.calls.length}`,
      "x-ms-ratelimit-remaining-subscription-reads": "11999",
      ...headers,
    };
    return { status, headers: all, body: Buffer.from(body === undefined ? "" : JSON.stringify(body)) };
  }

  #manage(call: Call, principal: FakePrincipal): Reply {
    const [, , subscription, groups, name, ...rest] = call.path.split("/");
    if (subscription !== place.subscription)
      throw new Refused(404, "SubscriptionNotFound", `The subscription '${subscription ?? ""}' could not be found.`);
    if (groups === undefined) {
      return {
        status: 200,
        body: { id: `/subscriptions/${subscription}`, subscriptionId: subscription, displayName: "Fleet", state: "Enabled" },
      };
    }
    if (groups === "providers") return this.#subscriptionWide(call, rest);
    if (name?.toLowerCase() !== place.resourceGroup.toLowerCase()) {
      throw new Refused(404, "ResourceGroupNotFound", `Resource group '${name ?? ""}' could not be found.`);
    }
    if (rest.length === 0) return { status: 200, body: { id: group, name: place.resourceGroup, location: place.region } };
    return this.#inGroup(call, rest.slice(1), principal);
  }

  #inGroup(call: Call, [provider, type = "", name = "", ...rest]: readonly string[], principal: FakePrincipal): Reply {
    const { compute } = this;
    const verb = rest.join("/") === "providers/Microsoft.Resources/tags/default" ? "tags" : rest.join("/");
    switch (`${provider ?? ""}/${type}`) {
      case "Microsoft.Compute/virtualMachines":
        return name === "" ? compute.list(call, false) : compute.handle(call, name, verb);
      case "Microsoft.Compute/disks":
        return compute.part(call, compute.disks, name);
      case "Microsoft.Compute/images":
      case "Microsoft.Compute/galleries":
        return name === "golden" || name === "ours"
          ? { status: 200, body: { id: call.path, name: rest.at(-1) ?? name, location: place.region } }
          : notFound(name);
      case "Microsoft.Network/networkInterfaces":
        return name === "" ? compute.listParts(call, compute.cards) : compute.part(call, compute.cards, name);
      case "Microsoft.Network/publicIPAddresses":
        return name === "" ? compute.listParts(call, compute.addresses) : compute.part(call, compute.addresses, name);
      case "Microsoft.Network/loadBalancers":
        return this.pools.handle(call, name, rest[1] ?? "", (ms) => compute.begin(call, ms));
      case "Microsoft.Authorization/permissions":
        return {
          status: 200,
          body: { value: [{ actions: [principal.isReader === true ? "*/read" : "*"], notActions: ["Microsoft.Blueprint/*"] }] },
        };
      default:
        return notFound(type);
    }
  }

  #subscriptionWide(call: Call, path: readonly string[]): Reply {
    const [first = "", , kind = ""] = path;
    if (first === "virtualMachines") {
      if (!this.#options.isWholeSeen)
        throw new Refused(403, "AuthorizationFailed", "The client does not have authorization over this scope.");
      return this.compute.list(call, call.query.get("statusOnly") === "true");
    }
    if (first === "skus") return { status: 200, body: { value: skus } };
    if (kind === "operations") return this.compute.operation(call);
    if (kind === "usages") return { status: 200, body: { value: usages(this.compute.machines.size, this.#options.machinesMax) } };
    if (kind !== "publishers") return notFound(kind);
    const [, , , publisher, , , , offer, , sku, , version] = path;
    const name = `${publisher ?? ""}:${offer ?? ""}:${sku ?? ""}`;
    if (!images.includes(name)) return notFound(name.replaceAll(":", " "));
    const image = { id: "/x", name: "0.20260101.1", location: place.region };
    if (version === undefined) return { status: 200, body: [image] };
    return version === image.name ? { status: 200, body: image } : notFound(version);
  }
}

function notFound(what: string): never {
  throw new Refused(404, "NotFound", `${what} was not found.`);
}

const images: readonly string[] = ["Debian:debian-12:12-gen2", "Canonical:ubuntu-24_04-lts:server"];

const skus = [
  {
    resourceType: "virtualMachines",
    name: size,
    family: "standardBSFamily",
    locations: [place.region],
    locationInfo: [{ location: place.region, zones: ["1", "2", "3"] }],
    capabilities: [{ name: "vCPUs", value: "2" }],
    restrictions: [
      { type: "Zone", values: [place.region], restrictionInfo: { zones: ["3"] }, reasonCode: "NotAvailableForSubscription" },
    ],
  },
];

const usages = (used: number, most: number) => [
  { unit: "Count", currentValue: used * 2, limit: most * 2, name: { value: "cores", localizedValue: "Total Regional vCPUs" } },
  {
    unit: "Count",
    currentValue: used * 2,
    limit: most * 2,
    name: { value: "standardBSFamily", localizedValue: "Standard BS Family vCPUs" },
  },
];

function callOf({ method, url, headers, body }: HttpRequest): Call {
  const isForm = headers["content-type"]?.startsWith("application/x-www-form-urlencoded") === true;
  return {
    method,
    path: decodeURI(url.pathname),
    query: url.searchParams,
    headers,
    body: body === null || isForm ? {} : (JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>),
    origin: headers["host"] === undefined ? url.origin : `http://${headers["host"]}`,
  };
}
