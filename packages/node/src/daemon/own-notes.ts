/** What this node says of itself: to its peers in their rounds, and to anyone who asks for /v1/member. */
import type { CoreStatus } from "@aether/raft/types";
import type { EventStore } from "@aether/store/types";
import type { Floor, Floors } from "../member/floors.ts";
import { floorsOfLeader } from "../member/floors.ts";
import type { PeerNotes } from "../member/peer-notes.ts";
import type { Aetherd } from "./aetherd-process.ts";
import { clusterRow, nodeRows } from "./rows.ts";
import { version } from "./version.ts";

export interface LeaderSeen {
  readonly node: string;
  readonly member: number;
  readonly address: string;
}

/** The parts of a phase that notes are made of. */
function standing(d: Aetherd) {
  const { phase } = d;
  if (phase.p === "running") {
    const { member, store, driver } = phase.services.member;
    const status = driver.status();
    return { member, store, status, term: status.hard.term, last: status.last.index };
  }
  if (phase.p === "vouching") return { ...phase, status: null };
  return { member: 0, store: null, status: null, term: 0, last: 0 };
}

/** Who leads as far as this member knows, once it knows where that is. */
export function leaderOf(d: Aetherd, store: EventStore): LeaderSeen | null {
  const { leader } = store.role;
  const node = d.book.nameOf(store.world, leader);
  const address = d.book.addressOf(store.world, leader);
  return leader === 0 || address === undefined || node === undefined ? null : { node, member: leader, address };
}

/** The notes for peers, in any phase. */
export function ownNotes(d: Aetherd): PeerNotes {
  const { cluster, node } = d.configuration;
  const { member, store, status, term, last } = standing(d);
  const leader = store === null ? null : leaderOf(d, store);
  const floors = floorsNow(d.floors, status);
  return composeNotes({ clusterId: cluster.id, node: node.name, build: version, member, store, term, last, leader, floors });
}

type Fields = Pick<PeerNotes, "clusterId" | "node" | "build" | "member" | "term" | "last" | "leader" | "floors">;

/** Notes from what a node knows; `store` is null while it has none open. */
export function composeNotes({ store, ...fields }: Fields & { readonly store: EventStore | null }): PeerNotes {
  return {
    ...fields,
    initialised: store !== null && clusterRow(store.world) !== undefined,
    applied: store?.applied ?? 0,
    voters: store?.membership.voters ?? [],
    learners: store?.membership.learners ?? [],
    checkpoints: store?.checkpoints ?? [],
    nodes: store === null ? [] : nodeRows(store.world),
  };
}

/** What is on file, raised by what a leader knows at this very moment. `status` is null while the member takes no part. */
export function floorsNow(floors: Floors, status: CoreStatus | null): Record<string, Floor> {
  if (status !== null) for (const [member, floor] of floorsOfLeader(status)) floors.raise(member, floor);
  return floors.all();
}

/** GET /v1/member: never waits for anybody. `role` is the phase while there is no member that takes part. */
export function memberAnswer(d: Aetherd) {
  const { cluster, node } = d.configuration;
  const { member, store, status, term, last } = standing(d);
  return {
    node: node.name,
    member,
    cluster,
    role: status === null ? d.phase.p : status.role.state,
    leader: store === null ? null : leaderOf(d, store),
    term,
    commit: status?.hard.commit ?? 0,
    applied: store?.applied ?? 0,
    first: store?.stats().first ?? 0,
    last,
    digest: store?.stateDigest() ?? null,
    audit: store?.auditHead() ?? null,
    version,
    pid: process.pid,
    voters: store?.membership.voters ?? [],
    learners: store?.membership.learners ?? [],
    index: store?.applied ?? 0,
  };
}
