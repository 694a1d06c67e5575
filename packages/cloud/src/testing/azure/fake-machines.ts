/** The virtual machines of the fake, and what is made and deleted with them: cards, disks, public addresses. */
import { createHash } from "node:crypto";
import type { Machines } from "../machines.ts";
import { wishFault } from "./machine-wish.ts";
import { byId, pageOf, Refused, type Call, type Reply } from "./answers.ts";

export interface MachinesOptions {
  readonly now: () => number;
  readonly bootMs: number;
  readonly powerMs: number;
  readonly deleteMs: number;
  /** How long lists do not show what was made. */
  readonly lagMs: number;
  readonly pageMax: number;
  readonly machinesMax: number;
  /** Machines that there is room for, by zone; "" is no zone. */
  readonly room: Readonly<Record<string, number>>;
  readonly machines: Machines;
  readonly group: string;
}

interface Operation {
  readonly endsAt: number;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface FakeMachine {
  readonly name: string;
  readonly id: string;
  readonly vmId: string;
  readonly createdAt: number;
  readonly zone: string;
  readonly userData: string;
  readonly wish: Record<string, unknown>;
  tags: Record<string, string>;
  provisioning: string;
  power: string | null;
  busyUntil: number;
  next: { readonly at: number; readonly provisioning?: string; readonly power?: string }[];
}

interface Part {
  readonly id: string;
  readonly machine: FakeMachine;
  readonly json: () => object;
  goneAt: number;
}

const notOffered = "Standard_M416ms_v2";
const seconds = (ms: number): string => String(Math.max(1, Math.round(ms / 1000)));

export class FakeMachines {
  readonly machines = new Map<string, FakeMachine>();
  readonly cards = new Map<string, Part>();
  readonly disks = new Map<string, Part>();
  readonly addresses = new Map<string, Part>();
  /** Names of all that ever were. */
  readonly made: string[] = [];
  /** What the next power operation ends in. */
  failNext: { readonly code: string; readonly message: string } | null = null;
  readonly #options: MachinesOptions;
  readonly #operations = new Map<string, Operation>();
  #count = 0;

  constructor(options: MachinesOptions) {
    this.#options = options;
  }

  /** Calls below `…/Microsoft.Compute/virtualMachines/{name}`; `verb` is what follows. */
  handle(call: Call, name: string, verb: string): Reply {
    switch (`${call.method} ${verb}`) {
      case "GET ":
        return { status: 200, body: this.#json(this.#machine(name), call.query.get("$expand") === "instanceView") };
      case "PUT ":
        return this.#create(call, name);
      case "DELETE ":
        return this.#delete(call, name);
      case "PATCH tags":
        return this.#tag(call, this.#machine(name));
      default:
        if (call.method !== "POST") throw new Refused(405, "MethodNotAllowed", `no ${call.method} ${verb}`);
        return this.#power(call, this.#machine(name), verb);
    }
  }

  list(call: Call, isStatusOnly: boolean): Reply {
    const rows = byId(this.#seen([...this.machines.values()]).map((machine) => this.#json(machine, isStatusOnly)));
    const shown = isStatusOnly
      ? rows.map(({ id, name, location, type, properties }) => ({ id, name, location, type, properties }))
      : rows;
    return pageOf(call, shown, ({ id }) => id, this.#options.pageMax);
  }

  listParts(call: Call, parts: ReadonlyMap<string, Part>): Reply {
    const seen = this.#seen([...parts.values()].map((part) => ({ part, createdAt: part.machine.createdAt })));
    const rows = byId(seen.map(({ part }) => ({ ...(part.json() as { readonly id: string }) })));
    return pageOf(call, rows, ({ id }) => id, this.#options.pageMax);
  }

  part(call: Call, parts: ReadonlyMap<string, Part>, name: string): Reply {
    const part = parts.get(name.toLowerCase());
    if (part === undefined) throw new Refused(404, "ResourceNotFound", `The Resource '${name}' was not found.`);
    const isExpanded = call.query.get("$expand") === "ipConfigurations/publicIPAddress";
    return { status: 200, body: isExpanded ? this.#expanded(part) : part.json() };
  }

  operation(call: Call): Reply {
    const id = call.path.split("/").at(-1) ?? "";
    const operation = this.#operations.get(id);
    if (operation === undefined) throw new Refused(404, "NotFound", `no operation ${id}`);
    const { now } = this.#options;
    if (now() < operation.endsAt) {
      return { status: 200, body: { status: "InProgress" }, headers: { "retry-after": "2" } };
    }
    const body = operation.error === null ? { status: "Succeeded" } : { status: "Failed", error: operation.error };
    return { status: 200, body: { name: id, ...body } };
  }

  /** An operation of anything that is over in `ms`, as the headers that tell of it. */
  begin(call: Call, ms: number, error: Operation["error"] = null): Readonly<Record<string, string>> {
    this.#count += 1;
    const id = createHash("md5").update(`operation ${this.#count}`).digest("hex");
    this.#operations.set(id, { endsAt: this.#options.now() + ms, error });
    const path = `/subscriptions/${call.path.split("/")[2] ?? ""}/providers/Microsoft.Compute/locations/westeurope/operations/${id}`;
    return { "azure-asyncoperation": `${call.origin}${path}?api-version=2024-11-01&s=a%2Bb`, "retry-after": seconds(ms / 2) };
  }

  crash(name: string): void {
    const machine = this.#machine(name);
    this.#options.machines.stop(machine.vmId, "hard");
    [machine.power, machine.next] = ["stopped", []];
  }

  isRunning(name: string): boolean {
    this.pass();
    return this.machines.get(name.toLowerCase())?.power === "running";
  }

  /** Lets happen what is due. */
  pass(): void {
    const now = this.#options.now();
    for (const [key, machine] of this.machines) {
      for (let [next] = machine.next; next !== undefined && next.at <= now; [next] = machine.next) {
        machine.next.shift();
        machine.provisioning = next.provisioning ?? machine.provisioning;
        machine.power = next.power ?? machine.power;
        if (machine.provisioning === "gone") this.machines.delete(key);
      }
    }
    for (const parts of [this.cards, this.disks, this.addresses]) {
      for (const [key, part] of parts) if (part.goneAt <= now) parts.delete(key);
    }
  }

  #seen<A extends { readonly createdAt: number }>(items: readonly A[]): readonly A[] {
    return items.filter(({ createdAt }) => this.#options.now() - createdAt >= this.#options.lagMs);
  }

  #machine(name: string): FakeMachine {
    const machine = this.machines.get(name.toLowerCase());
    if (machine === undefined)
      throw new Refused(404, "ResourceNotFound", `The Resource 'Microsoft.Compute/virtualMachines/${name}' was not found.`);
    return machine;
  }

  #create(call: Call, name: string): Reply {
    const { now, bootMs, machines, room, machinesMax, group } = this.#options;
    const properties = call.body["properties"] as Record<string, Record<string, unknown>>;
    const size = String(properties["hardwareProfile"]?.["vmSize"]);
    if (this.machines.has(name.toLowerCase())) {
      if (call.headers["if-none-match"] === "*") throw new Refused(412, "PreconditionFailed", `The resource ${name} exists.`);
      throw new Refused(409, "PropertyChangeNotAllowed", "this would change somebody's machine");
    }
    const invalid = wishFault(name, properties);
    if (invalid !== null) throw new Refused(400, "InvalidParameter", `${invalid}: ${JSON.stringify(call.body)}`);
    const living = [...this.machines.values()].filter(({ provisioning }) => provisioning !== "Failed");
    if (living.length >= machinesMax) {
      const message = "Operation could not be completed as it results in exceeding approved standardBSFamily Cores quota.";
      throw new Refused(409, "OperationNotAllowed", message);
    }
    const zone = (call.body["zones"] as readonly string[] | undefined)?.[0] ?? "";
    this.#count += 1;
    const digest = createHash("md5").update(`${name} ${this.#count}`).digest("hex");
    const vmId = digest.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    const hasRoom = living.filter((machine) => machine.zone === zone).length < (room[zone] ?? 0);
    const userData = Buffer.from((properties["osProfile"]?.["customData"] ?? "") as string, "base64").toString();
    const machine: FakeMachine = {
      name,
      id: `${group}/providers/Microsoft.Compute/virtualMachines/${name}`,
      vmId,
      createdAt: now(),
      zone,
      userData,
      wish: call.body,
      tags: { ...(call.body["tags"] as Record<string, string>) },
      provisioning: "Creating",
      power: null,
      busyUntil: now() + bootMs,
      next: hasRoom
        ? [
            { at: now() + bootMs / 2, power: "starting" },
            { at: now() + bootMs, power: "running", provisioning: "Succeeded" },
          ]
        : [{ at: now() + bootMs / 2, provisioning: "Failed" }],
    };
    this.machines.set(name.toLowerCase(), machine);
    this.made.push(name);
    if (size === notOffered) {
      // Refused, and something of it stands there all the same.
      [machine.provisioning, machine.next] = ["Failed", []];
      this.#addParts(machine, null);
      throw new Refused(409, "SkuNotAvailable", `The requested size ${size} is not available in westeurope.`);
    }
    this.#addParts(machine, hasRoom ? machines.boot({ id: vmId, name, userData }) : null);
    const code = zone === "" ? "AllocationFailed" : "ZonalAllocationFailed";
    const error = hasRoom ? null : { code, message: `Allocation failed. There is no capacity for ${size} in this zone.` };
    return { status: 201, body: this.#json(machine, false), headers: this.begin(call, hasRoom ? bootMs : bootMs / 2, error) };
  }

  #addParts(machine: FakeMachine, listensAt: string | null): void {
    const { group } = this.#options;
    const number = this.#count;
    const network = (machine.wish["properties"] as Record<string, Record<string, readonly Configuration[]>>)["networkProfile"];
    const [card] = network?.["networkInterfaceConfigurations"] ?? [];
    const [ip] = card?.properties.ipConfigurations ?? [];
    if (card === undefined || ip === undefined) throw new Refused(400, "InvalidParameter", "a machine needs a card");
    const at = `${group}/providers`;
    const [cardId, diskId] = [
      `${at}/Microsoft.Network/networkInterfaces/${card.name}`,
      `${at}/Microsoft.Compute/disks/${machine.name}_OsDisk_1`,
    ];
    const address = ip.properties.publicIPAddressConfiguration;
    const addressId = `${at}/Microsoft.Network/publicIPAddresses/${address?.name ?? ""}`;
    const part = (id: string, json: () => object): Part => ({ id, machine, json, goneAt: Infinity });
    const privateIPAddress = listensAt ?? `10.1.${Math.floor(number / 250) % 250}.${number % 250}`;
    const ipConfiguration = {
      id: `${cardId}/ipConfigurations/${ip.name}`,
      name: ip.name,
      properties: {
        primary: true,
        privateIPAddress,
        subnet: ip.properties.subnet,
        ...(address === undefined ? {} : { publicIPAddress: { id: addressId } }),
      },
    };
    const cardJson = () => ({
      id: cardId,
      name: card.name,
      location: "westeurope",
      properties: { provisioningState: "Succeeded", virtualMachine: { id: machine.id }, ipConfigurations: [ipConfiguration] },
    });
    this.cards.set(card.name.toLowerCase(), part(cardId, cardJson));
    const diskName = `${machine.name}_OsDisk_1`;
    this.disks.set(
      diskName.toLowerCase(),
      part(diskId, () => ({
        id: diskId,
        name: diskName,
        location: "westeurope",
        properties: { creationData: { createOption: "FromImage" } },
      })),
    );
    if (address === undefined) return;
    const ipAddress = listensAt ?? `203.0.113.${number % 250}`;
    const addressJson = () => ({ id: addressId, name: address.name, location: "westeurope", properties: { ipAddress } });
    this.addresses.set(address.name.toLowerCase(), part(addressId, addressJson));
  }

  #expanded(part: Part): object {
    const card = part.json() as {
      readonly properties: { readonly ipConfigurations: readonly { readonly properties: ShownConfiguration }[] };
    };
    const ipConfigurations = card.properties.ipConfigurations.map((configuration) => {
      const { publicIPAddress } = configuration.properties;
      const name = publicIPAddress?.id.split("/").at(-1)?.toLowerCase() ?? "";
      const whole = this.addresses.get(name)?.json();
      return whole === undefined
        ? configuration
        : { ...configuration, properties: { ...configuration.properties, publicIPAddress: whole } };
    });
    return { ...card, properties: { ...card.properties, ipConfigurations } };
  }

  #delete(call: Call, name: string): Reply {
    const machine = this.machines.get(name.toLowerCase());
    if (machine === undefined) return { status: 204 };
    const { now, deleteMs, machines } = this.#options;
    if (machine.provisioning !== "Deleting") {
      machines.destroy(machine.vmId);
      machine.provisioning = "Deleting";
      machine.next = [{ at: now() + deleteMs, provisioning: "gone" }];
      for (const parts of [this.cards, this.addresses, this.disks]) {
        for (const part of parts.values()) if (part.machine === machine) part.goneAt = now() + deleteMs;
      }
    }
    const { "azure-asyncoperation": location = "", ...headers } = this.begin(call, deleteMs);
    return { status: 202, headers: { ...headers, "azure-asyncoperation": location, location: `${location}&monitor=true` } };
  }

  #tag({ body }: Call, machine: FakeMachine): Reply {
    const { tags } = body["properties"] as { readonly tags: Record<string, string> };
    if (body["operation"] === "Merge") machine.tags = { ...machine.tags, ...tags };
    else if (body["operation"] === "Delete") {
      machine.tags = Object.fromEntries(Object.entries(machine.tags).filter(([key, value]) => tags[key] !== value));
    } else throw new Refused(400, "InvalidRequestContent", `no operation ${String(body["operation"])}`);
    const id = `${machine.id}/providers/Microsoft.Resources/tags/default`;
    return { status: 200, body: { id, name: "default", type: "Microsoft.Resources/tags", properties: { tags: machine.tags } } };
  }

  #power(call: Call, machine: FakeMachine, verb: string): Reply {
    const { now, powerMs, machines } = this.#options;
    if (machine.provisioning === "Deleting" || now() < machine.busyUntil) {
      throw new Refused(409, "AnotherOperationInProgress", "Another operation on this machine is in progress.");
    }
    const error = this.failNext;
    this.failNext = null;
    const at = now() + powerMs;
    machine.busyUntil = at;
    const to = { start: "running", restart: "running", powerOff: "stopped", deallocate: "deallocated" }[verb];
    if (to === undefined) throw new Refused(404, "NotFound", `no verb ${verb}`);
    if (error !== null) return { status: 202, headers: this.begin(call, powerMs, error) };
    if (verb === "powerOff" || verb === "deallocate" || verb === "restart") {
      machines.stop(machine.vmId, call.query.get("skipShutdown") === "true" ? "hard" : "graceful");
    }
    if (verb === "start" || verb === "restart") machines.start(machine.vmId);
    machine.power = { start: "starting", restart: "running", powerOff: "stopping", deallocate: "deallocating" }[verb] ?? null;
    // Of a guest that is off already there is nothing to end.
    machine.next = [{ at, power: verb === "powerOff" && machine.power === "deallocated" ? "deallocated" : to }];
    return { status: 202, headers: this.begin(call, powerMs) };
  }

  #json(machine: FakeMachine, isExpanded: boolean) {
    const { name, id, vmId, createdAt, zone, tags, provisioning, power, wish } = machine;
    const properties = wish["properties"] as Record<string, object>;
    const { networkInterfaceConfigurations: _, ...network } = properties["networkProfile"] as Record<string, unknown>;
    const { customData: _secret, ...osProfile } = properties["osProfile"] as Record<string, unknown>;
    const card = [...this.cards.values()].find((part) => part.machine === machine);
    const disk = [...this.disks.values()].find((part) => part.machine === machine);
    const failed = provisioning === "Failed" ? "/AllocationFailed" : "";
    const statuses = [
      { code: `ProvisioningState/${provisioning.toLowerCase()}${failed}`, level: "Info", displayStatus: provisioning },
      ...(power === null ? [] : [{ code: `PowerState/${power}`, level: "Info", displayStatus: `VM ${power}` }]),
    ];
    const storage = properties["storageProfile"] as { readonly osDisk: object };
    return {
      id,
      name,
      type: "Microsoft.Compute/virtualMachines",
      location: "westeurope",
      ...(zone === "" ? {} : { zones: [zone] }),
      tags: { ...tags },
      properties: {
        ...properties,
        osProfile,
        vmId,
        provisioningState: provisioning,
        timeCreated: new Date(createdAt).toISOString(),
        storageProfile: {
          ...storage,
          osDisk: {
            ...storage.osDisk,
            ...(disk === undefined ? {} : { managedDisk: { id: disk.id, storageAccountType: "StandardSSD_LRS" } }),
          },
        },
        networkProfile: {
          ...network,
          ...(card === undefined ? {} : { networkInterfaces: [{ id: card.id, properties: { primary: true } }] }),
        },
        ...(isExpanded ? { instanceView: { statuses } } : {}),
      },
    };
  }
}

interface Configuration {
  readonly name: string;
  readonly properties: {
    readonly ipConfigurations: readonly {
      readonly name: string;
      readonly properties: {
        readonly subnet: { readonly id: string };
        readonly publicIPAddressConfiguration?: { readonly name: string };
      };
    }[];
  };
}
interface ShownConfiguration {
  readonly publicIPAddress?: { readonly id: string };
}
