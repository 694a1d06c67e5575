/** Azure's machines, their cards, addresses and tags: one function for each call that the provider makes. */
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import { CloudFailure } from "../failure.ts";
import { ignoreBody, jsonReader } from "../http/json.ts";
import type { Labels } from "../provider.ts";
import { nothing, type Rest, type Pending } from "./rest.ts";
import type { CreateMachine } from "./create-body.ts";
import { failedAs } from "./failure.ts";
import { CardShape, MachineShape, MachineStatusShape, PublicAddressShape, TagsShape } from "./shapes.ts";
import type { Card, Machine } from "./shapes.ts";

/** Pinned: what the vendor answers to one version stays as it is. */
export const versions = {
  compute: "2024-11-01",
  disks: "2024-03-02",
  galleries: "2024-03-03",
  skus: "2021-07-01",
  network: "2025-05-01",
  tags: "2021-04-01",
  groups: "2021-04-01",
  subscriptions: "2022-12-01",
  permissions: "2022-04-01",
} as const;

export type PowerVerb = "start" | "powerOff" | "deallocate" | "restart";

export interface ComputeApi {
  /** All of the resource group, without how they are. */
  readonly machines: (signal: AbortSignal) => Promise<readonly Machine[]>;
  /** How all of the subscription are, as far as we may see, without their tags. */
  readonly statuses: (signal: AbortSignal) => Promise<readonly (typeof MachineStatusShape.Type)[]>;
  /** With how it is. */
  readonly machine: (name: string, signal: AbortSignal) => Promise<Machine>;
  /** Refused as Conflict exists where there is one of that name. */
  readonly create: (name: string, body: CreateMachine, userData: Redacted, signal: AbortSignal) => Promise<Pending>;
  readonly delete: (name: string, signal: AbortSignal) => Promise<Pending>;
  readonly power: (name: string, verb: PowerVerb, isHard: boolean, signal: AbortSignal) => Promise<Pending>;
  /** All tags that it has then. The vendor merges by itself; removing wants the values too. */
  readonly changeTags: (id: string, operation: "Merge" | "Delete", tags: Labels, signal: AbortSignal) => Promise<Labels>;
  /** With its public addresses. */
  readonly card: (id: string, signal: AbortSignal) => Promise<Card>;
  /** All of the resource group, each with the ids of its public addresses. */
  readonly cards: (signal: AbortSignal) => Promise<readonly Card[]>;
  readonly publicAddresses: (signal: AbortSignal) => Promise<readonly (typeof PublicAddressShape.Type)[]>;
  /** Is there a thing of this id: a card, a disk, a public address? */
  readonly isThere: (id: string, signal: AbortSignal) => Promise<boolean>;
}

const readMachine = jsonReader(MachineShape);
const readCard = jsonReader(CardShape);
const readTags = jsonReader(TagsShape);

export function makeComputeApi(rest: Rest, subscription: string, resourceGroup: string): ComputeApi {
  const group = `/subscriptions/${subscription}/resourceGroups/${encodeURIComponent(resourceGroup)}/providers`;
  const machines = `${group}/Microsoft.Compute/virtualMachines`;
  const post = async (op: string, path: string, query: readonly (readonly [string, string])[], signal: AbortSignal) => {
    // A state is brought about, so twice is as good as once; but two restarts are two.
    const idempotent = !path.endsWith("/restart");
    const change = { op, method: "POST", path, version: versions.compute, query, idempotent, read: nothing } as const;
    return (await rest.change(change, signal)).pending;
  };
  return {
    machines: (signal) => rest.list("list virtual machines", machines, versions.compute, MachineShape, signal),
    statuses: (signal) => {
      const path = `/subscriptions/${subscription}/providers/Microsoft.Compute/virtualMachines`;
      const query = [["statusOnly", "true"]] as const;
      return rest.list("list states of virtual machines", path, versions.compute, MachineStatusShape, signal, query);
    },
    machine: (name, signal) =>
      rest.read(`read virtual machine ${name}`, `${machines}/${name}`, versions.compute, readMachine, signal, [
        ["$expand", "instanceView"],
      ]),
    create: (name, body, userData, signal) => create(rest, `${machines}/${name}`, name, body, userData, signal),
    delete: async (name, signal) => {
      const op = `delete virtual machine ${name}`;
      const query = [["forceDeletion", "true"]] as const;
      const call = {
        op,
        method: "DELETE",
        path: `${machines}/${name}`,
        version: versions.compute,
        query,
        read: nothing,
      } as const;
      return (await rest.change({ ...call, idempotent: true }, signal)).pending;
    },
    power: (name, verb, isHard, signal) => {
      const query = verb === "powerOff" ? [["skipShutdown", String(isHard)] as const] : [];
      return post(`${verb} virtual machine ${name}`, `${machines}/${name}/${verb}`, query, signal);
    },
    changeTags: async (id, operation, tags, signal) => {
      const path = `${id}/providers/Microsoft.Resources/tags/default`;
      const call = { op: `label ${id.split("/").at(-1) ?? id}`, method: "PATCH", path, version: versions.tags } as const;
      const body = { operation, properties: { tags } };
      return (await rest.change({ ...call, body, idempotent: true, read: readTags }, signal)).value.properties.tags ?? {};
    },
    card: (id, signal) =>
      rest.read(`read network card ${id.split("/").at(-1) ?? id}`, id, versions.network, readCard, signal, [
        ["$expand", "ipConfigurations/publicIPAddress"],
      ]),
    cards: (signal) =>
      rest.list("list network cards", `${group}/Microsoft.Network/networkInterfaces`, versions.network, CardShape, signal),
    publicAddresses: (signal) =>
      rest.list("list addresses", `${group}/Microsoft.Network/publicIPAddresses`, versions.network, PublicAddressShape, signal),
    isThere: async (id, signal) => {
      const version = id.toLowerCase().includes("/microsoft.compute/") ? versions.disks : versions.network;
      try {
        await rest.read(`look for ${id.split("/").slice(-2).join(" ")}`, id, version, ignoreBody, signal);
        return true;
      } catch (failure) {
        if (failedAs(failure, "NotFound")) return false;
        throw failure;
      }
    },
  };
}

/** If-None-Match makes of the vendor's create-or-change a create alone. */
async function create(
  rest: Rest,
  path: string,
  name: string,
  body: CreateMachine,
  userData: Redacted,
  signal: AbortSignal,
): Promise<Pending> {
  const customData = Buffer.from(reveal(userData)).toString("base64");
  const { osProfile } = body.properties;
  const whole = { ...body, properties: { ...body.properties, osProfile: { ...osProfile, customData } } };
  const call = { op: `create virtual machine ${name}`, method: "PUT", path, version: versions.compute } as const;
  const headers = { "if-none-match": "*" };
  const confidential = [userData, redact(customData)];
  try {
    // Whether a lost answer was a yes is for `ensure` to look up.
    const made = await rest.change({ ...call, headers, body: whole, idempotent: false, confidential, read: nothing }, signal);
    return made.pending;
  } catch (failure) {
    if (!failedAs(failure, "Conflict") || failure.error.kind !== "stale") throw failure;
    throw new CloudFailure({ ...failure.error, kind: "exists" });
  }
}
