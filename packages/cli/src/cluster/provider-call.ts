/** Which provider a cluster's instances are with, and how its failures become a command's. */
import { runPromiseExit, type Effect } from "effect/Effect";
import { isFailure } from "effect/Exit";
import { findErrorOption } from "effect/Cause";
import { isSome } from "effect/Option";
import { clusterLabels, labelKeys } from "@aether/cloud/labels";
import type { CloudError, CloudProvider, Labels } from "@aether/cloud/provider";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import type { Journal } from "../bootstrap/journal.ts";
import type { ClusterFolder } from "../context/home.ts";
import { exit, Failure, type ExitCode } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import { localProvider } from "./local-cluster.ts";

/** A cluster's name and, where its machines are in a cloud, what the file says about them. */
export interface Housed {
  readonly name: string;
  readonly cloud?: CloudSettings | null | undefined;
}

/** The provider of the cluster's instances. Clouds are loaded only for clusters that are in one. */
export async function providerFor(
  { name, cloud }: Housed,
  folder: ClusterFolder,
  shell: Pick<Shell, "env">,
): Promise<CloudProvider> {
  if (cloud === null || cloud === undefined) return localProvider(name, folder);
  const { cloudProvider } = await import("../cloud/cloud-provider.ts");
  return cloudProvider(name, cloud, shell);
}

/** What selects this very cluster's instances: in a cloud another one of the same name may be somebody else's. */
export const ownLabels = ({ name, cloud, identity }: Pick<Journal, "name" | "cloud" | "identity">): Labels => ({
  ...clusterLabels(name),
  ...(cloud === undefined || identity === null ? {} : { [labelKeys.clusterId]: identity.clusterId }),
});

/** Runs an effect of the provider; its failure becomes the command's. */
export async function provider<A>(effect: Effect<A, CloudError>): Promise<A> {
  const ended = await attempt(effect);
  if ("done" in ended) return ended.done;
  throw failureOf(ended.error);
}

/** Runs an effect of the provider, for those who decide by the kind of its failure. */
export async function attempt<A>(effect: Effect<A, CloudError>): Promise<{ readonly done: A } | { readonly error: CloudError }> {
  const ended = await runPromiseExit(effect);
  if (!isFailure(ended)) return { done: ended.value };
  const found = findErrorOption(ended.cause);
  if (!isSome(found)) throw new Error(`the provider broke: ${String(ended.cause)}`);
  return { error: found.value };
}

/** With the vendor's own code and its name of the request, where there was one: what its support asks for. */
export function failureOf(error: CloudError): Failure {
  const { _tag: kind, provider: name, op, message, code, requestId } = error;
  const hint = (name === "local" ? localHints : cloudHints)[kind] ?? "";
  if (name === "local") return new Failure(codes[kind] ?? exit.failed, `${op}: ${message}`, hint);
  const facts = [name, kind, code === undefined ? "" : `code ${code}`, requestId === undefined ? "" : `request ${requestId}`];
  return new Failure(codes[kind] ?? exit.failed, `${op}: ${message} (${facts.filter((one) => one !== "").join(", ")})`, hint);
}

const codes: Partial<Record<CloudError["_tag"], ExitCode>> = {
  NotFound: exit.notFound,
  Deadline: exit.notReady,
  Conflict: exit.rejected,
};

const localHints: Partial<Record<CloudError["_tag"], string>> = {
  Capacity: "free it, or choose other ports in [local] base_port",
  Auth: "look at the owner and mode of AETHER_HOME",
  Protocol: "restore the file from a copy, or remove it when you know that its instance is gone",
};

const cloudHints: Partial<Record<CloudError["_tag"], string>> = {
  Capacity: "name more [cloud] zones or other_instance_types, or wait",
  Quota: "the vendor has to raise the account's limit: give it the code and the request",
  Auth: "aether cloud check --config FILE tells who you are and what you may do",
  Invalid: "aether cloud check --config FILE looks at image, size and networks",
  Throttled: "others use this account too: run this again in a while",
  Transient: "run this again: what was made is found",
  Deadline: "run this again: what was made is found",
};
