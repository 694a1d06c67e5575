/** When something that is there already may be taken for the instance that was asked for. */
import { bookKeys, specDigest } from "./derivation.ts";
import type { Without } from "./failure.ts";
import { carries, clusterLabels, labelKeys } from "./labels.ts";
import type { InstanceSpec, Labels } from "./provider.ts";

/**
 * What speaks against it, or null: only what its labels prove to be ours, of this attempt and the same wish is adopted. `what`
 * names the thing to people, "server 17".
 */
export function adoptionFault(labels: Labels, spec: InstanceSpec, what: string): Without<"provider" | "op"> | null {
  const conflict = (kind: "exists" | "stale", message: string) => ({ _tag: "Conflict", kind, message }) as const;
  const identity = Object.values(labelKeys).filter((key) => spec.labels[key] !== undefined);
  const wanted = Object.fromEntries(identity.map((key) => [key, spec.labels[key] ?? ""]));
  if (!carries(labels, { ...clusterLabels(spec.key.cluster), ...wanted })) {
    return conflict("exists", `${what} has the place of ${spec.name} and does not carry the labels of this node`);
  }
  const attempt = Number(labels[bookKeys.attempt]);
  if (attempt !== spec.key.attempt) {
    const message = `${spec.name} exists from attempt ${attempt}; attempt ${spec.key.attempt} needs it deleted first`;
    return conflict(attempt > spec.key.attempt ? "stale" : "exists", message);
  }
  if (labels[bookKeys.spec] !== specDigest(spec)) {
    return conflict("exists", `${spec.name} exists with another machine, address, labels or user data`);
  }
  return null;
}
