/** Steps 8 to 11: the daemons find each other, vote, and the store gets its first rows. */
import { connectContext } from "../context/connection.ts";
import type { Api, MemberAnswer, Written } from "../context/api.ts";
import { provider } from "../cluster/provider-call.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure } from "../shell/failure.ts";
import { waitFor } from "../shell/wait.ts";
import { failIfEnded } from "./provision.ts";
import type { Identity } from "./identity.ts";
import type { Bootstrap, Did } from "./steps.ts";

export interface Peer {
  readonly name: string;
  readonly address: string;
  readonly api: Api;
}

export interface Peers {
  readonly all: readonly Peer[];
  /** All of them, for what any member answers. */
  readonly api: Api;
  close(): void;
}

const askMs = 2_000;

/** Finds the peers through the provider and makes sure that at each address that node of this cluster answers. */
export async function discoverPeers(b: Bootstrap, identity: Identity): Promise<Did<Peers>> {
  const connection = await connectContext(identity.context);
  try {
    const peers = await waitFor(
      { what: "every node shows itself", withinMs: b.waitMs, say: (text) => b.steps.say(text) },
      async () => {
        const found = await provider(b.provider.discovery.peers(b.plan.name));
        const missing = identity.nodes.filter(
          (node) => !found.some((peer) => peer.node === node.name && peer.state === "running"),
        );
        if (missing.length > 0) return { waiting: `${missing.map((node) => node.name).join(", ")} not found running` };
        return { ready: found.filter((peer) => identity.nodes.some((node) => node.name === peer.node)) };
      },
    );
    const all = peers.map(({ node, address }) => {
      const known = identity.nodes.find((one) => one.name === node);
      return { name: node, address, api: connection.member(known?.machine?.dial ?? address) };
    });
    await Promise.all(all.map((peer) => verifyPeer(peer, identity)));
    return { result: { all, api: connection.api, close: () => connection.close() }, detail: peersText(all) };
  } catch (error) {
    connection.close();
    throw error;
  }
}

const peersText = (all: readonly Peer[]): string => all.map(({ name, address }) => `${name} ${address}`).join(", ");

async function verifyPeer(peer: Peer, identity: Identity): Promise<void> {
  const answer = await peer.api.call<MemberAnswer>("GET", "/v1/member", { timeoutMs: askMs });
  if (answer.cluster.id === identity.clusterId && answer.node === peer.name) return;
  const message = `at ${peer.address} answers ${answer.node} of cluster ${answer.cluster.id}, ${peer.name} was expected`;
  throw new Failure(exit.failed, message, "end whatever runs there in its place");
}

/** Formats the first voters, once. A node that lost its disk later must never be made a first voter again: hence `formed`. */
export async function formConsensus(b: Bootstrap, identity: Identity, peers: Peers): Promise<Did<null>> {
  if (b.steps.journal.formed) return { result: null, detail: "already there" };
  const members = identity.nodes.map(({ name, member, address }) => ({ name, member, address }));
  const body = { cluster: { id: identity.clusterId, name: b.plan.name }, members };
  await Promise.all(peers.all.map((peer) => peer.api.call("POST", "/v1/bootstrap", { body, timeoutMs: b.waitMs })));
  await b.steps.write({ formed: true });
  return { result: null, detail: counted(members.length, "first voter") };
}

/** Resolves when a quorum of the asked members names the same leader in the same term. */
export async function awaitLeader(b: Bootstrap, peers: Peers): Promise<Did<MemberAnswer>> {
  const say = (text: string): void => b.steps.say(text);
  const hint = "a quorum of the daemons must reach each other on their ports; their logs tell more";
  const leader = await waitFor({ what: "a quorum agrees on a leader", withinMs: b.waitMs, say, hint }, async () => {
    const seen = await agreedLeader(peers);
    if ("waiting" in seen) await failIfEnded(b.provider, b.plan.name, new Set(peers.all.map(({ name }) => name)));
    return seen;
  });
  return { result: leader, detail: `${leader.node} leads in term ${leader.term}` };
}

async function agreedLeader(peers: Peers): Promise<{ ready: MemberAnswer } | { waiting: string }> {
  const answers = (await Promise.all(peers.all.map((peer) => askMember(peer)))).filter((answer) => answer !== null);
  for (const candidate of answers) {
    if (candidate.leader?.member !== candidate.member) continue;
    const voters = candidate.voters.length;
    const followers = answers.filter(({ term, leader }) => term === candidate.term && leader?.member === candidate.member);
    if (voters > 0 && followers.length > voters / 2) return { ready: candidate };
    return { waiting: `${candidate.node} leads, ${followers.length} of ${voters} say so` };
  }
  return { waiting: `no leader yet, ${answers.length} of ${peers.all.length} answer` };
}

async function askMember(peer: Peer): Promise<MemberAnswer | null> {
  try {
    return await peer.api.call<MemberAnswer>("GET", "/v1/member", { timeoutMs: askMs });
  } catch (error) {
    if (error instanceof Failure && error.code === exit.notReady) return null;
    throw error;
  }
}

/** The first entry that means something. The request key makes a repeated run's command the same command. */
export async function initialiseStore(b: Bootstrap, identity: Identity, peers: Peers): Promise<Did<null>> {
  if (b.steps.journal.state === "ready") return { result: null, detail: "already there" };
  const command = {
    type: "InitialiseCluster",
    id: b.plan.name,
    clusterId: identity.clusterId,
    size: b.plan.size,
    provider: b.steps.journal.provider,
    configuration: b.plan.configuration,
    members: identity.nodes.map(({ name, member, address }) => ({ name, member, address })),
  };
  const done = await submit(b, peers.api, command, `bootstrap/${identity.clusterId}/initialise`);
  await b.maker.adopt(b, identity, peers.api);
  return {
    result: null,
    detail: done.changed ? `cluster row, settings and artifact root at index ${done.index}` : "already there",
  };
}

/** Submits a command; "no leader" and the like are waited out, anything else is final. */
export async function submit(b: Bootstrap, api: Api, body: Record<string, unknown>, idempotencyKey: string): Promise<Written> {
  const say = (text: string): void => b.steps.say(text);
  return waitFor({ what: `${String(body["type"])} is committed`, withinMs: b.waitMs, everyMs: 100, say }, async () => {
    try {
      return { ready: await api.call<Written>("POST", "/v1/commands", { body, idempotencyKey, timeoutMs: b.waitMs }) };
    } catch (error) {
      const passing = error instanceof Failure && (error.code === exit.notReady || error.reason === "ambiguous");
      if (passing) return { waiting: error.message };
      throw error;
    }
  });
}
