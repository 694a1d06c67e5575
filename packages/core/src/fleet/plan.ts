/**
 * What a leader does about the machines of its nodes: a pure rule from the rows and from what it saw at the vendor's to what comes next.
 * A machine is replaced only when it is proven gone, or was stopped and seen stopped; what is not in the rows is never touched.
 */
import { theCluster } from "../cluster/state.ts";
import type { InstanceRow } from "../instance/state.ts";
import { mayLive } from "../instance/transitions.ts";
import type { Command } from "../kernel/command.ts";
import type { Stored, World } from "../kernel/world.ts";
import { quorumWithout } from "../node/quorum.ts";
import { hasJoined, type NodeRow } from "../node/state.ts";
import { choosePlace } from "./place.ts";

export interface FleetSettings {
  /** In the order in which they are preferred; never empty. */
  readonly zones: readonly string[];
  readonly sizes: readonly string[];
  /** Null: lost nodes are not replaced. */
  readonly healAfterMs: number | null;
  /** Of the times between looks; 1 when absent. Less only where the vendor is a fake, whose minutes are shorter. */
  readonly pace?: number;
}

/** What the leader saw last of a machine. Lost with leadership, which costs two looks. */
export interface Sight {
  /** The vendor's name of it. */
  readonly instance: string;
  readonly state: "pending" | "running" | "stopping" | "stopped" | "deleting" | "failed" | "absent";
  /** "" while it has none. */
  readonly address: string;
  /** When it was looked at, Unix milliseconds. */
  readonly at: number;
  /** Since when every look said that there is none such; null when the last one saw it. */
  readonly absentSince: number | null;
}

export interface FleetFacts {
  readonly world: World;
  /** By node. */
  readonly seen: ReadonlyMap<string, Sight>;
  /** When this member began to lead, Unix milliseconds: what rows say of silence may be of before a restart of everything. */
  readonly leadingSince: number;
}

interface Subject {
  readonly node: string;
  readonly attempt: number;
}
/** Known to the vendor by this name. */
interface Known extends Subject {
  readonly instance: string;
}

export type Call =
  | (Subject & { readonly call: "ensure"; readonly zone: string; readonly size: string })
  | (Known & { readonly call: "look" | "stop" | "delete" })
  | (Known & { readonly call: "enrol"; readonly address: string; readonly member: number });

/** Commands are issued in their order; calls go to the vendor, or to the machine. Of each node there is one act at most. */
export type Act = { readonly do: "say"; readonly command: Command } | ({ readonly do: "call" } & Call);

/** Two looks that find nothing must be this far apart, because lists and reads of a vendor may lag. */
export const windowMs = 30_000;
/** While a machine is waited for: at first often, and a tenth of its age later on. */
const lookEvery = (ageMs: number): number => Math.min(10_000, Math.max(1_000, ageMs / 10));
/** While it is enrolled, which is tried again and again: is it still there? */
const lookEnrollingMs = 120_000;
/** From the vendor's yes to a machine that runs. */
export const runningWithinMs = 900_000;
/** From running to enrolled: a first boot loads and unpacks the bundle. */
export const enrolledWithinMs = 1_800_000;
/** From enrolled to the node's first word. */
export const joinedWithinMs = 600_000;
/** When every place was tried and none had room. */
export const roomAgainMs = 600_000;

/** Pure: equal arguments give equal acts. `now` is Unix milliseconds, of the clock that the log's times come from. */
export function planFleet(facts: FleetFacts, settings: FleetSettings, now: number): readonly Act[] {
  const { world } = facts;
  const cluster = theCluster(world)?.row;
  if (cluster === undefined || cluster.provider === "local" || cluster.state !== "ready") return [];
  const byName = <R>(all: Iterable<Stored<R>>) => [...all].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const nodes = byName(world.all<NodeRow>("node"));
  const rows = byName(world.all<InstanceRow>("instance")).map(({ row }) => row);
  const healed = settings.healAfterMs === null ? null : nextToHeal(facts, nodes, settings.healAfterMs, now);
  const planner = new Planner(facts, settings, now, rows, healed);
  const withNode = nodes.map((node) => planner.ofNode(node, world.get<InstanceRow>("instance", node.id)?.row));
  const known = new Set(nodes.map(({ id }) => id));
  const without = rows.filter(({ node }) => !known.has(node)).map((row) => planner.ofLeaving(row, "its node is forgotten"));
  return [...withNode, ...without].filter((act) => act !== null);
}

/** Since when it is lost, to this leader's knowledge, and has had its chance to come back. */
const lostSince = ({ at }: Stored<NodeRow>, row: InstanceRow | undefined, leadingSince: number): number =>
  Math.max(at, leadingSince, row?.state === "enrolled" ? row.since : 0);

const isStaying = ({ left, duty }: NodeRow): boolean => !left && (duty === "joining" || duty === "on-duty");

/**
 * The one node whose machine may be taken away or made anew although it was a member: whoever is halfway comes first. Null when there is
 * none, or when a quorum would not hold without it.
 */
function nextToHeal(
  { world, leadingSince }: FleetFacts,
  nodes: readonly Stored<NodeRow>[],
  healAfterMs: number,
  now: number,
): string | null {
  const rowOf = (node: string): InstanceRow | undefined => world.get<InstanceRow>("instance", node)?.row;
  const members = nodes.filter(({ row }) => isStaying(row) && hasJoined(row));
  const halfway = members.find(({ id, row }) => {
    const state = rowOf(id)?.state;
    if (state === undefined) return false;
    const isBack = state === "enrolled" && row.duty === "joining" && row.retired.length > 0 && row.contact !== "lost";
    return isBack || (state !== "enrolled" && mayLive(state));
  });
  if (halfway !== undefined) return halfway.id;
  const lost = members.filter((node) => {
    const row = rowOf(node.id);
    const isLost = node.row.contact === "lost" && row !== undefined;
    return isLost && now - lostSince(node, row, leadingSince) >= healAfterMs;
  });
  const begun = lost.find(({ id }) => rowOf(id)?.state !== "enrolled") ?? lost[0];
  return begun !== undefined && quorumWithout(world, begun.id).holds ? begun.id : null;
}

class Planner {
  readonly #seen: FleetFacts["seen"];
  readonly #settings: FleetSettings;
  readonly #now: number;
  readonly #healed: string | null;
  readonly #leadingSince: number;
  readonly #pace: number;
  readonly #windowMs: number;
  /** Machines in each zone, those included that are wanted in this plan. */
  readonly #inZone = new Map<string, number>();

  constructor(
    { seen, leadingSince }: FleetFacts,
    settings: FleetSettings,
    now: number,
    rows: readonly InstanceRow[],
    healed: string | null,
  ) {
    this.#seen = seen;
    this.#leadingSince = leadingSince;
    this.#settings = settings;
    this.#now = now;
    this.#healed = healed;
    const { pace = 1 } = settings;
    this.#windowMs = windowMs * pace;
    this.#pace = pace;
    for (const { zone, state } of rows) if (mayLive(state)) this.#count(zone);
  }

  ofNode(node: Stored<NodeRow>, row: InstanceRow | undefined): Act | null {
    if (node.row.left) return this.#ofLeft(node, row);
    if (row === undefined || !mayLive(row.state)) return this.#ofMissing(node, row);
    switch (row.state) {
      case "wanted":
        return ensure(row);
      case "accepted":
        return this.#ofAccepted(row);
      case "running":
        return this.#ofRunning(row, node.row);
      case "enrolled":
        return this.#ofEnrolled(node, row);
      default:
        return this.ofLeaving(row, row.why);
    }
  }

  /** Its row stays until the machine is gone, so that a restart of the whole cluster does not forget it. */
  #ofLeft({ id, row: node }: Stored<NodeRow>, row: InstanceRow | undefined): Act | null {
    // a member without a row: there may be a machine that nobody has handed over
    if (row === undefined) return hasJoined(node) ? null : say("ForgetNode", id, {});
    return mayLive(row.state) ? this.ofLeaving(row, "its node has left") : say("ForgetNode", id, {});
  }

  /** What was once wanted is made first, so that there is something that can be deleted and seen to be gone. */
  ofLeaving(row: InstanceRow, why: string): Act | null {
    if (!mayLive(row.state)) return null;
    const { node, attempt, state, id: instance } = row;
    if (instance === null) return ensure(row);
    if (this.#isGone(row)) return gone(row, "the vendor has none such");
    const known = { node, attempt, instance };
    if (state === "removing") return this.#isDue(row, this.#windowMs) ? { do: "call", call: "delete", ...known } : null;
    if (state === "stopping") return this.#isDue(row, this.#windowMs) ? { do: "call", call: "stop", ...known } : null;
    return say("RemoveInstance", node, { attempt, instance, why: state === "stopped" ? `${row.why}: it is stopped` : why });
  }

  #ofMissing({ id, row: node }: Stored<NodeRow>, row: InstanceRow | undefined): Act | null {
    if (!isStaying(node) || row?.held === true) return null;
    if (hasJoined(node) && (row === undefined || this.#healed !== id)) return null;
    const tried = row?.state === "refused" ? row.tried : [];
    const place = choosePlace(this.#settings, tried, this.#inZone);
    if (place === null && this.#now - (row?.since ?? 0) < roomAgainMs) return null;
    const { zone, size } = place ?? choosePlace(this.#settings, [], this.#inZone) ?? this.#first();
    this.#count(zone);
    const why = hasJoined(node) ? "its machine was lost" : "it is joining and has no machine";
    return say("WantInstance", id, { attempt: (row?.attempt ?? 0) + 1, zone, size, why });
  }

  #ofAccepted(row: InstanceRow): Act | null {
    const { node, attempt, id: instance, since } = row;
    if (instance === null) throw new Error(`the instance of ${node} is accepted and has no name`);
    if (this.#isGone(row)) return gone(row, "it ended before it ran");
    const sight = this.#sightOf(row);
    if (sight?.state === "running" && sight.address !== "")
      return say("RecordInstance", node, { attempt, step: "running", instance, address: sight.address });
    const remove = (why: string): Act => say("RemoveInstance", node, { attempt, instance, why });
    if (sight?.state === "failed" || sight?.state === "stopped") return remove(`it is ${sight.state} and has never run`);
    if (this.#ageOf(row) >= runningWithinMs) return remove(`it did not run within ${runningWithinMs / 60_000} minutes`);
    return this.#look(row, lookEvery(this.#now - since) * this.#pace);
  }

  #ofRunning(row: InstanceRow, node: NodeRow): Act | null {
    const { node: id, attempt, id: instance, address } = row;
    if (instance === null || address === null) throw new Error(`the instance of ${id} runs and has no name or address`);
    // it was enrolled and has come, though nobody was left to record that
    if (hasJoined(node) && node.contact !== "lost") return say("RecordInstance", id, { attempt, step: "enrolled", instance });
    if (this.#isGone(row)) return gone(row, "it ended before it was enrolled");
    const sight = this.#sightOf(row);
    const remove = (why: string): Act => say("RemoveInstance", id, { attempt, instance, why });
    if (sight?.state === "failed" || sight?.state === "stopped") return remove(`it is ${sight.state} and was never enrolled`);
    if (this.#ageOf(row) >= enrolledWithinMs) return remove(`it was not enrolled within ${enrolledWithinMs / 60_000} minutes`);
    return (
      this.#look(row, lookEnrollingMs * this.#pace) ?? {
        do: "call",
        call: "enrol",
        node: id,
        attempt,
        instance,
        address,
        member: node.member,
      }
    );
  }

  #ofEnrolled({ id, row: node }: Stored<NodeRow>, row: InstanceRow): Act | null {
    const isOverdue = !hasJoined(node) && this.#ageOf(row) >= joinedWithinMs;
    if (node.contact !== "lost" && !isOverdue) return null;
    if (this.#isGone(row)) return gone(row, "the vendor has none such any more");
    const sight = this.#sightOf(row);
    if (this.#healed === id && sight !== undefined && sight.state !== "absent" && this.#now - sight.at < this.#windowMs) {
      const why = `its node was lost and it is still ${sight.state}`;
      return say("StopInstance", id, { attempt: row.attempt, why });
    }
    return this.#look(row, this.#windowMs);
  }

  #first(): { readonly zone: string; readonly size: string } {
    const { zones, sizes } = this.#settings;
    const [zone, size] = [zones[0], sizes[0]];
    if (zone === undefined || size === undefined) throw new Error("there is neither a zone nor a size to make machines of");
    return { zone, size };
  }

  /** How long this leader has had to bring the row further. */
  #ageOf({ since }: InstanceRow): number {
    return this.#now - Math.max(since, this.#leadingSince);
  }

  #count(zone: string): void {
    this.#inZone.set(zone, (this.#inZone.get(zone) ?? 0) + 1);
  }

  /** What was seen of the machine that the row is about. */
  #sightOf({ node, id }: InstanceRow): Sight | undefined {
    const sight = this.#seen.get(node);
    return sight?.instance === id ? sight : undefined;
  }

  #isGone(row: InstanceRow): boolean {
    const sight = this.#sightOf(row);
    return sight?.state === "absent" && sight.absentSince !== null && sight.at - sight.absentSince >= this.#windowMs;
  }

  /** Something absent is asked for again only after the window. */
  #isDue(row: InstanceRow, everyMs: number): boolean {
    const sight = this.#sightOf(row);
    return sight?.state !== "absent" || this.#now - sight.at >= everyMs;
  }

  #look(row: InstanceRow, everyMs: number): Act | null {
    const { node, attempt, id: instance } = row;
    const sight = this.#sightOf(row);
    const every = sight?.state === "absent" ? this.#windowMs : everyMs;
    if (instance === null || (sight !== undefined && this.#now - sight.at < every)) return null;
    return { do: "call", call: "look", node, attempt, instance };
  }
}

const say = (type: string, id: string, fields: object): Act => ({ do: "say", command: { type, id, ...fields } });
const gone = ({ node, attempt }: InstanceRow, how: string): Act => say("RecordGone", node, { attempt, how });
const ensure = ({ node, attempt, zone, size }: InstanceRow): Act => ({ do: "call", call: "ensure", node, attempt, zone, size });
