/** Step 12: ready means that it was seen to work, on every member. */
import type { MemberAnswer, NodesAnswer } from "../context/api.ts";
import { compareDigests } from "../cluster/members.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure } from "../shell/failure.ts";
import { waitFor, type Probed } from "../shell/wait.ts";
import { submit, type Peers } from "./form.ts";
import type { Identity } from "./identity.ts";
import type { Bootstrap, Did } from "./steps.ts";

export interface ReadyCluster {
  readonly name: string;
  readonly id: string;
  readonly state: "ready";
  readonly leader: string;
  readonly index: number;
  readonly members: readonly {
    readonly id: number;
    readonly name: string;
    readonly address: string | null;
    readonly duty: string;
  }[];
}

interface Agreement {
  readonly answers: readonly MemberAnswer[];
  readonly words: string;
}

/** So long nobody writes while a new cluster is made. */
const streamMs = 2_000;

/** Every node on duty, every member ready by its own account, all states equal; then the cluster says of itself that it is ready. */
export async function verifyReadiness(b: Bootstrap, identity: Identity, peers: Peers): Promise<Did<ReadyCluster>> {
  const found = b.steps.journal.state === "ready";
  const say = (text: string): void => b.steps.say(text);
  const wait = { withinMs: b.waitMs, say, hint: "aether cluster status shows which one is not" };
  if (!found) await waitFor({ ...wait, what: "every node is on duty" }, () => allOnDuty(peers));
  await waitFor({ ...wait, what: "every member is ready" }, () => allReady(peers));
  if (!found) {
    await submit(b, peers.api, { type: "MarkClusterReady", id: b.plan.name }, `bootstrap/${identity.clusterId}/ready`);
  }
  const { answers, words } = await waitFor({ ...wait, what: "all members have the same state" }, equalOrCaughtUp(peers));
  const leader = answers.find((answer) => answer.leader?.member === answer.member) ?? answers[0];
  if (leader === undefined) throw new Error("a cluster has members");
  const { nodes } = await peers.api.call<NodesAnswer>("GET", "/v1/nodes");
  if (!found) await b.steps.write({ state: "ready" });
  const members = nodes
    .filter((node) => !node.left)
    .map(({ member, name, address, duty }) => ({ id: member, name, address, duty }));
  const ready = { name: b.plan.name, id: identity.clusterId, state: "ready", index: leader.applied, members } as const;
  const unusual = members.filter(({ duty }) => duty !== "on-duty").map(({ name, duty }) => `, ${name} is ${duty}`);
  return {
    result: { ...ready, leader: leader.leader?.node ?? leader.node },
    detail: `${found ? "already there: " : ""}${counted(answers.length, "member")}, ${words}${unusual.join("")}`,
  };
}

async function allOnDuty(peers: Peers): Promise<{ ready: null } | { waiting: string }> {
  try {
    const { nodes } = await peers.api.call<NodesAnswer>("GET", "/v1/nodes");
    const waiting = nodes.filter((node) => node.duty !== "on-duty").map((node) => `${node.name} is ${node.duty}`);
    return waiting.length === 0 && nodes.length > 0 ? { ready: null } : { waiting: waiting.join(", ") };
  } catch (error) {
    if (error instanceof Failure && error.code === exit.notReady) return { waiting: error.message };
    throw error;
  }
}

async function allReady(peers: Peers): Promise<{ ready: null } | { waiting: string }> {
  const verdicts = await Promise.all(
    peers.all.map(async ({ name, api }) => {
      try {
        await api.call("GET", "/v1/health/ready", { timeoutMs: 2_000 });
        return null;
      } catch (error) {
        if (error instanceof Failure && error.code === exit.notReady) return `${name}: ${error.message}`;
        throw error;
      }
    }),
  );
  const waiting = verdicts.filter((verdict) => verdict !== null);
  return waiting.length === 0 ? { ready: null } : { waiting: waiting.join("; ") };
}

/**
 * Ready when all members show the same state at the same index. Under a stream of writes they are hardly ever caught at one
 * index; then it is enough that each has applied all that was committed when this began, and that none differs.
 */
function equalOrCaughtUp(peers: Peers): () => Promise<Probed<Agreement>> {
  const since = performance.now();
  let goal: number | null = null;
  return async () => {
    const answers = await Promise.all(
      peers.all.map(({ api }) => api.call<MemberAnswer>("GET", "/v1/member", { timeoutMs: 2_000 })),
    );
    const { equal, index } = compareDigests(answers);
    if (equal === false) {
      const hint = "this must not happen: keep the nodes' folders and report it";
      throw new Failure(exit.failed, `the members' states differ at index ${index}`, hint);
    }
    if (equal === true) return { ready: { answers, words: `states equal at index ${index}` } };
    goal ??= Math.max(...answers.map(({ commit }) => commit));
    const reached = goal;
    const caughtUp = answers.every(({ applied }) => applied >= reached);
    if (caughtUp && performance.now() - since > streamMs) return { ready: { answers, words: `all beyond index ${reached}` } };
    return { waiting: "members are at different indexes" };
  };
}
