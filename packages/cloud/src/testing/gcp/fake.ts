/**
 * Google Cloud in memory, with the habits that matter: every change is an operation that may fail after it was accepted, the same
 * requestId is the same operation, names are unique in a zone, lists lag and may lack a part, labels have a version, tokens end.
 * Every request and every answer is held against the vendor's published models; what does not fit is in `violations`.
 */
import type { HttpRequest, HttpResponse } from "../../http/transport.ts";
import type { VendorFake } from "../http-fake.ts";
import { noMachines } from "../machines.ts";
import { FakeEdge } from "./edge.ts";
import { FakeGroups } from "./groups.ts";
import { FakeMachines, type Ending, type MachineOptions } from "./machines.ts";
import { checkGcpRequest, checkGcpResponse, seenRequest } from "./model.ts";
import { Refused, type Call, type Reply } from "./refused.ts";
import * as rows from "./rows.ts";
import { FakeTokens, project } from "./tokens.ts";

export interface FakeGcpOptions extends MachineOptions {
  readonly tokenSeconds: number;
  /** How long lists do not show what was made. */
  readonly lagMs: number;
  readonly pageMax: number;
  /** How far the vendor's clock is ahead of ours. */
  readonly aheadMs: number;
  /** Permissions that whoever asks does not have. */
  readonly lacking: readonly string[];
}

export const region = "europe-west1";

export const fakeDefaults = {
  bootMs: 8_000,
  operationMs: 4_000,
  deleteMs: 5_000,
  stopMs: 3_000,
  vmsMax: 100,
  room: { [`${region}-b`]: 50, [`${region}-c`]: 50, "us-east1-b": 50 },
  machines: noMachines,
  tokenSeconds: 3600,
  lagMs: 2_000,
  pageMax: 2,
  aheadMs: 0,
  lacking: [],
};

export class FakeGcp implements VendorFake {
  readonly machines: FakeMachines;
  readonly groups: FakeGroups;
  readonly edge: FakeEdge;
  readonly tokens: FakeTokens;
  readonly violations: string[] = [];
  /** "POST …/instances", in the order they came; names and numbers left out. */
  readonly calls: string[] = [];
  /** Zones that aggregated lists cannot reach. */
  readonly unreachable = new Set<string>();
  /** What the next operation ends in. */
  failNextOperation: { readonly code: string; readonly message: string } | null = null;
  readonly #operations = new Map<string, rows.FakeOperation>();
  readonly #options: FakeGcpOptions;

  constructor(options: Pick<FakeGcpOptions, "now"> & Partial<FakeGcpOptions>) {
    const all = { ...fakeDefaults, ...options };
    this.#options = all;
    this.machines = new FakeMachines(all);
    this.groups = new FakeGroups(this.machines, () => all.now() + all.operationMs);
    this.edge = new FakeEdge(all.now, all.operationMs);
    this.tokens = new FakeTokens({ now: () => all.now() + all.aheadMs, lifeSeconds: all.tokenSeconds });
  }

  readonly handle = (request: HttpRequest): HttpResponse => {
    this.machines.pass();
    const isForm = request.headers["content-type"] === "application/x-www-form-urlencoded";
    const given = isForm ? { ...request, body: null } : request;
    const form = Buffer.from(request.body ?? "").toString();
    const seen = seenRequest(given);
    const body = isForm ? Object.fromEntries(new URLSearchParams(form)) : ((seen.body ?? {}) as Record<string, unknown>);
    const call: Call = { method: request.method, path: request.url.pathname, query: request.url.searchParams, body };
    this.calls.push(callOf(request));
    const token = this.#guarded(call, () => this.tokens.reply(call, request.headers));
    if (token !== null) return this.#response(token);
    const checked = checkGcpRequest(seen);
    this.violations.push(...checked.violations.map((violation) => `${request.method} ${seen.path}: ${violation}`));
    const reply = this.#guarded(call, () => {
      if (!this.tokens.isGood(request.headers["authorization"])) {
        throw new Refused(401, call.path.startsWith("/compute/") ? "authError" : "UNAUTHENTICATED", "Invalid Credentials");
      }
      return this.edge.reply(call) ?? this.#answer(call);
    });
    if (reply === null) throw new Error("every request is answered");
    if (checked.operation !== null) this.violations.push(...checkGcpResponse(checked.operation, ...reply));
    return this.#response(reply);
  };

  readonly refusal = (status: number, headers: Readonly<Record<string, string>>): HttpResponse => {
    // A gateway's own pages are no JSON of the vendor's.
    if (status === 404 || status === 502 || status === 504) {
      return { status, headers, body: Buffer.from("<html>bad gateway</html>") };
    }
    const reason = { 401: "authError", 403: "forbidden", 429: "rateLimitExceeded" }[status] ?? "backendError";
    return { status, headers, body: Buffer.from(JSON.stringify(new Refused(status, reason, "by plan").json(true))) };
  };

  isRunning(id: string): boolean {
    this.machines.pass();
    const [zone = "", name = ""] = id.split("/");
    return this.machines.all.get(`${zone}/${name}`)?.status === "RUNNING";
  }

  #guarded(call: Call, answer: () => Reply | null): Reply | null {
    try {
      return answer();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return [error.status, error.json(call.path.startsWith("/compute/"))];
    }
  }

  #response([status, answer]: Reply): HttpResponse {
    const date = new Date(this.#options.now() + this.#options.aheadMs).toUTCString();
    const isText = typeof answer === "string";
    const headers = { "content-type": isText ? "application/text" : "application/json", date, "metadata-flavor": "Google" };
    return { status, headers, body: Buffer.from(isText ? answer : JSON.stringify(answer)) };
  }

  #answer(call: Call): Reply {
    const { method, path } = call;
    if (path === `/v3/projects/${project}:testIamPermissions`) {
      const asked = call.body["permissions"] as readonly string[];
      return [200, { permissions: asked.filter((one) => !this.#options.lacking.includes(one)) }];
    }
    const image = /^\/compute\/v1\/projects\/([^/]+)\/global\/images\/(?:family\/)?([^/]+)$/.exec(path);
    if (image !== null && method === "GET") {
      if (image[1] === "ubuntu-os-cloud") return [200, rows.imageJson(image[2] ?? "")];
      throw new Refused(404, "notFound", `The resource '${path}' was not found`);
    }
    const base = `/compute/v1/projects/${project}`;
    if (path !== base && !path.startsWith(`${base}/`)) {
      throw new Refused(403, "forbidden", `Permission denied on ${path}, or there is no such project`);
    }
    return this.#compute(path.slice(base.length), call);
  }

  #compute(path: string, call: Call): Reply {
    const zones = Object.keys(this.#options.room);
    if (path === "") return [200, rows.projectJson(project)];
    if (path === `/regions/${region}`) {
      const quotas = [["CPUS", 24, 2 * this.machines.all.size] as const, ["IN_USE_ADDRESSES", 8, 0] as const];
      return [
        200,
        rows.regionJson(
          region,
          zones.filter((zone) => zone.startsWith(region)),
          quotas,
        ),
      ];
    }
    if (path.startsWith("/aggregated/")) return this.#aggregated(path.slice("/aggregated/".length), call.query);
    const [, zone, kind, name, verb] = /^\/zones\/([^/]+)\/(\w+)(?:\/([^/]+))?(?:\/(\w+))?$/.exec(path) ?? [];
    if (zone === undefined || !zones.includes(zone)) throw new Refused(404, "notFound", `The resource '${path}' was not found`);
    const at = { zone, name: name ?? "" };
    switch (`${call.method} ${kind ?? ""}${name === undefined ? "" : "/x"}${verb === undefined ? "" : "/verb"}`) {
      case "GET machineTypes/x":
        if (name !== "e2-medium") throw new Refused(404, "notFound", `The resource '${path}' was not found`);
        return [200, rows.machineTypeJson(name, zone)];
      case "GET operations/x":
        return this.#operation(at.name);
      case "GET instances/x":
        return [200, rows.vmJson(this.machines.get(zone, at.name))];
      case "POST instances":
        return this.#begin(call, zone, () => this.machines.insert(zone, call.body));
      case "DELETE instances/x":
        return this.#begin(call, zone, () => this.machines.remove(zone, at.name));
      case "POST instances/x/verb":
        return this.#begin(call, zone, () =>
          verb === "setLabels"
            ? this.machines.setLabels(zone, at.name, call.body)
            : this.machines.power(zone, at.name, verb ?? ""),
        );
      case "POST networkEndpointGroups/x/verb": {
        const key = `${zone}/${at.name}`;
        if (verb === "listNetworkEndpoints") return [200, this.groups.list(key, call.query)];
        return this.#begin(call, zone, () => this.groups.change(key, (verb ?? "").replace("NetworkEndpoints", ""), call.body));
      }
      default:
        throw new Refused(404, "notFound", `no route ${call.method} ${path}`);
    }
  }

  /** The same requestId for the same thing is answered with the operation that it has begun, however that has ended. */
  #begin(call: Call, zone: string, act: () => Ending): Reply {
    const requestId = call.query.get("requestId") ?? "";
    if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(requestId)) {
      throw new Refused(400, "invalid", `requestId ${requestId} is no UUID`);
    }
    const asked = `${call.method} ${call.path}`;
    const known = [...this.#operations.values()].find((operation) => operation.requestId === requestId);
    if (known !== undefined) {
      if (known.asked !== asked) throw new Refused(400, "invalid", `requestId ${requestId} was used for ${known.asked}`);
      return this.#operation(known.name);
    }
    const planned = this.failNextOperation;
    const ending = planned === null ? act() : this.#failing(call, planned);
    this.failNextOperation = null;
    const name = `operation-${this.#operations.size + 1}`;
    this.#operations.set(name, { ...ending, name, zone, requestId, asked, startedAt: this.#options.now() });
    return this.#operation(name);
  }

  #failing({ path }: Call, error: { readonly code: string; readonly message: string }): Ending {
    const endsAt = this.#options.now() + this.#options.operationMs;
    return { type: "failing", target: path.slice(path.lastIndexOf("/") + 1), targetId: "1", endsAt, error };
  }

  #operation(name: string): Reply {
    const operation = this.#operations.get(name);
    if (operation === undefined) throw new Refused(404, "notFound", `The resource '${name}' was not found`);
    return [200, rows.operationJson(operation, this.#options.now())];
  }

  #aggregated(kind: string, query: URLSearchParams): Reply {
    const { now, lagMs, pageMax, room } = this.#options;
    const filter = query.get("filter") ?? "";
    const field = kind === "instances" ? "instances" : "networkEndpointGroups";
    const found =
      kind === "instances"
        ? this.#filtered(filter)
            .filter((vm) => now() - vm.createdAt >= lagMs)
            .map((vm) => ({ zone: vm.zone, json: rows.vmJson(vm) as object }))
        : [...this.groups.all.keys()]
            .map((key) => key.split("/"))
            .filter(([, name]) => filter === `name = "${name ?? ""}"`)
            .map(([zone = "", name]) => ({
              zone,
              json: { name, zone: `x/zones/${zone}`, networkEndpointType: "GCE_VM_IP_PORT" },
            }));
    const from = Number(query.get("pageToken") ?? "0");
    const next = from + Math.min(Number(query.get("maxResults") ?? "500"), pageMax);
    const shown = found.slice(from, next).filter(({ zone }) => !this.unreachable.has(zone));
    const scopes = Object.keys(room).map((zone) => {
      const items = shown.filter((one) => one.zone === zone).map(({ json }) => json);
      const code = this.unreachable.has(zone) ? "UNREACHABLE" : "NO_RESULTS_ON_PAGE";
      const part = items.length > 0 ? { [field]: items } : { warning: { code, message: `zones/${zone}: ${code}` } };
      return [`zones/${zone}`, part] as const;
    });
    const missing = [...this.unreachable].map((zone) => `projects/${project}/zones/${zone}`);
    return [
      200,
      {
        kind: `compute#${kind}AggregatedList`,
        items: Object.fromEntries(scopes),
        ...(missing.length === 0 ? {} : { unreachables: missing }),
        ...(next < found.length ? { nextPageToken: String(next) } : {}),
      },
    ];
  }

  /** `(labels.k = "v") (labels.l = "w")`, ANDed. */
  #filtered(filter: string): readonly rows.FakeVm[] {
    const parts = [...filter.matchAll(/\(labels\.([a-z0-9_-]+) = "([a-z0-9_-]+)"\)( |$)/g)];
    if (parts.map(([whole]) => whole).join("") !== filter || parts.length === 0) {
      throw new Refused(400, "invalid", `Invalid value for field 'filter': '${filter}'.`);
    }
    return [...this.machines.all.values()].filter(({ labels }) => parts.every(([, key = "", value]) => labels[key] === value));
  }
}

/** What kind of call a request is: its path without the names. */
export const callOf = ({ method, url }: Pick<HttpRequest, "method" | "url">): string =>
  `${method} ${url.pathname
    .replace(`/compute/v1/projects/${project}`, "")
    .replace(`/v1/projects/${project}`, "")
    .replace("/locations/global", "")
    .replace(/^\/zones\/[^/]+/, "")
    .replace(/^(\/\w+)\/[^/:]+/, (whole, kind: string) => (kind === "/aggregated" ? whole : `${kind}/{x}`))}`;
