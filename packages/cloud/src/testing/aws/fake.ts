/**
 * AWS in memory: EC2 with the habits that matter (a client token is replayed, also for what has ended; tags ride in the create; filters
 * lag, and a new id is not known at once; ended instances stay listed; pages; quotas, room, clocks), and beside it the other
 * services. Signatures are worked out a second time; every request and every answer is held against the vendor's service models.
 */
import type { HttpRequest, HttpResponse } from "../../http/transport.ts";
import type { VendorFake } from "../http-fake.ts";
import { noMachines, type Machines } from "../machines.ts";
import { FakeAcm } from "./fake-acm.ts";
import { FakeElb } from "./fake-elb.ts";
import { FakeSecrets } from "./fake-secrets.ts";
import { FakeSts } from "./fake-sts.ts";
import { AwsFront, type AwsCall } from "./front.ts";
import { leaf, Refused, set, tag, valuesOf, type Form, type Xml } from "./xml-answer.ts";

/** Debian's account, whose images the default is one of. */
const debian = "136693071363";
const account = "123456789012";

export interface FakeEc2Options {
  readonly now: () => number;
  readonly keys: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly region: string;
  readonly bootMs: number;
  /** Why no instance comes up, the vendor's word; null: all do. */
  readonly bootFault: string | null;
  readonly stopMs: number;
  readonly terminateMs: number;
  /** How long tag filters do not show a new instance; half as long its id is not known. */
  readonly lagMs: number;
  readonly pageMax: number;
  readonly instancesMax: number;
  readonly room: number;
  /** Zones that have another room than the rest. */
  readonly roomIn: Readonly<Record<string, number>>;
  /** How far the vendor's clock is ahead of ours. */
  readonly aheadMs: number;
  readonly mayCreate: boolean;
  readonly hasDefaultVpc: boolean;
  readonly machines: Machines;
}

export const fakeDefaults = {
  keys: { accessKeyId: "AKIDFAKE0123456789AB", secretAccessKey: "fake+secret/0123456789abcdefghijklmnopqr" },
  region: "eu-central-1",
  bootMs: 4_000,
  bootFault: null,
  stopMs: 3_000,
  terminateMs: 4_000,
  lagMs: 2_000,
  pageMax: 2,
  instancesMax: 100,
  room: 100,
  roomIn: {},
  aheadMs: 0,
  mayCreate: true,
  hasDefaultVpc: true,
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

/** Id, owner, birthday and name. */
const images: readonly (readonly [string, string, string, string])[] = [
  ["ami-0123456789abcdef0", account, "2025-11-01T00:00:00.000Z", "aether-base"],
  ["ami-0deb12a0000000001", debian, "2025-09-08T00:00:00.000Z", "debian-12-arm64-20250908-2229"],
  ["ami-0deb12a0000000003", debian, "2025-11-17T00:00:00.000Z", "debian-12-arm64-20251117-2299"],
  ["ami-0deb12a0000000002", debian, "2025-10-06T00:00:00.000Z", "debian-12-arm64-20251006-2257"],
  ["ami-0deb12a0000000004", debian, "2025-12-01T00:00:00.000Z", "debian-12-amd64-20251201-2313"],
  ["ami-0deb12a0000000005", debian, "2025-12-02T00:00:00.000Z", "debian-12-backports-arm64-20251202-2314"],
  ["ami-0bad12a0000000006", "210987654321", "2025-12-03T00:00:00.000Z", "debian-12-arm64-20251203-2315"],
];
/** The newest of Debian's own for the processor of the fake's one size. */
export const newestDebian = "ami-0deb12a0000000003";
/** In zones a, b and b; the last is full. */
const subnets: readonly string[] = ["subnet-0a1b2c3d", "subnet-1b2c3d4e", "subnet-2c3d4e5f"];

function chosenImages(of: ReadonlyMap<string, string>, form: Form): typeof images {
  const owners = valuesOf(form, "Owner");
  const name = [1, 2, 3].find((at) => of.get(`Filter.${at}.Name`) === "name");
  const id = [1, 2, 3].find((at) => of.get(`Filter.${at}.Name`) === "image-id");
  const pattern = new RegExp(`^${(of.get(`Filter.${name ?? 0}.Value.1`) ?? "*").replaceAll("*", ".*")}$`);
  return images.filter(
    ([image, owner, , called]) =>
      (owners.length === 0 || owners.includes(owner)) &&
      pattern.test(called) &&
      (id === undefined || of.get(`Filter.${id}.Value.1`) === image),
  );
}

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
  readonly elb: FakeElb;
  readonly secrets: FakeSecrets;
  readonly acm: FakeAcm;
  readonly sts: FakeSts;
  readonly #front: AwsFront;
  readonly #options: FakeEc2Options;
  readonly #tokens = new Map<string, { readonly id: string; readonly params: string }>();

  constructor(options: Pick<FakeEc2Options, "now"> & Partial<FakeEc2Options>) {
    this.#options = { ...fakeDefaults, ...options };
    const { now, pageMax, region, keys, aheadMs } = this.#options;
    const arn = (service: string, resource: string): string => `arn:aws:${service}:${region}:${account}:${resource}`;
    this.elb = new FakeElb({ now, arn, isRunning: (id) => this.isRunning(id) });
    this.secrets = new FakeSecrets({ now, arn, pageMax });
    this.acm = new FakeAcm({ now, arn, pageMax });
    this.sts = new FakeSts({ now, account });
    this.#front = new AwsFront({ now, aheadMs, keys, region, sts: this.sts, answer: (call) => this.#answer(call) });
  }

  readonly handle = (request: HttpRequest): HttpResponse => {
    this.#pass();
    return this.#front.handle(request);
  };

  readonly refusal = (status: number, headers: Readonly<Record<string, string>>, request: HttpRequest): HttpResponse =>
    this.#front.refusal(status, headers, request);

  /** What does not fit the vendor's models. */
  get violations(): readonly string[] {
    return this.#front.violations;
  }

  /** "RunInstances", in the order they came. */
  get calls(): readonly string[] {
    return this.#front.calls;
  }

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

  #answer({ service, action, of, form, body, accessKeyId }: AwsCall): unknown {
    switch (service) {
      case "ec2":
        return this.#ec2(action, of, form);
      case "elbv2":
        return this.elb.answer(action, of, form);
      case "sts":
        return this.sts.answer(action, of, accessKeyId);
      case "secretsmanager":
        return this.secrets.answer(action, body);
      case "acm":
        return this.acm.answer(action, body);
    }
  }

  #ec2(action: string, of: ReadonlyMap<string, string>, own: Form): Xml {
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
          chosenImages(of, own).map(([id, , createdAt, name]) => {
            return leaf("imageId", id) + leaf("creationDate", createdAt) + leaf("name", name);
          }),
        );
      case "DescribeInstanceTypes": {
        const size = of.get("InstanceType.1") ?? "";
        if (size !== "t4g.small") throw new Refused(400, "InvalidInstanceType", `there is no instance type ${size}`);
        const processor = tag("processorInfo", tag("supportedArchitectures", tag("item", "arm64")));
        return set("instanceTypeSet", [leaf("instanceType", size) + processor]);
      }
      case "DescribeSubnets":
        return set(
          "subnetSet",
          valuesOf(own, "SubnetId").map((id) => {
            const zone = this.#subnetZone(id);
            const free = id === subnets[2] ? 0 : 250;
            return leaf("subnetId", id) + leaf("availabilityZone", zone) + leaf("availableIpAddressCount", free);
          }),
        );
      case "DescribeAccountAttributes":
        return set("accountAttributeSet", [
          leaf("attributeName", "default-vpc") +
            set("attributeValueSet", [leaf("attributeValue", this.#options.hasDefaultVpc ? "vpc-0a1b2c3d" : "none")]),
        ]);
      default:
        throw new Refused(400, "InvalidAction", `the action ${action} is not valid`);
    }
  }

  #run(of: ReadonlyMap<string, string>, own: Form): Xml {
    const { mayCreate, room, roomIn, instancesMax, now, bootMs, bootFault } = this.#options;
    if (!mayCreate) throw new Refused(403, "UnauthorizedOperation", "you are not authorized to perform this operation");
    const size = of.get("InstanceType") ?? "";
    // Vendors do quote what they refuse.
    const quoted = `${of.get("UserData") ?? ""} (${Buffer.from(of.get("UserData") ?? "", "base64").toString()})`;
    if (size !== "t4g.small")
      throw new Refused(400, "InvalidParameterValue", `invalid InstanceType '${size}' with user data ${quoted}`);
    if (!images.some(([id]) => id === of.get("ImageId")))
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
    const zone = this.#zoneOf(of);
    const isFull = this.living().filter((one) => one.zone === zone).length >= (roomIn[zone] ?? room);
    if (living >= room || isFull)
      throw new Refused(500, "InsufficientInstanceCapacity", "we currently do not have sufficient capacity");
    const userData = Buffer.from(of.get("UserData") ?? "", "base64").toString();
    if (Buffer.byteLength(userData) > 16 * 1024)
      throw new Refused(400, "InvalidParameterValue", `user data is too long: ${userData}`);
    const id = `i-${(this.instances.size + 0x1000).toString(16).padStart(17, "0")}`;
    const instance: FakeInstance = {
      id,
      token,
      size,
      image: of.get("ImageId") ?? "",
      zone,
      createdAt: now(),
      userData,
      publicIp: of.get("NetworkInterface.1.AssociatePublicIpAddress") === "true",
      listensAt: this.#options.machines.boot({ id, name: "", userData }),
      tags: pairs(own, "TagSpecification.1.Tag."),
      state: "pending",
      reason: "",
      next: [{ at: now() + bootMs, state: bootFault === null ? "running" : "terminated", reason: bootFault ?? "" }],
    };
    this.instances.set(instance.id, instance);
    this.#tokens.set(token, { id: instance.id, params });
    return this.#reservation(instance);
  }

  /** A subnet lies in one zone; naming another beside it is a contradiction. */
  #zoneOf(of: ReadonlyMap<string, string>): string {
    const asked = of.get("Placement.AvailabilityZone");
    const subnet = of.get("NetworkInterface.1.SubnetId");
    const implied = subnet === undefined ? undefined : this.#subnetZone(subnet);
    if (asked !== undefined && implied !== undefined && asked !== implied) {
      throw new Refused(400, "InvalidParameterValue", `the zone ${asked} does not match that of subnet ${subnet}`);
    }
    return asked ?? implied ?? `${this.#options.region}a`;
  }

  #subnetZone(id: string): string {
    const at = subnets.indexOf(id);
    if (at < 0) throw new Refused(400, "InvalidSubnetID.NotFound", `the subnet ID '${id}' does not exist`);
    return `${this.#options.region}${at === 0 ? "a" : "b"}`;
  }

  #describe(of: ReadonlyMap<string, string>, own: Form, ids: readonly string[]): Xml {
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
function pairs(own: Form, prefix: string): Record<string, string> {
  const of = new Map(own);
  return Object.fromEntries(
    own.flatMap(([key, value]) =>
      key.startsWith(prefix) && key.endsWith(".Key") ? [[value, of.get(key.replace(/Key$/, "Value")) ?? ""]] : [],
    ),
  );
}
