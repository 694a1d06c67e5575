/** The API's endpoint about machines (core/api/instances.ts declares it). */
import { AetherApi } from "@aether/core/api/api";
import type { InstancesAnswer } from "@aether/core/api/instances";
import { fleetOf } from "@aether/core/fleet/state";
import type { InstanceRow } from "@aether/core/instance/state";
import type { Rejection } from "@aether/core/kernel/command";
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder";
import type { Running } from "./handler-parts.ts";
import { readPoint, type Consistency, type OperationDeps } from "./operations.ts";

export const instancesGroup = (running: Running) =>
  HttpApiBuilder.group(AetherApi, "instances", (group) =>
    group.handle("list", ({ query }) => running((o) => readInstances(o, query.consistency ?? "linearizable"))),
  );

async function readInstances(d: OperationDeps, consistency: Consistency): Promise<typeof InstancesAnswer.Type | Rejection> {
  const read = await readPoint(d, consistency);
  if (typeof read !== "number") return read;
  const { world, applied } = d.store;
  const rows = [...world.all<InstanceRow>("instance")].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const instances = rows.map(({ row, version, index, at }) => ({ ...row, version, index, at }));
  return { index: applied, instances, ...fleetOf(world) };
}
