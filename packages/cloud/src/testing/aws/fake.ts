/**
 * EC2 in memory, with the habits that matter: a client token is replayed, also for what has ended; tags ride in the create; filters
 * lag, and a new id is not known at once; ended instances stay listed; pages; quotas, room, clocks. Signatures are worked
 * out a second time; every request and every answer is held against the vendor's service model.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseXml } from "@rgrove/parse-xml";
import type { HttpRequest, HttpResponse } from "../../http/transport.ts";
import type { VendorFake } from "../http-fake.ts";
import { noMachines, type Machines } from "../machines.ts";
import { checkAnswer, checkParams, type AwsModel } from "./model.ts";
import { verifySignature } from "./sigv4.ts";

export const ec2Model = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../../../fixtures/cloud-models/aws-ec2.json"), "utf8"),
) as AwsModel;

export interface FakeEc2Options {
  readonly now: () => number;
  readonly keys: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly region: string;
  readonly bootMs: number;
  readonly stopMs: number;
  readonly terminateMs: number;
  /** How long tag filters do not show a new instance; half as long its id is not known. */
  readonly lagMs: number;
  readonly pageMax: number;
  readonly instancesMax: number;
  readonly room: number;
  /** How far the vendor's clock is ahead of ours. */
  readonly aheadMs: number;
  readonly mayCreate: boolean;
  readonly machines: Machines;
}

export const fakeDefaults = {
  keys: { accessKeyId: "AKIDFAKE0123456789AB", secretAccessKey: "fake+secret/0123456789abcdefghijklmnopqr" },
  region: "eu-central-1",
  bootMs: 4_000,
  stopMs: 3_000,
  terminateMs: 4_000,
  lagMs: 2_000,
  pageMax: 2,
  instancesMax: 100,
  room: 100,
  aheadMs: 0,
  mayCreate: true,
  machines: noMachines,
};

export interface FakeInstance {
  readonly id: string;
  readonly token: string;
  readonly size: string;
  readonly image: string;
  readonly zone: string;
  readonly createdAt: number;
  readonly userData: string;
  readonly publicIp: boolean;
  /** Where its processes really listen, or null where nothing runs. */
  readonly listensAt: string | null;
  tags: Record<string, string>;
  state: string;
  reason: string;
  next: { readonly at: number; readonly state: string; readonly reason: string }[];
}

class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    [this.status, this.code] = [status, code];
  }
}

type Xml = string;
const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const tag = (name: string, content: Xml): Xml => `<${name}>${content}</${name}>`;
const leaf = (name: string, text: string | number): Xml => tag(name, escaped(String(text)));
const set = (name: string, items: readonly Xml[]): Xml => tag(name, items.map((item) => tag("item", item)).join(""));
const codes: Readonly<Record<string, number>> = {
  pending: 0,
  running: 16,
  "shutting-down": 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

export class FakeEc2 implements VendorFake {
  readonly instances = new Map<string, FakeInstance>();
  readonly violations: string[] = [];
  /** "RunInstances", in the order they came. */
  readonly calls: string[] = [];
  readonly #options: FakeEc2Options;
  readonly #tokens = new Map<string, { readonly id: string; readonly params: string }>();

  constructor(options: Pick<FakeEc2Options, "now"> & Partial<FakeEc2Options>) {
    this.#options = { ...fakeDefaults, ...options };
  }

  readonly handle = (request: HttpRequest): HttpResponse => {
    this.#pass();
    const params = [...new URLSearchParams(Buffer.from(request.body ?? "").toString())];
    const of = new Map(params);
    const action = of.get("Action") ?? "";
    this.calls.push(action);
    if (request.method !== "POST" || request.url.pathname !== "/")
      this.violations.push(`${request.method} ${request.url.pathname}`);
    if (of.get("Version") !== "2016-11-15") this.violations.push(`version ${String(of.get("Version"))}`);
    const own = params.filter(([key]) => key !== "Action" && key !== "Version");
    this.violations.push(...checkParams(ec2Model, action, own));
    try {
      this.#authenticate(request);
      const answer = tag(`${action}Response`, leaf("requestId", `fake-${this.calls.length}`) + this.#answer(action, of, own));
      const { root } = parseXml(answer);
      if (root === null) throw new Error("an answer has a root");
      this.violations.push(...checkAnswer(ec2Model, action, root));
      return this.#response(200, answer);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return this.#response(error.status, this.#refusalXml(error.code, error.message));
    }
  };

  readonly refusal = (status: number, headers: Readonly<Record<string, string>>): HttpResponse => {
    if (status === 404 || status === 502 || status === 504)
      return { status, headers, body: Buffer.from("<html><body>bad gateway</body></html>") };
    const code = status === 429 ? "RequestLimitExceeded" : status === 503 ? "Unavailable" : "InternalError";
    return { status, headers, body: Buffer.from(this.#refusalXml(code, "by plan")) };
  };

  living(): readonly FakeInstance[] {
    this.#pass();
    return [...this.instances.values()].filter(({ state }) => state !== "terminated");
  }

  isRunning(id: string): boolean {
    this.#pass();
    return this.instances.get(id)?.state === "running";
  }

  /** The guest switches itself off. */
  crash(id: string): void {
    const instance = this.#instance(id);
    this.#options.machines.stop(id, "hard");
    [instance.state, instance.reason, instance.next] = ["stopped", "Client.InstanceInitiatedShutdown", []];
  }

  #refusalXml(code: string, message: string): Xml {
    const error = tag("Error", leaf("Code", code) + leaf("Message", message));
    return tag("Response", tag("Errors", error) + leaf("RequestID", `fake-${this.calls.length}`));
  }

  #response(status: number, answer: Xml): HttpResponse {
    const date = new Date(this.#options.now() + this.#options.aheadMs).toUTCString();
    return {
      status,
      headers: { "content-type": "text/xml;charset=UTF-8", date },
      body: Buffer.from(`<?xml version="1.0"?>\n${answer}`),
    };
  }

  #authenticate(request: HttpRequest): void {
    const { keys, region, now, aheadMs } = this.#options;
    const verdict = verifySignature(request, keys, region, "ec2");
    if (verdict === "missing") throw new Refused(403, "MissingAuthenticationToken", "no signature");
    const given = request.headers["authorization"] ?? "";
    if (verdict === "wrong") throw new Refused(401, "AuthFailure", `not able to validate the credentials of ${given}`);
    if (Math.abs(now() + aheadMs - verdict) > 300_000) throw new Refused(400, "RequestExpired", "the request has expired");
  }

  #answer(action: string, of: ReadonlyMap<string, string>, own: readonly (readonly [string, string])[]): Xml {
    const ids = own.filter(([key]) => /^(InstanceId|ResourceId)\.\d+$/.test(key)).map(([, value]) => value);
    const { now, stopMs, terminateMs, machines } = this.#options;
    const change = (name: string, to: (instance: FakeInstance) => void): Xml =>
      set(
        name,
        ids.map((id) => this.#changed(this.#instance(id), to)),
      );
    const soon = (ms: number, state: string, reason: string) => [{ at: now() + ms, state, reason }];
    switch (action) {
      case "RunInstances":
        return this.#run(of, own);
      case "DescribeInstances":
        return this.#describe(of, own, ids);
      case "TerminateInstances":
        return change("instancesSet", (instance) => {
          if (instance.state === "terminated" || instance.state === "shutting-down") return;
          machines.destroy(instance.id);
          [instance.state, instance.next] = ["shutting-down", soon(terminateMs, "terminated", "Client.UserInitiatedShutdown")];
        });
      case "StartInstances":
        return change("instancesSet", (instance) => {
          if (instance.state === "running" || instance.state === "pending") return;
          if (instance.state !== "stopped")
            throw new Refused(400, "IncorrectInstanceState", `${instance.id} is ${instance.state}`);
          machines.start(instance.id);
          [instance.state, instance.next] = ["pending", soon(stopMs, "running", "")];
        });
      case "StopInstances":
        return change("instancesSet", (instance) => {
          if (instance.state === "stopped" || instance.state === "stopping") return;
          if (instance.state !== "running")
            throw new Refused(400, "IncorrectInstanceState", `${instance.id} is ${instance.state}`);
          machines.stop(instance.id, of.get("Force") === "true" ? "hard" : "graceful");
          [instance.state, instance.next] = ["stopping", soon(stopMs, "stopped", "Client.UserInitiatedShutdown")];
        });
      case "RebootInstances":
        for (const id of ids) {
          machines.stop(this.#instance(id).id, "graceful");
          machines.start(id);
        }
        return leaf("return", "true");
      case "CreateTags":
        ids.forEach((id) => Object.assign(this.#instance(id).tags, pairs(own, "Tag.")));
        return leaf("return", "true");
      case "DeleteTags": {
        const gone = own.filter(([key]) => /^Tag\.\d+\.Key$/.test(key)).map(([, value]) => value);
        for (const id of ids) {
          const instance = this.#instance(id);
          instance.tags = Object.fromEntries(Object.entries(instance.tags).filter(([key]) => !gone.includes(key)));
        }
        return leaf("return", "true");
      }
      case "DescribeInstanceTypeOfferings": {
        const zones =
          of.get("Filter.1.Value.1") === "t4g.small" ? ["a", "b"].map((letter) => `${this.#options.region}${letter}`) : [];
        const offers = zones.map(
          (zone) => leaf("instanceType", "t4g.small") + leaf("locationType", "availability-zone") + leaf("location", zone),
        );
        return set("instanceTypeOfferingSet", offers);
      }
      case "DescribeImages":
        return set(
          "imagesSet",
          of.get("Filter.1.Value.1") === "ami-0123456789abcdef0" ? [leaf("imageId", "ami-0123456789abcdef0")] : [],
        );
      default:
        throw new Refused(400, "InvalidAction", `the action ${action} is not valid`);
    }
  }

  #run(of: ReadonlyMap<string, string>, own: readonly (readonly [string, string])[]): Xml {
    const { mayCreate, room, instancesMax, now, bootMs, region } = this.#options;
    if (!mayCreate) throw new Refused(403, "UnauthorizedOperation", "you are not authorized to perform this operation");
    const size = of.get("InstanceType") ?? "";
    // Vendors do quote what they refuse.
    const quoted = `${of.get("UserData") ?? ""} (${Buffer.from(of.get("UserData") ?? "", "base64").toString()})`;
    if (size !== "t4g.small")
      throw new Refused(400, "InvalidParameterValue", `invalid InstanceType '${size}' with user data ${quoted}`);
    if (of.get("ImageId") !== "ami-0123456789abcdef0")
      throw new Refused(400, "InvalidAMIID.NotFound", "the image does not exist");
    if (of.get("DryRun") === "true")
      throw new Refused(412, "DryRunOperation", "request would have succeeded, but DryRun flag is set");
    const token = of.get("ClientToken") ?? "";
    const params = JSON.stringify(own.toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const earlier = this.#tokens.get(token);
    if (earlier !== undefined) {
      if (earlier.params !== params)
        throw new Refused(400, "IdempotentParameterMismatch", "the token was used with other parameters");
      return this.#reservation(this.#instance(earlier.id));
    }
    const living = this.living().length;
    if (living >= instancesMax)
      throw new Refused(400, "VcpuLimitExceeded", "you have requested more vCPU capacity than your limit");
    if (living >= room) throw new Refused(500, "InsufficientInstanceCapacity", "we currently do not have sufficient capacity");
    const userData = Buffer.from(of.get("UserData") ?? "", "base64").toString();
    if (Buffer.byteLength(userData) > 16 * 1024)
      throw new Refused(400, "InvalidParameterValue", `user data is too long: ${userData}`);
    const id = `i-${(this.instances.size + 0x1000).toString(16).padStart(17, "0")}`;
    const instance: FakeInstance = {
      id,
      token,
      size,
      image: of.get("ImageId") ?? "",
      zone: of.get("Placement.AvailabilityZone") ?? `${region}a`,
      createdAt: now(),
      userData,
      publicIp: of.get("NetworkInterface.1.AssociatePublicIpAddress") === "true",
      listensAt: this.#options.machines.boot({ id, name: "", userData }),
      tags: pairs(own, "TagSpecification.1.Tag."),
      state: "pending",
      reason: "",
      next: [{ at: now() + bootMs, state: "running", reason: "" }],
    };
    this.instances.set(instance.id, instance);
    this.#tokens.set(token, { id: instance.id, params });
    return this.#reservation(instance);
  }

  #describe(of: ReadonlyMap<string, string>, own: readonly (readonly [string, string])[], ids: readonly string[]): Xml {
    const { now, lagMs, pageMax } = this.#options;
    const age = (instance: FakeInstance): number => now() - instance.createdAt;
    if (ids.length > 0) {
      if (of.has("MaxResults"))
        throw new Refused(400, "InvalidParameterCombination", "MaxResults may not be used with instance ids");
      const found = ids.map((id) => this.#instance(id));
      const fresh = found.find((instance) => age(instance) < lagMs / 2);
      if (fresh !== undefined)
        throw new Refused(400, "InvalidInstanceID.NotFound", `the instance ID '${fresh.id}' does not exist`);
      return set(
        "reservationSet",
        found.map((instance) => this.#reservation(instance)),
      );
    }
    const filters = own.flatMap(([key, name]) => {
      const nth = /^Filter\.(\d+)\.Name$/.exec(key)?.[1];
      return nth === undefined
        ? []
        : [{ name, values: own.filter(([one]) => one.startsWith(`Filter.${nth}.Value.`)).map(([, value]) => value) }];
    });
    const chosen = [...this.instances.values()].filter(
      (instance) =>
        age(instance) >= lagMs &&
        filters.every(({ name, values }) =>
          values.includes(
            name.startsWith("tag:") ? (instance.tags[name.slice(4)] ?? "") : name === "instance-state-name" ? instance.state : "",
          ),
        ),
    );
    const from = Number(of.get("NextToken") ?? 0);
    const size = Math.min(Number(of.get("MaxResults") ?? 1000), pageMax);
    const page = chosen.slice(from, from + size).map((instance) => this.#reservation(instance));
    return set("reservationSet", page) + (from + size < chosen.length ? leaf("nextToken", from + size) : "");
  }

  #reservation(instance: FakeInstance): Xml {
    const { id, state, zone, createdAt, tags } = instance;
    const last = Number.parseInt(id.slice(-2), 16);
    const attached = tag("attachment", leaf("attachTime", new Date(createdAt).toISOString()));
    const body = [
      leaf("instanceId", id),
      leaf("imageId", instance.image),
      tag("instanceState", leaf("code", codes[state] ?? -1) + leaf("name", state)),
      leaf("instanceType", instance.size),
      leaf("launchTime", new Date(createdAt).toISOString()),
      tag("placement", leaf("availabilityZone", zone)),
      state === "terminated" ? "" : leaf("privateIpAddress", instance.listensAt ?? `10.1.0.${last}`),
      instance.publicIp && state === "running" ? leaf("ipAddress", instance.listensAt ?? `192.0.2.${last}`) : "",
      instance.reason === "" ? "" : tag("stateReason", leaf("code", instance.reason) + leaf("message", instance.reason)),
      set(
        "tagSet",
        Object.entries(tags).map(([key, value]) => leaf("key", key) + leaf("value", value)),
      ),
      set("networkInterfaceSet", [attached]),
      leaf("clientToken", instance.token),
    ];
    return leaf("reservationId", `r-${id.slice(2)}`) + leaf("ownerId", "123456789012") + set("instancesSet", [body.join("")]);
  }

  #changed(instance: FakeInstance, to: (instance: FakeInstance) => void): Xml {
    const before = instance.state;
    to(instance);
    const state = (name: string, value: string): Xml => tag(name, leaf("code", codes[value] ?? -1) + leaf("name", value));
    return leaf("instanceId", instance.id) + state("currentState", instance.state) + state("previousState", before);
  }

  #instance(id: string): FakeInstance {
    const instance = this.instances.get(id);
    if (instance === undefined) throw new Refused(400, "InvalidInstanceID.NotFound", `the instance ID '${id}' does not exist`);
    return instance;
  }

  /** Lets happen what is due. */
  #pass(): void {
    const now = this.#options.now();
    for (const instance of this.instances.values()) {
      for (let [next] = instance.next; next !== undefined && next.at <= now; [next] = instance.next) {
        instance.next.shift();
        [instance.state, instance.reason] = [next.state, next.reason];
      }
    }
  }
}

/** `Tag.1.Key=a&Tag.1.Value=b` as `{a: "b"}`. */
function pairs(own: readonly (readonly [string, string])[], prefix: string): Record<string, string> {
  const of = new Map(own);
  return Object.fromEntries(
    own.flatMap(([key, value]) =>
      key.startsWith(prefix) && key.endsWith(".Key") ? [[value, of.get(key.replace(/Key$/, "Value")) ?? ""]] : [],
    ),
  );
}
