/**
 * Hetzner Cloud in memory, with the habits that matter: names are unique, things take time, lists lag behind, pages are small, an
 * action locks its server, quotas and rooms are finite, calls are counted. Every request and every answer is held against
 * the vendor's published model; what does not fit is in `violations`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { HttpRequest, HttpResponse } from "../../http/transport.ts";
import type { VendorFake } from "../http-fake.ts";
import { noMachines, type Machines } from "../machines.ts";
import { checkRequest, checkResponse, type ModelSlice } from "../openapi-check.ts";
import * as rows from "./rows.ts";
import type { FakeAction, FakeBalancer, FakeCertificate, FakeServer } from "./rows.ts";

export interface FakeHetznerOptions {
  readonly now: () => number;
  readonly token: string;
  readonly readOnlyToken: string;
  /** From the create to running. */
  readonly bootMs: number;
  readonly actionMs: number;
  readonly deleteMs: number;
  /** How long lists do not show what was made. Longer than none, shorter than the boot. */
  readonly lagMs: number;
  readonly pageMax: number;
  readonly serversMax: number;
  /** Servers that there is room for, by location; these are the locations. */
  readonly room: Readonly<Record<string, number>>;
  readonly callsPerHour: number;
  readonly machines: Machines;
}

export const fakeDefaults = {
  token: "hetzner-token-0123456789abcdef0123456789abcdef",
  readOnlyToken: "hetzner-readonly-0123456789abcdef0123456789ab",
  bootMs: 4_000,
  actionMs: 1_500,
  deleteMs: 2_500,
  lagMs: 2_000,
  pageMax: 2,
  serversMax: 100,
  room: { fsn1: 50, nbg1: 50 },
  callsPerHour: 36_000,
  machines: noMachines,
};

const model = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../../../fixtures/cloud-models/hetzner.json"), "utf8"),
) as ModelSlice;
export const hetznerModel: ModelSlice = model;
/** Told in the document's prose, for all lists. */
export const pagingNames: readonly string[] = ["page", "per_page"];

class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: unknown;
  constructor(status: number, code: string, message: string, details: unknown = null) {
    super(message);
    [this.status, this.code, this.details] = [status, code, details];
  }
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly id: number;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
}
type Reply = readonly [status: number, body?: unknown];

/** What its label selector chooses: `k=v,k=v`. */
function carrying<A extends { readonly labels: Readonly<Record<string, string>> }>(call: Call, all: readonly A[]): readonly A[] {
  const selector = call.query.get("label_selector");
  const wanted = selector === null ? [] : selector.split(",").map((part) => part.split("="));
  return all.filter(({ labels }) => wanted.every(([key = "", value]) => labels[key] === value));
}

/** What can be had; cx31 stands in many files, though the vendor has replaced it. */
export const serverTypes: readonly string[] = ["cx22", "cx31", "cx32", "cx42", "cpx21", "cpx31"];

export class FakeHetzner implements VendorFake {
  readonly servers = new Map<number, FakeServer>();
  readonly balancers = new Map<number, FakeBalancer>();
  readonly certificates = new Map<number, FakeCertificate>();
  readonly violations: string[] = [];
  /** "POST /servers", in the order they came. */
  readonly calls: string[] = [];
  /** Ids of all servers that ever were. */
  readonly made: number[] = [];
  /** Servers whose guests take no notice of the power button. */
  readonly deaf = new Set<number>();
  readonly sick = new Set<number>();
  /** What the next action ends in. */
  failNextAction: { readonly code: string; readonly message: string } | null = null;
  readonly #actions = new Map<number, FakeAction>();
  readonly #options: FakeHetznerOptions;
  #lastId = 1000;
  #left: number;
  #countedAt: number;

  constructor(options: Pick<FakeHetznerOptions, "now"> & Partial<FakeHetznerOptions>) {
    this.#options = { ...fakeDefaults, ...options };
    this.#left = this.#options.callsPerHour;
    this.#countedAt = this.#options.now();
  }

  readonly handle = (request: HttpRequest): HttpResponse => {
    const path = request.url.pathname;
    this.#pass();
    this.calls.push(`${request.method} ${path.replaceAll(/\d+/g, "{id}")}`);
    const body =
      request.body === null ? undefined : (JSON.parse(Buffer.from(request.body).toString()) as Record<string, unknown>);
    const query = [...request.url.searchParams];
    const checked = checkRequest(model, { method: request.method, path, query, body }, pagingNames);
    this.violations.push(...checked.violations.map((violation) => `${request.method} ${path}: ${violation}`));
    const call = {
      method: request.method,
      path,
      id: Number(/\d+/.exec(path)?.[0]),
      query: request.url.searchParams,
      body: body ?? {},
    };
    const [status, answer] = this.#replyTo(request, call);
    if (checked.operation !== null) this.violations.push(...checkResponse(model, checked.operation, status, answer, "meta"));
    return this.#response(status, answer);
  };

  readonly refusal = (status: number, headers: Readonly<Record<string, string>>): HttpResponse => {
    const code = status === 429 ? "rate_limit_exceeded" : "service_error";
    // A gateway's own pages are no JSON of the vendor's.
    if (status === 404 || status === 502 || status === 504)
      return { status, headers, body: Buffer.from("<html>bad gateway</html>") };
    return { status, headers, body: Buffer.from(JSON.stringify({ error: { code, message: "by plan", details: null } })) };
  };

  /** The guest ends by itself, or a person pulls the plug. */
  crash(id: number): void {
    const server = this.#server(id);
    this.#options.machines.stop(String(id), "hard");
    [server.status, server.next] = ["off", []];
  }

  isRunning(id: number): boolean {
    this.#pass();
    return this.servers.get(id)?.status === "running";
  }

  addBalancer(name: string, networks: readonly number[] = []): FakeBalancer {
    const balancer: FakeBalancer = { id: this.#newId(), name, networks, targets: [] };
    this.balancers.set(balancer.id, balancer);
    return balancer;
  }

  #replyTo(request: HttpRequest, call: Call): Reply {
    try {
      this.#count();
      this.#authorise(request);
      return this.#route(call);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return [error.status, { error: { code: error.code, message: error.message, details: error.details } }];
    }
  }

  #response(status: number, answer: unknown): HttpResponse {
    const headers = {
      "content-type": "application/json",
      "ratelimit-limit": String(this.#options.callsPerHour),
      "ratelimit-remaining": String(Math.floor(this.#left)),
      "ratelimit-reset": String(Math.ceil(this.#options.now() / 1000) + 3600),
      "x-correlation-id": `fake-${this.calls.length}`,
    };
    return { status, headers, body: Buffer.from(answer === undefined ? "" : JSON.stringify(answer)) };
  }

  #count(): void {
    const { now, callsPerHour } = this.#options;
    this.#left = Math.min(callsPerHour, this.#left + ((now() - this.#countedAt) * callsPerHour) / 3_600_000);
    this.#countedAt = now();
    if (this.#left < 1) throw new Refused(429, "rate_limit_exceeded", "limit of 3600 requests per hour reached");
    this.#left -= 1;
  }

  #authorise({ headers, method }: HttpRequest): void {
    const { token, readOnlyToken } = this.#options;
    const given = headers["authorization"];
    if (given === `Bearer ${token}`) return;
    if (given !== `Bearer ${readOnlyToken}`)
      throw new Refused(401, "unauthorized", `unable to authenticate with ${given ?? "nothing"}`);
    if (method !== "GET") throw new Refused(403, "token_readonly", "this token may only read");
  }

  #route(call: Call): Reply {
    const route = `${call.method} ${call.path.replace(/\d+/, "{id}")}`;
    const { room } = this.#options;
    const named = <A extends { readonly name: string }>(items: readonly A[]): readonly A[] => {
      const name = call.query.get("name");
      return name === null ? items : items.filter((item) => item.name === name);
    };
    switch (route) {
      case "GET /servers":
        return this.#listServers(call, named);
      case "POST /servers":
        return this.#createServer(call.body);
      case "GET /servers/{id}":
        return [200, { server: rows.serverJson(this.#server(call.id)) }];
      case "PUT /servers/{id}":
        this.#server(call.id).labels = call.body["labels"] as Record<string, string>;
        return [200, { server: rows.serverJson(this.#server(call.id)) }];
      case "DELETE /servers/{id}":
        return this.#deleteServer(call.id);
      case "GET /actions":
        return [
          200,
          this.#page(
            call,
            "actions",
            call.query.getAll("id").flatMap((id) => this.#actionJson(Number(id))),
          ),
        ];
      case "GET /locations":
        return [200, this.#page(call, "locations", named(Object.keys(room).map((name) => rows.locationJson(name))))];
      case "GET /server_types":
        return [
          200,
          this.#page(
            call,
            "server_types",
            named(serverTypes.map((type) => ({ ...rows.serverTypeJson(type, Object.keys(room)), architecture: "x86" }))),
          ),
        ];
      case "GET /images":
        return [200, this.#page(call, "images", named([rows.imageJson("debian-12")]))];
      case "GET /load_balancers":
        return [
          200,
          this.#page(
            call,
            "load_balancers",
            named([...this.balancers.values()]).map((one) => this.#balancerJson(one)),
          ),
        ];
      case "GET /certificates":
        return [
          200,
          this.#page(call, "certificates", carrying(call, named([...this.certificates.values()])).map(rows.certificateJson)),
        ];
      default:
        return this.#routeDeeper(route, call);
    }
  }

  #routeDeeper(route: string, call: Call): Reply {
    const action = /^POST \/(servers|load_balancers)\/\{id\}\/actions\/(\w+)$/.exec(route);
    if (action?.[1] === "servers") return this.#power(this.#server(call.id), action[2] ?? "");
    if (action?.[1] === "load_balancers") return this.#target(call.id, action[2] ?? "", call.body);
    switch (route) {
      case "POST /certificates":
        return this.#upload(call.body);
      // The provider asks for many at once; the vendor's own command for one.
      case "GET /actions/{id}": {
        const [only] = this.#actionJson(call.id);
        if (only === undefined) throw new Refused(404, "not_found", `action ${call.id} not found`);
        return [200, { action: only }];
      }
      case "GET /certificates/{id}":
        return [200, { certificate: rows.certificateJson(this.#certificate(call.id)) }];
      case "DELETE /certificates/{id}":
        this.#certificate(call.id);
        this.certificates.delete(call.id);
        return [204];
      default:
        throw new Refused(404, "not_found", `no route ${route}`);
    }
  }

  #listServers(call: Call, named: (items: readonly FakeServer[]) => readonly FakeServer[]): Reply {
    const visible = [...this.servers.values()].filter((server) => this.#options.now() - server.createdAt >= this.#options.lagMs);
    const chosen = carrying(call, named(visible));
    return [200, this.#page(call, "servers", chosen.toSorted((a, b) => a.id - b.id).map(rows.serverJson))];
  }

  #createServer(body: Record<string, unknown>): Reply {
    const { now, bootMs, actionMs, serversMax, room } = this.#options;
    const invalid = (field: string): Refused =>
      new Refused(422, "invalid_input", `invalid input in field '${field}': ${JSON.stringify(body)}`, {
        fields: [{ name: field }],
      });
    const name = String(body["name"]);
    const location = (body["location"] ?? "fsn1") as string;
    const userData = (body["user_data"] ?? "") as string;
    if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/i.test(name)) throw invalid("name");
    const type = String(body["server_type"]);
    if (!serverTypes.includes(type)) throw invalid("server_type");
    // By its id too, as the vendor's own command does.
    if (body["image"] !== "debian-12" && body["image"] !== rows.imageJson("debian-12").id) throw invalid("image");
    if (!(location in room)) throw invalid("location");
    if (Buffer.byteLength(userData) > 32 * 1024) throw invalid("user_data");
    const all = [...this.servers.values()];
    if (all.some((server) => server.name === name)) {
      throw new Refused(409, "uniqueness_error", "server name is already used", { fields: [{ name: "name" }] });
    }
    if (all.length >= serversMax) {
      throw new Refused(403, "resource_limit_exceeded", "server limit exceeded", { limits: [{ name: "server_limit" }] });
    }
    if (all.filter((server) => server.location === location).length >= (room[location] ?? 0)) {
      throw new Refused(412, "resource_unavailable", `no room in ${location}`);
    }
    const net = body["public_net"] as { readonly enable_ipv4?: boolean } | undefined;
    const id = this.#newId();
    const server: FakeServer = {
      id,
      name,
      type,
      image: "debian-12",
      location,
      createdAt: now(),
      userData,
      publicNet: net?.enable_ipv4 ?? true,
      networks: (body["networks"] ?? []) as number[],
      listensAt: this.#options.machines.boot({ id: String(id), name, userData }),
      labels: (body["labels"] ?? {}) as Record<string, string>,
      status: "initializing",
      next: [
        { at: now() + bootMs / 2, status: "starting" },
        { at: now() + bootMs, status: "running" },
      ],
    };
    this.servers.set(server.id, server);
    this.made.push(server.id);
    const create = this.#start("create_server", server.id, actionMs);
    const start = this.#start("start_server", server.id, bootMs);
    return [
      201,
      { server: rows.serverJson(server), action: create, next_actions: [start], root_password: "YItygq1v3GYjjMomLaKc" },
    ];
  }

  #deleteServer(id: number): Reply {
    const server = this.#server(id);
    if (server.status !== "deleting") {
      this.#options.machines.destroy(String(id));
      server.status = "deleting";
      server.next = [{ at: this.#options.now() + this.#options.deleteMs, status: "gone" }];
      for (const balancer of this.balancers.values()) {
        balancer.targets = balancer.targets.filter((target) => target.server.id !== id);
      }
    }
    return [200, { action: this.#start("delete_server", id, this.#options.deleteMs) }];
  }

  #power(server: FakeServer, command: string): Reply {
    const { now, actionMs } = this.#options;
    const isLocked = [...this.#actions.values()].some(
      ({ resource, endsAt }) => resource.type === "server" && resource.id === server.id && endsAt > now(),
    );
    if (isLocked || server.status === "deleting") throw new Refused(423, "locked", "an action is running on this server");
    const error = this.failNextAction;
    const action = this.#start(`${command}_server`, server.id, actionMs);
    const at = now() + actionMs;
    if (error === null) {
      const { machines } = this.#options;
      const name = String(server.id);
      if (command === "poweroff") machines.stop(name, "hard");
      if (command === "poweron") machines.start(name);
      if (command === "shutdown" && !this.deaf.has(server.id)) machines.stop(name, "graceful");
      if (command === "reboot") {
        machines.stop(name, "graceful");
        machines.start(name);
      }
      if (command === "poweroff") server.next = [{ at, status: "off" }];
      if (command === "poweron") server.next = [{ at, status: "running" }];
      // The button is pressed within the action; the guest takes its time after it.
      if (command === "shutdown" && !this.deaf.has(server.id)) server.next = [{ at: at + actionMs * 2, status: "off" }];
    }
    return [201, { action }];
  }

  #target(id: number, command: string, body: Record<string, unknown>): Reply {
    const balancer = this.balancers.get(id);
    if (balancer === undefined) throw new Refused(404, "not_found", `no load balancer ${id}`);
    const server = body["server"] as { readonly id: number } | undefined;
    if (server === undefined) throw new Refused(422, "invalid_input", "only server targets are taken");
    this.#server(server.id);
    const isMember = balancer.targets.some((target) => target.server.id === server.id);
    if (command === "add_target") {
      if (isMember) throw new Refused(422, "target_already_defined", "the target is already defined");
      balancer.targets.push({ type: "server", server: { id: server.id }, use_private_ip: body["use_private_ip"] === true });
    } else {
      if (!isMember) throw new Refused(404, "load_balancer_target_not_found", "there is no such target");
      balancer.targets = balancer.targets.filter((target) => target.server.id !== server.id);
    }
    return [201, { action: this.#start(command, id, this.#options.actionMs, "load_balancer") }];
  }

  #upload(body: Record<string, unknown>): Reply {
    const name = String(body["name"]);
    if ([...this.certificates.values()].some((one) => one.name === name)) {
      throw new Refused(409, "uniqueness_error", `a certificate has the name ${name}`);
    }
    if (!String(body["private_key"]).includes("BEGIN PRIVATE KEY")) {
      throw new Refused(422, "invalid_input", `the private key is not readable: ${String(body["private_key"])}`);
    }
    const certificate: FakeCertificate = {
      id: this.#newId(),
      name,
      certificate: String(body["certificate"]),
      labels: (body["labels"] ?? {}) as Record<string, string>,
      createdAt: this.#options.now(),
    };
    this.certificates.set(certificate.id, certificate);
    return [201, { certificate: rows.certificateJson(certificate), action: null }];
  }

  #start(command: string, id: number, ms: number, type = "server") {
    const now = this.#options.now();
    const action: FakeAction = {
      id: this.#newId(),
      command,
      startedAt: now,
      endsAt: now + ms,
      resource: { id, type },
      error: this.failNextAction,
    };
    this.failNextAction = null;
    this.#actions.set(action.id, action);
    return rows.actionJson(action, now);
  }

  #actionJson(id: number) {
    const action = this.#actions.get(id);
    return action === undefined ? [] : [rows.actionJson(action, this.#options.now())];
  }

  #balancerJson(balancer: FakeBalancer) {
    return rows.balancerJson(balancer, (server) =>
      this.sick.has(server) ? "unhealthy" : this.isRunning(server) ? "healthy" : "unknown",
    );
  }

  #server(id: number): FakeServer {
    const server = this.servers.get(id);
    if (server === undefined) throw new Refused(404, "not_found", `server with ID '${id}' not found`);
    return server;
  }

  #certificate(id: number): FakeCertificate {
    const certificate = this.certificates.get(id);
    if (certificate === undefined) throw new Refused(404, "not_found", `certificate with ID '${id}' not found`);
    return certificate;
  }

  #page(call: Call, key: string, items: readonly unknown[]): object {
    const perPage = Math.min(Number(call.query.get("per_page") ?? 25), key === "servers" ? this.#options.pageMax : 50);
    const page = Number(call.query.get("page") ?? 1);
    const last = Math.max(1, Math.ceil(items.length / perPage));
    const pagination = {
      page,
      per_page: perPage,
      previous_page: page > 1 ? page - 1 : null,
      next_page: page < last ? page + 1 : null,
      last_page: last,
      total_entries: items.length,
    };
    return { [key]: items.slice((page - 1) * perPage, page * perPage), meta: { pagination } };
  }

  #newId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** Lets happen what is due. */
  #pass(): void {
    const now = this.#options.now();
    for (const server of this.servers.values()) {
      for (let [next] = server.next; next !== undefined && next.at <= now; [next] = server.next) {
        server.next.shift();
        server.status = next.status;
        if (next.status === "gone") this.servers.delete(server.id);
      }
    }
  }
}
