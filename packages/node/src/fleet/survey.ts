/** Now and then the leader lists what carries the cluster's labels: a machine that no row knows costs money and is nobody's. */
import { clusterLabels, labelKeys } from "@aether/cloud/labels";
import type { CloudProvider, Instance } from "@aether/cloud/provider";
import type { InstanceRow } from "@aether/core/instance/state";
import type { World } from "@aether/core/kernel/world";
import { ask, later, nothing, troubleOf } from "./calls.ts";
import type { Chore } from "./hand.ts";

export interface SurveyParts {
  readonly cluster: { readonly id: string; readonly name: string };
  readonly world: World;
  readonly compute: Pick<CloudProvider["compute"], "list">;
  /** Unix milliseconds. */
  readonly now: () => number;
}

export const surveyEveryMs = 300_000;
const namedMax = 5;

/** A stray is told of when two lists in a row show it, because what is being removed at the moment may be in one of them. */
export function makeSurvey({ cluster, world, compute, now }: SurveyParts): Chore {
  let nextAt = now() + surveyEveryMs;
  let before: ReadonlySet<string> = new Set();
  const labels = { ...clusterLabels(cluster.name), [labelKeys.clusterId]: cluster.id };
  const work = async (signal: AbortSignal) => {
    const asked = await ask(compute.list(labels), signal);
    if (!asked.ok) return later(troubleOf(asked.error));
    nextAt = now() + surveyEveryMs;
    const strays = asked.value.filter((instance) => !isKnown(world, instance));
    const again = strays.filter(({ id }) => before.has(id));
    before = new Set(strays.map(({ id }) => id));
    return again.length === 0 ? nothing : later(strayTrouble(again));
  };
  return { name: "survey", due: () => (now() >= nextAt ? work : null) };
}

function isKnown(world: World, { id, labels }: Instance): boolean {
  const row = world.get<InstanceRow>("instance", labels[labelKeys.node] ?? "")?.row;
  return row !== undefined && (row.id === id || row.state === "wanted");
}

function strayTrouble(strays: readonly Instance[]) {
  const named = strays.slice(0, namedMax).map(({ id, labels }) => `${id} (${labels[labelKeys.node] ?? "no node"})`);
  const more = strays.length > namedMax ? ` and ${strays.length - namedMax} more` : "";
  const message = `${named.join(", ")}${more}: with this cluster's labels and in no row; aether cloud orphans shows them`;
  return { area: "instances", tag: "Stray", code: strays[0]?.id ?? "", requestId: "", message } as const;
}
