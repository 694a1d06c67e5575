/** Step 7 in a cloud: machines run, have an address, are told who they are, and answer as daemons. */
import { minutes } from "effect/Duration";
import { clusterLabels, labelKeys } from "@aether/cloud/labels";
import { reachableAt } from "@aether/cloud/machine";
import type { Instance } from "@aether/cloud/provider";
import type { Births } from "@aether/node/enrolment/birth";
import { enrol, EnrolmentFailed } from "@aether/node/enrolment/enrol";
import { contextFor, type Identity } from "../bootstrap/identity.ts";
import { dialOf, type JournalNode } from "../bootstrap/journal.ts";
import { caFile } from "../bootstrap/pki.ts";
import { awaitDaemons } from "../bootstrap/provision.ts";
import type { Bootstrap, Did } from "../bootstrap/steps.ts";
import { provider } from "../cluster/provider-call.ts";
import { connectContext } from "../context/connection.ts";
import { saveContext } from "../context/contexts.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure } from "../shell/failure.ts";
import { waitFor } from "../shell/wait.ts";
import { writeMachine } from "./journal-machine.ts";
import { listedMachines } from "./listed-machines.ts";
import { sideBySide } from "./side-by-side.ts";

const runWithin = minutes(10);
const addressEveryMs = 2_000;
/** Longer than any vendor's lists are known to lag. */
const listedWithinMs = 60_000;

/** Each machine is dialled by this computer: nothing of it needs to reach out. */
export async function startMachines(b: Bootstrap, decided: Identity, births: Births): Promise<Did<Identity>> {
  const { formed } = b.steps.journal;
  await learnAddresses(b, decided);
  const identity = await identityNow(b, decided);
  let enrolled = 0;
  if (!formed) {
    const seeds = identity.nodes.map(({ name, member, address }) => ({ name, member, address }));
    const waiting = new Set(identity.nodes.map(({ name }) => name));
    await sideBySide(identity.nodes, async (node) => {
      b.steps.say(`enrolling ${[...waiting].join(", ")}`);
      if ((await enrolNode(b, births, node, seeds)) === "enrolled") enrolled += 1;
      waiting.delete(node.name);
    });
  }
  const connection = await connectContext(identity.context);
  try {
    const nodes = identity.nodes.map((node) => ({ ...node, address: dialOf(node) }));
    await awaitDaemons(b.provider, connection, nodes, b.plan.name, b.waitMs, (text) => b.steps.say(text));
  } finally {
    connection.close();
  }
  const words = enrolled === 0 ? "" : `, ${enrolled} enrolled`;
  return { result: identity, detail: `answers from ${counted(identity.nodes.length, "daemon")}${words}` };
}

async function enrolNode(b: Bootstrap, births: Births, node: JournalNode, seeds: Parameters<Births["identityOf"]>[0]["seeds"]) {
  const { name, member, address } = node;
  const birth = births.birthOf({ node: name, attempt: node.machine?.attempt ?? 1 });
  const identity = births.identityOf({ node: name, member, advertise: address, seeds });
  try {
    return await enrol({ address: dialOf(node), birth, identity, withinMs: b.waitMs });
  } catch (error) {
    if (!(error instanceof EnrolmentFailed)) throw error;
    throw new Failure(error.fault === "unreachable" ? exit.notReady : exit.failed, error.message, hints[error.fault]);
  }
}

const hints: Readonly<Record<EnrolmentFailed["fault"], string>> = {
  unreachable: "is node_port open to this computer in the firewall, and did the machine install what it needs? Its console tells",
  impostor: "something else answers at that address; look at the machine in the vendor's console",
  otherNode: "two nodes were given one address; look at the machines in the vendor's console",
  refused: "the machine runs another version of Aether than this command; look at bundle_url",
};

/** Powers on what is off, waits for the rest, and writes down where each one is. */
async function learnAddresses(b: Bootstrap, identity: Identity): Promise<void> {
  const labels = { ...clusterLabels(b.plan.name), [labelKeys.clusterId]: identity.clusterId };
  const names = identity.nodes.map(({ name }) => name);
  const look = { list: () => provider(b.provider.compute.list(labels)), say: (text: string) => b.steps.say(text) };
  const byNode = await listedMachines(names, look, listedWithinMs);
  const [missing] = names.filter((name) => !byNode.has(name));
  if (missing !== undefined) throw gone(missing);
  const waiting = new Set(identity.nodes.map(({ name }) => name));
  await sideBySide([...identity.nodes.entries()], async ([at, node]) => {
    const instance = byNode.get(node.name);
    if (instance === undefined) throw gone(node.name);
    b.steps.say(`waiting until ${[...waiting].join(", ")} run`);
    if (instance.state === "stopped") await provider(b.provider.compute.power(instance.id, "start"));
    const running =
      instance.state === "running"
        ? instance
        : await provider(b.provider.compute.awaitState(instance.id, ["running"], runWithin));
    const placed = await withAddress(b, running);
    waiting.delete(node.name);
    const { port } = portOf(placed.address);
    const now = { instance: placed.id, dial: reachableAt(placed, port), address: placed.address };
    const before = { instance: node.machine?.instance, dial: node.machine?.dial, address: node.address };
    if (JSON.stringify(before) !== JSON.stringify(now)) await writeMachine(b, at, now);
  });
}

const portOf = (address: string) => ({ port: Number(address.slice(address.lastIndexOf(":") + 1)) });

/** Vendors give it at the latest soon after a machine runs. */
const withAddress = (b: Bootstrap, instance: Instance): Promise<Instance> => {
  if (instance.address !== "") return Promise.resolve(instance);
  const what = `${instance.name} has an address`;
  return waitFor({ what, withinMs: b.waitMs, everyMs: addressEveryMs, say: (text) => b.steps.say(text) }, async () => {
    const now = await provider(b.provider.compute.get(instance.id));
    return now.address === "" ? { waiting: `${instance.name} has no address yet` } : { ready: now };
  });
};

const gone = (node: string): Failure =>
  new Failure(
    exit.failed,
    `the machine of ${node} is gone`,
    "in a cluster that is ready its leader makes another, with heal_after; one that is not can only be destroyed and made anew",
  );

async function identityNow(b: Bootstrap, { clusterId }: Identity): Promise<Identity> {
  const { journal } = b.steps;
  const { pki } = b.folder;
  const context = contextFor(journal, { folder: pki, caFile: caFile(pki), clusterId });
  await saveContext(b.shell.home, context, true);
  return { clusterId, nodes: journal.identity?.nodes ?? [], context };
}
