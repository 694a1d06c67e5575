/**
 * A cluster that lost its quorum for good goes on from one member's disk. Works on a copy of that disk, which becomes the disk of the only
 * member of a new cluster: the log keeps every entry that it held, committed or not, and goes on after them. The rules and their
 * reasons: docs/internals/members.md, "Recovering from one disk".
 */
import { decideRecover, freshMember } from "@aether/core/cluster/recover";
import { isRejection } from "@aether/core/kernel/command";
import { theCluster } from "@aether/core/cluster/state";
import type { Identity } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import type { NodeRow } from "@aether/core/node/state";
import { applyConfigChange, decodeConfigChange } from "@aether/raft/config-change";
import { logSlice } from "@aether/raft/core/slice";
import { invariant } from "@aether/raft/errors";
import {
  type Boot,
  type Index,
  Kind,
  type LogStorage,
  type LogView,
  type NodeId,
  type OpenVerdict,
  type SnapshotStore,
  type Term,
} from "@aether/raft/types";
import { encodeEntry } from "../events/entry-codec.ts";
import { type OpenedState, openStateOn, type StateFolders, StateLost } from "../events/open.ts";
import { snapshotRecords } from "../events/snapshot-stream.ts";
import type { FolderIdentity } from "../log/keys.ts";
import type { OpenPorts } from "../log/open.ts";
import { type LogPorts, startLog, type StartOptions } from "../log/start.ts";
import type { Foreign, Lost } from "../log/verify.ts";
import type { StoreTiming } from "../types.ts";
import { type Closing, closingEntries } from "./closing.ts";
import { readdressLog } from "./readdress.ts";
import { readTail, type TailEntry } from "./tail.ts";

/** A copy of the disk. */
export interface CopiedDisk {
  /** Opens log and guard, or says what is wrong with them. Called again when what was opened is closed. */
  readonly openLog: () => Promise<OpenPorts | Lost | Foreign>;
  readonly state: StateFolders;
  /** Where `state` finds it. */
  readonly stateDir: string;
  readonly snapshots: SnapshotStore;
}

export interface RecoverWish {
  /** Whose the disk was. */
  readonly from: FolderIdentity;
  /** The new cluster's id, 32 hex digits that no cluster had. */
  readonly clusterId: string;
  /** Where the member will listen, "host:port"; null: where it did. */
  readonly address: string | null;
  /** Who recovers, for the record. */
  readonly actor: Identity;
  /** Unix milliseconds. */
  readonly now: number;
}

/** What was found and what was made. Indexes are of the log, which goes on without a gap. */
export interface Recovered {
  readonly cluster: { readonly name: string; readonly old: string; readonly id: string };
  readonly node: string;
  readonly member: { readonly old: NodeId; readonly id: NodeId };
  readonly address: string;
  readonly verdict: "clean" | "tornTail";
  /** Voters of the old cluster as of {@link upTo}, and of those that were to go in a change that was under way. */
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  /** The cluster file's content, as the cluster's row has it. */
  readonly configuration: unknown;
  /** The other nodes that were in it, with where they listened. */
  readonly others: readonly { readonly name: string; readonly member: NodeId; readonly address: string | null }[];
  /** The lowest entry that is still held. */
  readonly first: Index;
  /** Every entry up to here is known to have been committed. */
  readonly committed: Index;
  /** Every entry up to here is kept. All above it that the old cluster acknowledged is lost. */
  readonly upTo: Index;
  /** Those kept that nobody ever told this member were committed. */
  readonly tail: readonly TailEntry[];
  /** Audit digest at {@link upTo}, and the digest of the world there, hex. */
  readonly chain: string;
  readonly state: string;
  /** When the entry at {@link upTo} was written, Unix milliseconds. */
  readonly at: number;
  /** The log's last entry now: what the recovery itself has written is between {@link upTo} and here. */
  readonly last: Index;
}

/** Why the disk cannot be gone on with. `damaged`: not what was written, with the verdict's own words. */
export interface Unusable {
  readonly unusable: "damaged" | "foreign" | "nothing";
  readonly why: string;
  readonly hint: string;
}

/** How the copy waits: the event loop's timers by default, or a simulator's. */
export interface RecoverTiming {
  readonly store: StoreTiming;
  readonly log: Pick<StartOptions, "clock">;
}

const pageBytes = 1024 * 1024;
/** What is applied and not on disk is in memory. */
const flushEntries = 16_384;
const otherDisk = "recover from another member's disk, or from a backup: aether cluster bootstrap --from-backup";

/** Turns the copy into the new member's disk. Rejects when the disk fails; the copy is then of no use, and the original as it was. */
export async function recoverDisk(
  disk: CopiedDisk,
  wish: RecoverWish,
  registry: Registry,
  timing?: RecoverTiming,
): Promise<Recovered | Unusable> {
  const ports = await disk.openLog();
  if ("v" in ports) return unusable(ports);
  const { verdict, storage } = await startLog(ports, wish.from, { ...timing?.log, torn: ports.torn });
  if (storage === undefined || (verdict.v !== "clean" && verdict.v !== "tornTail")) return unusable(verdict);
  const state = await openOldState(disk, registry, storage.view, verdict.boot, timing?.store);
  if ("unusable" in state) {
    await storage.close();
    return state;
  }
  try {
    return await goOn({ disk, wish, storage, boot: verdict.boot, verdict: verdict.v, opened: state, timing });
  } finally {
    await storage.close();
    await state.disk.db.close();
  }
}

function unusable(verdict: OpenVerdict): Unusable {
  if (verdict.v === "lost") return { unusable: "damaged", why: `${verdict.why}: ${verdict.detail}`, hint: otherDisk };
  const why = verdict.v === "foreign" ? verdict.why : "it could not be opened";
  return { unusable: "foreign", why, hint: otherDisk };
}

async function openOldState(
  disk: CopiedDisk,
  registry: Registry,
  log: LogView,
  { snap, last }: Pick<Boot, "snap" | "last">,
  timing: StoreTiming | undefined,
): Promise<OpenedState | Unusable> {
  const options = { dir: disk.stateDir, ...(timing === undefined ? {} : { timing }) };
  const opened = await openStateOn(disk.state, options, registry, log, disk.snapshots, snap).catch((error: unknown) => {
    if (error instanceof StateLost) return error;
    throw error;
  });
  if (opened instanceof StateLost) return { unusable: "damaged", why: opened.message, hint: otherDisk };
  const { index } = opened.state.applied;
  if (index <= last.index) return opened;
  await opened.disk.db.close();
  return { unusable: "damaged", why: `its rows are of entry ${index}, but its log ends at ${last.index}`, hint: otherDisk };
}

interface Going {
  readonly disk: CopiedDisk;
  readonly wish: RecoverWish;
  readonly storage: LogStorage;
  readonly boot: Omit<Boot, "applied" | "membership">;
  readonly verdict: Recovered["verdict"];
  readonly opened: OpenedState;
  readonly timing: RecoverTiming | undefined;
}

async function goOn(g: Going): Promise<Recovered | Unusable> {
  const { disk, wish, storage, boot, opened } = g;
  const { state } = opened;
  // What the state or a snapshot holds was committed, though the log's own record of it may trail.
  const committed = Math.max(boot.hard.commit, state.applied.index);
  await applyRest(opened, storage.view);
  const { index: upTo } = state.applied;
  const { voters, outgoing, learners } = state.membership;
  const member = freshMember(state.rows, [wish.from.nodeId, ...voters, ...outgoing, ...learners]);
  const chain = Buffer.from(state.trail.head).toString("hex");
  const { clusterId, from, address } = wish;
  const decision = decideRecover(state.rows, { old: from.nodeId, clusterId, member, address, upTo, chain });
  if (isRejection(decision)) return { unusable: "nothing", why: decision.message, hint: decision.hint };
  const before = describe(g, member, committed, chain);
  const at = Math.max(wish.now, state.at);
  const payload = encodeEntry({ at, actor: wish.actor, cause: "RecoverCluster", request: null, events: decision.events });
  const term = Math.max(boot.hard.term, boot.last.term) + 1;
  const closing = closingEntries(state.membership, member, boot.last, term, payload);
  await storage.close();
  await closeLog(g, { clusterId, nodeId: member }, closing, term);
  for (const entry of closing.entries) state.apply(entry, new Set());
  state.membership = closing.membership;
  await keepState(disk.snapshots, opened);
  return { ...before, last: state.applied.index };
}

/** Applies what the state lacks of the log, as a member does that learns that all of it is committed. */
async function applyRest({ state, disk }: OpenedState, log: LogView): Promise<void> {
  const end = log.last().index;
  while (state.applied.index < end) {
    const page = log.read(state.applied.index + 1, end + 1, pageBytes);
    if (page === "compacted")
      throw new Error(`the log no longer holds entry ${state.applied.index + 1}, though it reaches ${end}`);
    for (const entry of page) {
      state.apply(entry, new Set());
      if (entry.kind !== Kind.config) continue;
      const next = applyConfigChange(state.membership, decodeConfigChange(entry.data));
      if (!("reason" in next)) state.membership = next;
    }
    if (state.applied.index - disk.durable.index >= flushEntries) await disk.flush(state);
  }
}

function describe(g: Going, id: NodeId, committed: Index, chain: string): Omit<Recovered, "last"> {
  const { wish, storage, verdict, opened } = g;
  const { rows, membership, applied, at } = opened.state;
  const nodes = [...rows.all<NodeRow>("node")].map(({ row }) => row).toSorted((a, b) => a.member - b.member);
  const cluster = theCluster(rows);
  const own = nodes.find((row) => row.member === wish.from.nodeId);
  invariant(cluster !== undefined && own !== undefined, "what was decided on has a cluster and the member's node");
  const others = nodes.filter((row) => row !== own && !row.left).map(({ name, member, address }) => ({ name, member, address }));
  return {
    cluster: { name: cluster.id, old: cluster.row.clusterId, id: wish.clusterId },
    node: own.name,
    member: { old: wish.from.nodeId, id },
    address: wish.address ?? own.address ?? "",
    verdict,
    voters: membership.voters,
    outgoing: membership.outgoing,
    configuration: cluster.row.configuration,
    others,
    first: storage.view.first(),
    committed,
    upTo: applied.index,
    tail: readTail(storage.view, committed, applied.index),
    chain,
    state: opened.state.digest().digest,
    at,
  };
}

/** The new owner's log: what was there, and the closing entries, committed because there is nobody else to ask. */
async function closeLog({ disk, timing }: Going, owner: FolderIdentity, { entries }: Closing, term: Term): Promise<void> {
  const old = await reopened(disk);
  await readdressLog(old, owner);
  await old.guard.close();
  await old.keyValue.close();
  const { verdict, storage } = await startLog(await reopened(disk), owner, { ...timing?.log });
  invariant(storage !== undefined, `a log that was readdressed is its new owner's, and whole: ${JSON.stringify(verdict)}`);
  const prev = storage.view.last();
  const last = { term, index: prev.index + entries.length };
  const hard = { term, vote: owner.nodeId, commit: last.index };
  const slice = logSlice(term, prev, entries);
  await storage.append([{ token: 1, term, hard, slice, snap: null, last, sync: true, thenSend: [] }]);
  await storage.close();
}

async function reopened(disk: CopiedDisk): Promise<LogPorts> {
  const ports = await disk.openLog();
  if ("v" in ports) throw new Error(`the copy of the log was whole and is not any more: ${JSON.stringify(ports)}`);
  return ports;
}

/** Rows on disk, and a snapshot of them: a state that is built again later must not begin where the old members still voted. */
async function keepState(snapshots: SnapshotStore, { state, disk }: OpenedState): Promise<void> {
  const { meta, answerPacks, view } = await disk.freeze(state);
  try {
    await snapshots.create(meta.applied, meta.membership, meta.digest, snapshotRecords(meta, answerPacks, view));
  } finally {
    await view.close();
  }
}
