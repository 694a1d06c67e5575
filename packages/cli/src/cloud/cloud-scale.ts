/** Scaling in a cloud: the leader makes and removes the machines; this follows what the log says of them. */
import type { Scaling } from "../cluster/scale.ts";
import type { Api, InstanceAnswer, InstancesAnswer } from "../context/api.ts";
import { findNode } from "../node/row.ts";
import { exit, Failure } from "../shell/failure.ts";
import { waitFor } from "../shell/wait.ts";

const everyMs = 200;
const hint = "it goes on without you: aether cluster status";

/** Resolves when the node is on duty. A refusal that no further try will mend ends the wait with the vendor's own words. */
export async function awaitAdded(s: Pick<Scaling, "connection" | "withinMs" | "say">, name: string): Promise<void> {
  const { api } = s.connection;
  await waitFor({ what: `${name} is on duty`, withinMs: s.withinMs, everyMs, say: s.say, hint }, () =>
    whileReachable(async () => {
      const [node, machine] = [await findNode(api, name), await machineOfNode(api, name)];
      if (node?.duty === "on-duty") return { ready: null };
      if (machine?.held === true && machine.fault !== null) throw refusalOf(name, machine.fault);
      return { waiting: `${name}: ${machineText(machine)}` };
    }),
  );
}

/** Resolves when the vendor has no machine of the node any more, as far as the leader saw. */
export async function awaitRemoved(s: Pick<Scaling, "connection" | "withinMs" | "say">, name: string): Promise<void> {
  const { api } = s.connection;
  await waitFor({ what: `the machine of ${name} is gone`, withinMs: s.withinMs, everyMs, say: s.say, hint }, () =>
    whileReachable(async () => {
      const machine = await machineOfNode(api, name);
      return machine === null || machine.state === "gone" ? { ready: null } : { waiting: `${name}: ${machineText(machine)}` };
    }),
  );
}

type Seen = { readonly ready: null } | { readonly waiting: string };

/** An election on the way is waited out. */
async function whileReachable(look: () => Promise<Seen>): Promise<Seen> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof Failure && error.code === exit.notReady) return { waiting: error.message };
    throw error;
  }
}

async function machineOfNode(api: Api, name: string): Promise<InstanceAnswer | null> {
  const { instances } = await api.call<InstancesAnswer>("GET", "/v1/instances");
  return instances.find(({ node }) => node === name) ?? null;
}

function machineText(machine: InstanceAnswer | null): string {
  if (machine === null) return "the leader has not asked for a machine yet";
  const { state, size, zone, attempt, fault } = machine;
  return `${state}, ${size} in ${zone}, attempt ${attempt}${fault === null ? "" : `; ${fault.code || fault.tag}`}`;
}

function refusalOf(name: string, { tag, code, requestId, message }: NonNullable<InstanceAnswer["fault"]>): Failure {
  const facts = [tag, code === "" ? "" : `code ${code}`, requestId === "" ? "" : `request ${requestId}`];
  const words = `the vendor makes no machine for ${name}: ${message} (${facts.filter((one) => one !== "").join(", ")})`;
  return new Failure(exit.failed, words, "mend it, then scale again; aether cloud check --config FILE tells more");
}
