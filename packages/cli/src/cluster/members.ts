/**
 * A cluster as it can be seen from here, now: every member is asked by itself and in parallel, so one that is dead, slow or of
 * another opinion is seen as such, and the picture is there even when none answers.
 */
import type { Instance } from "@aether/cloud/provider";
import { dialOf, readJournal } from "../bootstrap/journal.ts";
import type { Connection } from "../context/connection.ts";
import type { Api, InstanceAnswer, InstancesAnswer, MemberAnswer, NodeAnswer, NodesAnswer } from "../context/api.ts";
import { clusterFolder } from "../context/home.ts";
import { Failure } from "../shell/failure.ts";

export interface MemberView {
  /** The Raft member id; null while no source knows it. */
  readonly id: number | null;
  readonly name: string;
  readonly duty: string;
  readonly role: string;
  /** Null for a node that is expected and has not joined. */
  readonly address: string | null;
  readonly applied: number | null;
  /** Entries behind the highest commit index seen. */
  readonly lag: number | null;
  readonly contact: string;
  /** Did it answer within the second? */
  readonly answers: boolean;
  /**
   * "here": it answered. "elsewhere": it did not, and the leader is in contact with it, at an address of which this computer knows by the
   * log alone: it may be one for its peers. "nowhere": nobody says that it is there.
   */
  readonly reach: "here" | "elsewhere" | "nowhere";
  /** Why it did not, in words. */
  readonly silence: string | null;
  /** The instance's state as its provider sees it; null when the instance is not managed from here. */
  readonly state: string | null;
  readonly pid?: number;
  readonly dataDir?: string;
  /** In a cloud: what the log says of its machine. */
  readonly machine?: Pick<InstanceAnswer, "provider" | "attempt" | "zone" | "size" | "state" | "id" | "fault" | "held">;
}

export interface ClusterView {
  readonly name: string;
  readonly id: string;
  /** The name of the node that a quorum of the answering members calls leader. */
  readonly leader: string | null;
  readonly term: number;
  /** The highest commit index seen. */
  readonly index: number;
  readonly quorum: { readonly voters: number; readonly needed: number; readonly answering: number; readonly holds: boolean };
  /** Do the members' states agree? Null when no two of them answered for the same index. */
  readonly digests: { readonly equal: boolean | null; readonly index: number | null };
  readonly members: readonly MemberView[];
}

/** What is known of one member before it is asked. */
interface Known {
  name: string;
  /** Null for a node that is expected and has not joined. */
  address: string | null;
  member: number | null;
  row: NodeAnswer | null;
  instance: Instance | null;
  machine: InstanceAnswer | null;
}

interface Asked extends Known {
  readonly answer: MemberAnswer | null;
  readonly silence: string | null;
}

const answerMs = 1_000;

/** Never fails because members are down; fails when the files on this computer cannot be read. */
export async function viewCluster(connection: Connection, home: string): Promise<ClusterView> {
  const { context } = connection;
  const { local, dials } = await localMembers(home, context.cluster.name);
  const addresses = new Set([...context.endpoints, ...local.flatMap(({ address }) => (address === null ? [] : [address]))]);
  const answers = new Map<string, MemberAnswer | Failure>();
  await Promise.all([...addresses].map(async (address) => answers.set(address, await askMember(connection, address))));
  const known = await knownMembers(connection, local, answers);
  const late = new Set(known.flatMap((member) => placesOf(member, dials)).filter((address) => !answers.has(address)));
  await Promise.all([...late].map(async (address) => answers.set(address, await askMember(connection, address))));
  return drawView(
    context.cluster,
    known.map((member) => withAnswer({ ...member, address: choosePlace(member, answers, dials) }, answers)),
    addresses,
  );
}

/** Where a member may be reached: what the log says of it and of its machine, which may be newer, then what this computer has found. */
function placesOf({ address, row, machine }: Known, dials: ReadonlyMap<string, string>): readonly string[] {
  const told = [row?.address ?? null, machine?.address ?? null].map((one) => (one === null ? null : (dials.get(one) ?? one)));
  return [...told, address].filter((one) => one !== null);
}

/** Where it answers as the member that the log knows; else where anything of its name answers; else where the log says that it is. */
function choosePlace(
  known: Known,
  answers: ReadonlyMap<string, MemberAnswer | Failure>,
  dials: ReadonlyMap<string, string>,
): string | null {
  const places = placesOf(known, dials);
  const answerOf = (place: string): MemberAnswer | null => {
    const answer = answers.get(place);
    return answer === undefined || answer instanceof Failure || answer.node !== known.name ? null : answer;
  };
  const isIt = (place: string): boolean => known.row !== null && answerOf(place)?.member === known.row.member;
  return places.find(isIt) ?? places.find((place) => answerOf(place) !== null) ?? places[0] ?? null;
}

function withAnswer(known: Known, answers: ReadonlyMap<string, MemberAnswer | Failure>): Asked {
  const answer = answers.get(known.address ?? "");
  if (answer === undefined || answer instanceof Failure)
    return { ...known, answer: null, silence: answer?.message ?? "not asked" };
  // Another node may have taken the address; its answer says nothing about this one.
  if (answer.node !== known.name) return { ...known, answer: null, silence: `${answer.node} answers at ${known.address}` };
  return { ...known, answer, silence: null };
}

async function askMember(connection: Connection, address: string): Promise<MemberAnswer | Failure> {
  const api = connection.member(address);
  try {
    return await api.call<MemberAnswer>("GET", "/v1/member", { timeoutMs: answerMs });
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  } finally {
    api.close();
  }
}

interface LocalKnowledge {
  readonly local: readonly Known[];
  /** Where this computer reaches what a member advertises, if that is elsewhere. */
  readonly dials: ReadonlyMap<string, string>;
}

/** What this computer knows: the journal's nodes and, where they are its own processes, the provider's instances. */
async function localMembers(home: string, cluster: string): Promise<LocalKnowledge> {
  const journal = await readJournal(clusterFolder(home, cluster).journal);
  if (journal === null) return { local: [], dials: new Map() };
  const nodes = journal.identity?.nodes ?? [];
  const byName = new Map<string, Known>();
  for (const node of nodes) {
    const { name, member } = node;
    byName.set(name, { name, address: dialOf(node) || null, member, row: null, instance: null, machine: null });
  }
  // A cloud is not asked: what the log says of its machines is shown, and needs no credentials.
  if (journal.cloud !== undefined) {
    return { local: [...byName.values()], dials: new Map(nodes.map((node) => [node.address, dialOf(node)])) };
  }
  const { localProvider } = await import("./local-cluster.ts");
  const { provider } = await import("./provider-call.ts");
  const { clusterLabels } = await import("@aether/cloud/labels");
  const folder = clusterFolder(home, cluster, journal.settings.dataDir);
  for (const instance of await provider(localProvider(cluster, folder).compute.list(clusterLabels(cluster)))) {
    const { name, address } = instance;
    const known = byName.get(name);
    // Instances that the journal does not know are leftovers of nodes that have left.
    if (known !== undefined) byName.set(name, { ...known, address, instance });
  }
  return { local: [...byName.values()], dials: new Map() };
}

/** The rows of any member that answers, the journal and the answers themselves, brought together by name. */
async function knownMembers(
  connection: Connection,
  local: readonly Known[],
  answers: ReadonlyMap<string, MemberAnswer | Failure>,
): Promise<readonly Known[]> {
  const byName = new Map(local.map((member) => [member.name, { ...member }]));
  const merge = (name: string, address: string | null, given: number, row: NodeAnswer | null): void => {
    const before = byName.get(name);
    // A daemon without a data folder calls itself member 0.
    const member = given === 0 ? (before?.member ?? null) : given;
    byName.set(name, {
      name,
      address,
      member,
      row: row ?? before?.row ?? null,
      instance: before?.instance ?? null,
      machine: null,
    });
  };
  for (const [address, answer] of answers) if (!(answer instanceof Failure)) merge(answer.node, address, answer.member, null);
  const { nodes, instances } = await readRows(connection, answers);
  for (const row of nodes) {
    if (!row.left) merge(row.name, byName.get(row.name)?.address ?? null, row.member, row);
    else byName.delete(row.name);
  }
  for (const machine of instances) {
    const known = byName.get(machine.node);
    if (known !== undefined) known.machine = machine;
  }
  return [...byName.values()].toSorted((a, b) => byNodeName(a.name, b.name));
}

/** n2 before n10. */
export const byNodeName = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true });

async function readRows(
  connection: Connection,
  answers: ReadonlyMap<string, MemberAnswer | Failure>,
): Promise<{ readonly nodes: readonly NodeAnswer[]; readonly instances: readonly InstanceAnswer[] }> {
  const none = { nodes: [], instances: [] };
  const live = [...answers].flatMap(([address, answer]) => (answer instanceof Failure ? [] : [{ address, answer }]));
  const freshest = live.toSorted((a, b) => b.answer.applied - a.answer.applied)[0];
  if (freshest === undefined) return none;
  const api = connection.member(freshest.address);
  try {
    const asked = api.call<NodesAnswer>("GET", "/v1/nodes?consistency=stale", { timeoutMs: answerMs });
    const [{ nodes }, instances] = await Promise.all([asked, readInstances(api)]);
    return { nodes, instances };
  } catch (error) {
    if (error instanceof Failure) return none;
    throw error;
  } finally {
    api.close();
  }
}

/** None where a member of before there were any answers. */
async function readInstances(api: Api): Promise<readonly InstanceAnswer[]> {
  try {
    return (await api.call<InstancesAnswer>("GET", "/v1/instances?consistency=stale", { timeoutMs: answerMs })).instances;
  } catch (error) {
    if (error instanceof Failure) return [];
    throw error;
  }
}

function drawView(
  cluster: { readonly id: string; readonly name: string },
  asked: readonly Asked[],
  knownHere: ReadonlySet<string>,
): ClusterView {
  const answers = asked.flatMap(({ answer }) => (answer === null ? [] : [answer]));
  const index = Math.max(0, ...answers.map(({ commit }) => commit));
  const newest = answers.toSorted((a, b) => b.term - a.term || b.applied - a.applied)[0];
  const voters = newest?.voters ?? asked.flatMap(({ member, row }) => (member === null || row?.left === true ? [] : [member]));
  const needed = Math.floor(voters.length / 2) + 1;
  const answering = answers.filter(({ member }) => voters.includes(member)).length;
  const leader = newest?.leader ?? null;
  const followers = answers.filter((one) => one.leader?.member === leader?.member && one.term === newest?.term);
  const agreed = leader !== null && followers.filter(({ member }) => voters.includes(member)).length >= needed;
  return {
    name: cluster.name,
    id: cluster.id,
    leader: agreed ? leader.node : null,
    term: newest?.term ?? 0,
    index,
    quorum: { voters: voters.length, needed, answering, holds: agreed },
    digests: compareDigests(answers),
    members: asked.map((one) => ({ ...drawMember(one, index), reach: reachOf(one, agreed, knownHere) })),
  };
}

/** Equal states at equal indexes: all that answered must have answered for the same one. A single pair that differs is enough. */
export function compareDigests(answers: readonly Pick<MemberAnswer, "digest">[]): ClusterView["digests"] {
  const byIndex = new Map<number, string[]>();
  for (const { digest } of answers) {
    if (digest !== null) byIndex.set(digest.index, [...(byIndex.get(digest.index) ?? []), digest.digest]);
  }
  const groups = [...byIndex].toSorted(([a], [b]) => b - a);
  const split = groups.find(([, digests]) => new Set(digests).size > 1);
  if (split !== undefined) return { equal: false, index: split[0] };
  const full = groups.find(([, digests]) => digests.length === answers.length);
  return full === undefined ? { equal: null, index: null } : { equal: true, index: full[0] };
}

/** What the log says of contact counts only while its leader is heard from. */
function reachOf({ answer, row, machine, address }: Asked, agreed: boolean, knownHere: ReadonlySet<string>): MemberView["reach"] {
  if (answer !== null) return "here";
  const isNews = machine !== null && address !== null && !knownHere.has(address);
  return agreed && isNews && row?.contact === "reachable" ? "elsewhere" : "nowhere";
}

function drawMember(asked: Asked, index: number): Omit<MemberView, "reach"> {
  const { answer, row, instance } = asked;
  const pid = instance?.facts["pid"];
  const dataDir = instance?.facts["dataDir"];
  return {
    id: row?.member ?? asked.member,
    name: asked.name,
    duty: row?.duty ?? "unknown",
    role: answer?.role ?? "unknown",
    address: asked.address,
    applied: answer?.applied ?? null,
    lag: answer === null ? null : Math.max(0, index - answer.applied),
    contact: row?.contact ?? "unknown",
    answers: answer !== null,
    silence: asked.silence,
    state: instance?.rawState ?? asked.machine?.state ?? null,
    ...(typeof pid === "number" ? { pid } : {}),
    ...(typeof dataDir === "string" ? { dataDir } : {}),
    ...(asked.machine === null ? {} : { machine: drawMachine(asked.machine) }),
  };
}

const drawMachine = ({ provider, attempt, zone, size, state, id, fault, held }: InstanceAnswer) =>
  ({ provider, attempt, zone, size, state, id, fault, held }) as const;
