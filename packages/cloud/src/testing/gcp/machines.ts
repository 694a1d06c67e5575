/** The fake's virtual machines: names unique in a zone, things that take time, finite room, labels with versions. */
import type { Machines } from "../machines.ts";
import { Refused, type Call } from "./refused.ts";
import { fingerprint, type FakeOperation, type FakeVm } from "./rows.ts";

export interface MachineOptions {
  readonly now: () => number;
  /** From the create to running. */
  readonly bootMs: number;
  readonly operationMs: number;
  readonly deleteMs: number;
  readonly stopMs: number;
  readonly vmsMax: number;
  /** Machines that there is room for, by zone; these are the zones. */
  readonly room: Readonly<Record<string, number>>;
  readonly machines: Machines;
}

export type Ending = Pick<FakeOperation, "type" | "target" | "targetId" | "endsAt" | "error">;

export class FakeMachines {
  /** By "zone/name". */
  readonly all = new Map<string, FakeVm>();
  /** Ids of all that ever came to run. */
  readonly made: string[] = [];
  readonly #options: MachineOptions;
  #lastId = 7_000_000_000_000_000_000n;

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  /** What time brings. */
  pass(): void {
    const now = this.#options.now();
    for (const [key, vm] of this.all) {
      for (const { at, status } of vm.next) {
        if (at > now) continue;
        vm.status = status;
        if (status === "gone") this.all.delete(key);
      }
      vm.next = vm.next.filter(({ at }) => at > now);
    }
  }

  get(zone: string, name: string): FakeVm {
    const vm = this.all.get(`${zone}/${name}`);
    if (vm === undefined) throw new Refused(404, "notFound", `The resource 'zones/${zone}/instances/${name}' was not found`);
    return vm;
  }

  insert(zone: string, body: Call["body"]): Ending {
    const { now, operationMs, bootMs, room, vmsMax, machines } = this.#options;
    const invalid = (field: string): Refused =>
      new Refused(400, "invalid", `Invalid value for field 'resource.${field}': ${JSON.stringify(body)}`);
    const name = String(body["name"]);
    if (!(zone in room)) throw invalid("zone");
    if (this.all.has(`${zone}/${name}`)) throw new Refused(409, "alreadyExists", `The resource '${name}' already exists`);
    if (body["machineType"] !== `zones/${zone}/machineTypes/e2-medium`) throw invalid("machineType");
    const [disk] = body["disks"] as readonly {
      readonly autoDelete?: boolean;
      readonly initializeParams: { readonly sourceImage: string };
    }[];
    if (disk?.initializeParams.sourceImage.startsWith("projects/ubuntu-os-cloud/global/images/") !== true)
      throw invalid("disks[0]");
    const [nic] = body["networkInterfaces"] as readonly { readonly accessConfigs?: readonly unknown[] }[];
    const { items } = body["metadata"] as { readonly items: readonly { readonly key: string; readonly value: string }[] };
    if (items.some(({ value }) => Buffer.byteLength(value) > 256 * 1024)) throw invalid("metadata");
    const here = [...this.all.values()].filter((vm) => vm.zone === zone).length;
    const at = now();
    const ends = { type: "insert", target: `instances/${name}`, endsAt: at + operationMs };
    const id = String((this.#lastId += 1n));
    const full = here >= (room[zone] ?? 0);
    const userData = items.find(({ key }) => key === "user-data")?.value ?? "";
    if (this.all.size >= vmsMax) {
      return {
        ...ends,
        targetId: id,
        error: { code: "QUOTA_EXCEEDED", message: "Quota 'CPUS' exceeded.  Limit: 0.0 in region" },
      };
    }
    const vm: FakeVm = {
      id,
      name,
      zone,
      createdAt: at,
      userData,
      body,
      isPublic: (nic?.accessConfigs ?? []).length > 0,
      listensAt: full ? null : machines.boot({ id, name, userData }),
      labels: { ...(body["labels"] as Record<string, string> | undefined) },
      version: 1,
      status: "PROVISIONING",
      isBeingDeleted: false,
      // For want of room it is there for a moment, and then not.
      next: full
        ? [{ at: at + operationMs, status: "gone" }]
        : [
            { at: at + operationMs / 2, status: "STAGING" },
            { at: at + bootMs, status: "RUNNING" },
          ],
    };
    this.all.set(`${zone}/${name}`, vm);
    const error = {
      code: "ZONE_RESOURCE_POOL_EXHAUSTED",
      message: `The zone '${zone}' does not have enough resources available`,
    };
    if (full) return { ...ends, targetId: id, error };
    this.made.push(id);
    return { ...ends, targetId: id, error: null };
  }

  remove(zone: string, name: string): Ending {
    const { now, deleteMs, machines } = this.#options;
    const vm = this.get(zone, name);
    if (vm.isBeingDeleted) throw new Refused(400, "resourceNotReady", `The resource '${name}' is not ready`);
    machines.destroy(vm.id);
    [vm.isBeingDeleted, vm.status] = [true, "STOPPING"];
    vm.next = [{ at: now() + deleteMs, status: "gone" }];
    return { type: "delete", target: `instances/${name}`, targetId: vm.id, endsAt: now() + deleteMs, error: null };
  }

  power(zone: string, name: string, verb: string): Ending {
    const { now, stopMs, operationMs, machines } = this.#options;
    const vm = this.get(zone, name);
    if (vm.isBeingDeleted || vm.status === "STOPPING" || vm.status === "PROVISIONING") {
      throw new Refused(400, "resourceNotReady", `The resource '${name}' is not ready`);
    }
    const ends = { type: verb, target: `instances/${name}`, targetId: vm.id, error: null };
    if (verb === "stop" && vm.status !== "TERMINATED") {
      machines.stop(vm.id, "graceful");
      vm.status = "STOPPING";
      vm.next = [{ at: now() + stopMs, status: "TERMINATED" }];
      return { ...ends, endsAt: now() + stopMs };
    }
    if ((verb === "start" && vm.status === "TERMINATED") || (verb === "resume" && vm.status === "SUSPENDED")) {
      machines.start(vm.id);
      vm.status = "STAGING";
      vm.next = [{ at: now() + operationMs, status: "RUNNING" }];
    }
    if (verb === "reset") {
      if (vm.status !== "RUNNING") throw new Refused(400, "resourceNotReady", `The resource '${name}' is not ready`);
      machines.stop(vm.id, "hard");
      machines.start(vm.id);
    }
    return { ...ends, endsAt: now() + operationMs };
  }

  setLabels(zone: string, name: string, body: Call["body"]): Ending {
    const { now, operationMs } = this.#options;
    const vm = this.get(zone, name);
    if (body["labelFingerprint"] !== fingerprint(vm)) {
      throw new Refused(412, "conditionNotMet", "Labels fingerprint either invalid or resource labels have changed");
    }
    vm.labels = { ...(body["labels"] as Record<string, string>) };
    vm.version += 1;
    return { type: "setLabels", target: `instances/${name}`, targetId: vm.id, endsAt: now() + operationMs / 2, error: null };
  }

  /** The guest ends by itself, or the vendor takes a spot machine away. */
  crash(zone: string, name: string): void {
    const vm = this.get(zone, name);
    this.#options.machines.stop(vm.id, "hard");
    [vm.status, vm.next] = ["TERMINATED", []];
  }
}
