/** What a bootstrap in a cloud would make: each machine as the vendor would be asked for it, and an estimate of what bills. */
import { make as redact, value as reveal } from "effect/Redacted";
import { bookedLabels, instanceName } from "@aether/cloud/derivation";
import { clusterLabels, labelKeys } from "@aether/cloud/labels";
import { machineOf } from "@aether/cloud/machine";
import type { InstanceSpec, Labels, MachineSpec } from "@aether/cloud/provider";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { makeBirths } from "@aether/node/enrolment/birth";
import type { ClusterPlan } from "../bootstrap/cluster-plan.ts";
import type { Journal } from "../bootstrap/journal.ts";
import { provider } from "../cluster/provider-call.ts";
import { counted } from "../shell/counted.ts";
import { Failure } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import { cloudProvider } from "./cloud-provider.ts";
import { costText, estimateFor, type Estimate } from "./prices.ts";
import { placesFor } from "./places.ts";

export interface PlannedMachine {
  readonly node: string;
  /** The vendor's name of it. */
  readonly name: string;
  readonly attempt: number;
  readonly machine: MachineSpec;
  readonly labels: Labels;
  readonly userDataBytes: number;
  /** As it would be sent, with dots for the ticket. */
  readonly userData: string;
  /** Null when the vendor could not be asked. */
  readonly exists: boolean | null;
}

export interface CloudPlan {
  readonly name: string;
  readonly provider: string;
  readonly region: string;
  readonly dryRun: true;
  /** Drawn when it is made, so unknown before. */
  readonly clusterId: string | null;
  readonly machines: readonly PlannedMachine[];
  readonly cost: Estimate;
  /** Why the vendor could not be asked what exists. */
  readonly unasked: string | null;
}

/** Stand in for what only a real run draws or resolves; what is shown has the size that theirs has. */
const noId = "0".repeat(32);
const noSecret = redact("a-cluster-secret-of-a-dry-run");

/** Asks the vendor only what exists already; without credentials it says so, and plans all the same. */
export async function planCloud(
  plan: ClusterPlan,
  settings: CloudSettings,
  journal: Journal | null,
  shell: Shell,
): Promise<CloudPlan> {
  const clusterId = journal?.identity?.clusterId ?? null;
  const births = await makeBirths({
    cluster: { id: clusterId ?? noId, name: plan.name },
    secret: noSecret,
    settings,
    machineOf: (place) => machineOf(settings, place),
    daemon: { raft: plan.settings.raft, history: plan.settings.history },
    files: { backupToken: null, providerEnv: null },
  });
  const existing = await existingNodes(plan.name, settings, shell);
  const nodes =
    journal?.identity?.nodes ?? Array.from({ length: plan.size }, (_, at) => ({ name: `n${at + 1}`, machine: undefined }));
  const machines = nodes.map(({ name: node, machine }, at): PlannedMachine => {
    const [first] = placesFor(settings, at);
    const place = machine ?? first;
    if (place === undefined) throw new Error("there is always a place");
    const tried = machine?.attempt ?? 1;
    const spec = births.specOf({ node, attempt: tried, zone: place.zone, size: place.size });
    const ticket = reveal(births.birthOf({ node, attempt: tried }).ticket);
    const exists = "names" in existing ? existing.names.has(node) : null;
    return { node, attempt: tried, exists, ...shownSpec(spec, ticket, clusterId) };
  });
  const cost = estimateFor(settings.provider, settings.instanceType, settings.publicIp);
  const { provider: name, region } = settings;
  const unasked = "names" in existing ? null : existing.unasked;
  return { name: plan.name, provider: name, region, dryRun: true, clusterId, machines, cost, unasked };
}

function shownSpec(spec: InstanceSpec, ticket: string, clusterId: string | null) {
  if (spec.machine === undefined) throw new Error("a birth in a cloud has a machine");
  const text = reveal(spec.userData);
  const drawn =
    clusterId === null ? { [labelKeys.clusterId]: "(drawn when it is made)", "aether-spec": "(a digest of all this)" } : {};
  return {
    name: instanceName(spec.key),
    machine: spec.machine,
    labels: { ...bookedLabels(spec), ...drawn },
    userDataBytes: Buffer.byteLength(text),
    userData: text.replaceAll(ticket, "…"),
  };
}

async function existingNodes(
  name: string,
  settings: CloudSettings,
  shell: Shell,
): Promise<{ readonly names: ReadonlySet<string> } | { readonly unasked: string }> {
  try {
    const found = await provider(cloudProvider(name, settings, shell).compute.list(clusterLabels(name)));
    return { names: new Set(found.map((instance) => instance.labels[labelKeys.node] ?? instance.name)) };
  } catch (error) {
    if (error instanceof Failure) return { unasked: error.message };
    throw error;
  }
}

/** For people. Labels are told once, as far as all machines share them. */
export function renderCloudPlan(plan: CloudPlan): string {
  const [first] = plan.machines;
  const shared = Object.entries(first?.labels ?? {}).filter(([key, value]) =>
    plan.machines.every(({ labels }) => labels[key] === value),
  );
  const made = plan.machines.filter(({ exists }) => exists !== true).length;
  const kept = plan.machines.length - made;
  const machine = first?.machine;
  const list = (title: string, items: readonly string[] = []): string =>
    items.length === 0 ? "" : `${title} ${items.join(", ")}\n`;
  return [
    `would make ${counted(made, "machine")} for ${plan.name} at ${plan.provider}, region ${plan.region}`,
    kept === 0 ? "\n" : `; ${counted(kept, "machine")} of it already there\n`,
    plan.unasked === null ? "" : `what exists already was not asked: ${plan.unasked}\n`,
    ...plan.machines.map((one) => `${machineLine(one)}\n`),
    `image       ${machine?.image ?? ""}\n`,
    `public ip   ${machine?.publicIp === true ? "yes" : "no"}\n`,
    list("networks   ", machine?.networks),
    list("firewalls  ", machine?.firewalls),
    list("ssh keys   ", machine?.sshKeys),
    list("group      ", machine?.placementGroup === undefined ? [] : [machine.placementGroup]),
    list("identity   ", machine?.identity === undefined ? [] : [machine.identity]),
    list(
      "labels     ",
      shared.map(([key, value]) => `${key}=${value}`),
    ),
    `bills       ${costText(plan.cost, plan.machines.length)}: an estimate, ${plan.cost.basis}\n`,
  ].join("");
}

function machineLine({ name, machine, attempt, userDataBytes, exists }: PlannedMachine): string {
  const where = `${machine.size} in ${machine.zone ?? "any zone"}, attempt ${attempt}`;
  return `  ${name}  ${where}, ${userDataBytes} bytes of user data${exists === true ? ", exists" : ""}`;
}
