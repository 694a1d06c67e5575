/** Takes away all instances of a cluster, found by its labels alone: also those that no record knows of. */
import { fail, forEach, gen, promise, type Effect } from "effect/Effect";
import type { Clock } from "./http/clock.ts";
import { clusterLabels, labelKeys } from "./labels.ts";
import type { CloudError, CloudProvider } from "./provider.ts";

export interface SweepOptions {
  readonly cluster: string;
  /** Only instances with this id: another cluster of the same name may be somebody else's. */
  readonly clusterId?: string;
  /** How many instances there should be at most. Two more are believed; beyond that a person must look first. */
  readonly expected: number;
  /** How long the provider's lists may lag behind: two empty ones this far apart count as none. */
  readonly consistencyMs: number;
}

const roundsMax = 20;
const atOnce = 8;

/** The number deleted. Fails, and deletes nothing, when there are more than can be right or when a list is not whole. */
export const sweepInstances = (
  { name, compute }: CloudProvider,
  options: SweepOptions,
  clock: Clock,
): Effect<number, CloudError> =>
  gen(function* () {
    const op = `sweep ${options.cluster}`;
    const { clusterId } = options;
    const selector = {
      ...clusterLabels(options.cluster),
      ...(clusterId === undefined ? {} : { [labelKeys.clusterId]: clusterId }),
    };
    let deleted = 0;
    let empty = 0;
    for (let round = 1; round <= roundsMax; round += 1) {
      const found = yield* compute.list(selector);
      if (deleted + found.length > options.expected + 2) {
        const message = `${found.length} instances carry the labels of ${options.cluster} and ${deleted} are deleted, ${options.expected} expected`;
        return yield* fail<CloudError>({ _tag: "Invalid", provider: name, op, message });
      }
      empty = found.length === 0 ? empty + 1 : 0;
      if (empty >= 2) return deleted;
      const ends = yield* forEach(found, ({ id }) => compute.delete(id), { concurrency: atOnce });
      deleted += ends.filter((end) => end === "deleted").length;
      yield* promise((signal) => clock.sleep(options.consistencyMs, signal));
    }
    const message = `new instances of ${options.cluster} appear as fast as they are deleted: something still makes them`;
    return yield* fail<CloudError>({ _tag: "Conflict", kind: "busy", provider: name, op, message });
  });
