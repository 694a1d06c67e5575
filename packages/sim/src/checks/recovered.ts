/** A recovery from one disk, judged by the record of the life that wrote it. */
import { theCluster } from "@aether/core/cluster/state";
import { canonicalJson } from "@aether/core/kernel/canonical-json";
import { makePlainWorld, type PlainWorld } from "@aether/core/kernel/plain-world";
import type { Registry } from "@aether/core/kernel/registry";
import type { World } from "@aether/core/kernel/world";
import type { NodeRow } from "@aether/core/node/state";
import { applyConfigChange, decodeConfigChange } from "@aether/raft/config-change";
import { type Entry, type EntryId, Kind, type LogView, type Membership } from "@aether/raft/types";
import { emptyMembership, emptyState } from "@aether/store/events/applied-state";
import { chainGenesis, chainNext } from "@aether/store/events/audit-chain";
import { decodeEntry } from "@aether/store/events/entry-codec";
import type { Recovered, Unusable } from "@aether/store/recover/recover";
import type { EventStore } from "@aether/store/types";
import type { Cluster } from "../cluster/cluster.ts";
import { hold } from "./violation.ts";

/** The disk that is left, as its own log says. */
export interface LeftDisk {
  readonly name: string;
  readonly member: number;
  readonly last: EntryId;
  /** That it knew to be committed, at least. */
  readonly commit: number;
  /** Something on it has rotted. */
  readonly rotten: boolean;
}

/** A disk that nothing has happened to can be gone on with, if it is one of a cluster's members. */
export function checkUnusable({ history, rules }: Cluster, left: LeftDisk, { unusable, why }: Unusable): void {
  const told = (): string => `${left.name} (${left.member}): ${unusable}, ${why}`;
  if (unusable === "nothing") {
    const world = replayed(history.logTo(left.last), rules);
    const isMember = [...world.all<NodeRow>("node")].some(({ row }) => row.member === left.member);
    return hold(theCluster(world) === undefined || !isMember, "a member's disk is recovered from", told);
  }
  hold(left.rotten, "a whole disk is recovered from", told);
}

export interface RecoveredDisk {
  readonly log: LogView;
  readonly store: EventStore;
}

export function checkRecovered(cluster: Cluster, left: LeftDisk, made: Recovered, disk: RecoveredDisk): void {
  const { history, rules } = cluster;
  const { upTo, committed } = made;
  const ends = (): string => `the log ended at ${left.last.index}, knowing of commit ${left.commit}: ${JSON.stringify(made)}`;
  hold(upTo === left.last.index && committed <= upTo && committed >= left.commit, "a recovery keeps the whole log", ends);
  const known = history.logTo(left.last);
  for (const entry of known) {
    const at = history.committed.get(entry.index);
    const why = (): string =>
      `entry ${entry.index} of term ${entry.term} is said to be committed, and that is the one of term ${at?.term}`;
    if (entry.index <= committed) hold(at?.term === entry.term, "what a recovery calls committed was", why);
  }
  const closed = entriesOf(disk.log);
  checkLog(known, closed, made);
  checkWorld(known, closed, rules, made, disk);
  if (disk.log.first() === 1) checkReplay(closed, rules, disk);
  const whole = known.every(({ index, term }) => history.committed.get(index)?.term === term);
  if (whole) history.digest(made.member.id, upTo, made.state);
  history.counts.recovered += 1;
  history.counts.recoveredTails += upTo - committed;
}

function entriesOf(log: LogView): readonly Entry[] {
  const entries: Entry[] = [];
  for (let i = log.first(); i <= log.last().index; i++) {
    const [entry] = log.read(i, i + 1, 1) as readonly Entry[];
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** What was acknowledged and on the disk is in the log, byte for byte; so is what was not; and nothing else but the recovery's own word. */
function checkLog(known: readonly Entry[], closed: readonly Entry[], made: Recovered): void {
  const { upTo, first, last, member } = made;
  const same = (a: Entry, b: Entry | undefined): boolean =>
    b !== undefined && a.index === b.index && a.term === b.term && a.kind === b.kind && Buffer.compare(a.data, b.data) === 0;
  const kept = closed.filter(({ index }) => index <= upTo);
  const other = kept.find((entry) => !same(entry, known[entry.index - 1]));
  const where = (): string => `${kept.length} entries from ${first} to ${upTo}; entry ${other?.index} is another`;
  hold(kept.length === upTo - first + 1 && other === undefined, "a recovered log holds what the disk held", where);
  let chain = chainGenesis;
  for (const { index, term, kind, data } of known) chain = chainNext(chain, index, term, kind, data);
  const ours = Buffer.from(chain).toString("hex");
  hold(ours === made.chain, "a recovery names the digest of what it keeps", () => `${made.chain}, the entries give ${ours}`);
  const ending = closed.at(-1);
  const own = ending?.kind === Kind.normal && decodeEntry(ending.data).events[0]?.type === "ClusterRecovered";
  hold(
    ending?.index === last && own,
    "a recovered log ends with its recovery",
    () => `member ${member.id}: it ends at ${ending?.index}, not ${last}`,
  );
}

/** The world is what the entries make of nothing, and the one membership is that of the new number. */
function checkWorld(
  known: readonly Entry[],
  closed: readonly Entry[],
  rules: Registry,
  made: Recovered,
  { store }: RecoveredDisk,
): void {
  const expected = replayed([...known, ...closed.filter(({ index }) => index > made.upTo)], rules);
  for (const { name } of rules.nouns) {
    const [ours, theirs] = [rowsOf(expected, name), rowsOf(store.world, name)];
    const at = ours.findIndex((row, i) => row !== theirs[i]);
    const differ = (): string => `${ours.length} of ${name}, the recovered have ${theirs.length}: ${ours[at]} / ${theirs[at]}`;
    hold(ours.length === theirs.length && at < 0, "a recovered world is what its entries make", differ);
  }
  const { voters, outgoing, learners, learnersNext } = store.membership;
  const alone =
    voters.length === 1 && voters[0] === made.member.id && outgoing.length + learners.length + learnersNext.length === 0;
  hold(alone, "a recovered cluster has one member", () => JSON.stringify(store.membership));
  const inRows = [...expected.all<NodeRow>("node")].flatMap(({ row }) => {
    const retired = row.retired.map(({ member }) => member);
    return row.left ? [row.member, ...retired] : retired;
  });
  const changed = known.filter(({ kind }) => kind === Kind.config).flatMap(({ data }) => decodeConfigChange(data).changes);
  const numbers = new Set([...inRows, ...changed.map(({ id }) => id)]);
  hold(!numbers.has(made.member.id), "a recovered member's number is new", () => `${made.member.id} was somebody's`);
}

/** Whoever joins and applies the log from its beginning comes to the same world, and to the same one voter. */
function checkReplay(closed: readonly Entry[], rules: Registry, { store }: RecoveredDisk): void {
  const state = emptyState(rules, (event) => event.type === "CheckpointRecorded");
  let membership: Membership = emptyMembership;
  for (const entry of closed) {
    state.apply(entry, new Set());
    if (entry.kind !== Kind.config) continue;
    const next = applyConfigChange(membership, decodeConfigChange(entry.data));
    if (!("reason" in next)) membership = next;
  }
  const [ours, theirs] = [state.digest().digest, store.stateDigest().digest];
  hold(ours === theirs, "a recovered log makes the recovered world", () => `${ours} / ${theirs} at ${store.applied}`);
  const same = canonicalJson(membership) === canonicalJson(store.membership);
  hold(same, "a recovered log makes the recovered membership", () => JSON.stringify([membership, store.membership]));
}

function replayed(entries: readonly Entry[], rules: Registry): PlainWorld {
  const world = makePlainWorld(rules);
  for (const { index, kind, data } of entries) {
    if (kind !== Kind.normal) continue;
    const { events, at, actor } = decodeEntry(data);
    world.apply(events, { index, at, actor });
  }
  return world;
}

const rowsOf = (world: World, noun: string): readonly string[] =>
  [...world.all(noun)].map((stored) => canonicalJson(stored)).toSorted();
