/**
 * Labels are how Aether knows its own things again. The grammar is the narrowest of all providers (GCP's), so that
 * what works in one place works in every place.
 */
import type { LabelPatch, Labels } from "./provider.ts";

export const labelKeys = {
  managed: "aether-managed",
  cluster: "aether-cluster",
  clusterId: "aether-cluster-id",
  node: "aether-node",
} as const;

const keyGrammar = /^aether-[a-z][a-z0-9-]{0,55}$/;
const valueGrammar = /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/;
const labelsMax = 32;

/** The labels of one node's instance. */
export function nodeLabels(cluster: { readonly id: string; readonly name: string }, node: string): Labels {
  return { ...clusterLabels(cluster.name), [labelKeys.clusterId]: cluster.id, [labelKeys.node]: node };
}

/** What selects all instances of a cluster, and nothing that a person made by hand. */
export function clusterLabels(name: string): Labels {
  return { [labelKeys.managed]: "true", [labelKeys.cluster]: name };
}

/** What is wrong with these labels, or null. */
export function labelFault(labels: Labels): string | null {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "no labels given: it would match, or be lost among, everything";
  if (entries.length > labelsMax) return `${entries.length} labels, at most ${labelsMax}`;
  for (const [key, value] of entries) {
    if (!keyGrammar.test(key)) return `label key ${JSON.stringify(key)} must match ${keyGrammar.source}`;
    if (!valueGrammar.test(value)) return `label ${key}=${JSON.stringify(value)}: the value must match ${valueGrammar.source}`;
  }
  return null;
}

/** Are all of `wanted` among `labels`, with equal values? */
export const carries = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);

/** What say whose an instance is; they are set at its creation and never change. */
const identityKeys: ReadonlySet<string> = new Set(Object.values(labelKeys));

/** What is wrong with a change of labels, or null. */
export function patchFault(patch: LabelPatch): string | null {
  const keys = [...Object.keys(patch.set ?? {}), ...(patch.unset ?? [])];
  const owned = keys.find((key) => identityKeys.has(key));
  if (owned !== undefined) return `label ${owned} says whose the instance is and cannot be changed`;
  if (new Set(keys).size !== keys.length) return "a label is set and removed at once";
  return patch.set === undefined || Object.keys(patch.set).length === 0 ? null : labelFault(patch.set);
}

/** The labels after the change; all others stay as they are. */
export const applyLabels = (labels: Labels, patch: LabelPatch): Labels => {
  const gone = new Set(patch.unset);
  return { ...Object.fromEntries(Object.entries(labels).filter(([key]) => !gone.has(key))), ...patch.set };
};
