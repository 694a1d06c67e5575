/** What differs between places where a cluster's nodes are made: processes on this computer, machines in a cloud. */
import type { Api } from "../context/api.ts";
import type { ClusterPlan } from "./cluster-plan.ts";
import { chooseNodes, type Identity } from "./identity.ts";
import type { JournalNode } from "./journal.ts";
import { provisionInstances, startNodes } from "./provision.ts";
import type { Bootstrap, Did } from "./steps.ts";

export interface Maker {
  /** Decided once, and then in the journal. */
  readonly chooseNodes: (b: Bootstrap) => Promise<readonly JournalNode[]>;
  /** `ensure` for every node. */
  readonly provision: (b: Bootstrap, identity: Identity) => Promise<Did<null>>;
  /** Until every daemon answers. Resolves with what is known of the nodes by then: in a cloud, their addresses. */
  readonly start: (b: Bootstrap, identity: Identity) => Promise<Did<Identity>>;
  /** Tells the log of the instances, once there is one; from then on they are the leader's. */
  readonly adopt: (b: Bootstrap, identity: Identity, api: Api) => Promise<void>;
  /** Deletes the machines that this run has made. */
  readonly rollBack: (b: Bootstrap) => Promise<void>;
}

/** The maker of the plan's provider. */
export async function makerFor({ cloud }: ClusterPlan): Promise<Maker> {
  if (cloud === null) return localMaker;
  const { makeCloudMaker } = await import("../cloud/cloud-maker.ts");
  return makeCloudMaker(cloud);
}

const localMaker: Maker = {
  chooseNodes,
  provision: provisionInstances,
  start: startNodes,
  adopt: async () => undefined,
  rollBack: async () => undefined,
};
