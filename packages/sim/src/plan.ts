/** What a seed draws once, before its life begins: the ranges of the fault model stand here, and nowhere else. */
import type { DeviceFaults } from "./disk/device.ts";
import type { NetworkFaults } from "./net/network.ts";
import { makeStream, type Stream } from "./world/stream.ts";

/** Kinds of faults that can be taken out of a life one by one, to find the ones that matter. */
export const faultKinds = [
  "loss",
  "repeat",
  "clog",
  "cut",
  "partition",
  "crash",
  "pause",
  "stall",
  "slowNode",
  "diskError",
  "rot",
  "wipe",
  "oldDisk",
  "skew",
  "transfer",
  "growth",
  "drain",
  "joint",
  "leave",
  "change",
  "fullDisk",
  "gone",
  "restore",
  "recover",
  "backup",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Defects put into the world on purpose, to see that the checks notice. */
export const defects = ["lyingDisk", "staleReads", "forgetfulClients", "diceInRules", "wipedKeepsNumber"] as const;
export type Defect = (typeof defects)[number];

/**
 * What a life dwells on. A third has no mood; the others have one thing happen far more often than the rest, because some
 * faults show only where it meets itself: a half of the voters that elects, a write that ends when its entry is no more.
 */
export const moods = ["elections", "slowDisks", "overwrites", "snapshots"] as const;
export type Mood = (typeof moods)[number] | "pairs" | "changes" | "none";

export interface LifeOptions {
  readonly seed: number;
  /** Length of the safety phase in virtual milliseconds. */
  readonly forMs?: number;
  readonly without?: readonly FaultKind[];
  readonly defect?: Defect;
  /** Taken as it is in place of what the seed would draw; `forMs` alone stands over it. */
  readonly plan?: PinnedPlan;
}

/** A plan of an earlier day: it may lack what has been added since. */
export type PinnedPlan = Partial<Omit<Plan, "network" | "device">> & {
  readonly seed: number;
  readonly network?: Partial<NetworkFaults>;
  readonly device?: Partial<DeviceFaults>;
};

/** Chances are per second of virtual time and, where that makes sense, per node. */
export interface Plan {
  readonly seed: number;
  readonly mood: Mood;
  readonly forMs: number;
  readonly members: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly network: NetworkFaults;
  readonly device: DeviceFaults;
  /** Share of nodes whose disk is slower than the others', and how many times. */
  readonly slowNodes: number;
  readonly slowTimes: number;
  readonly partitionsPerS: number;
  readonly healsPerS: number;
  /** Chance of a new leader to be cut off at once, together with one member that is the same all life long. */
  readonly pairs: number;
  readonly crashesPerS: number;
  readonly restartsPerS: number;
  readonly pausesPerS: number;
  readonly rotPerS: number;
  /** Chance of a snapshot that is being received to rot, with each piece of it. */
  readonly rotReceived: number;
  /** Share of restarts that find an empty disk. */
  readonly wipes: number;
  /** Machines that die and come back with an older image of their whole disk. */
  readonly oldDisksPerS: number;
  /** Share of them that come back cut off from all others. */
  readonly oldDisksAlone: number;
  readonly transfersPerS: number;
  readonly growthsPerS: number;
  readonly drainsPerS: number;
  readonly jointsPerS: number;
  readonly leavesPerS: number;
  readonly changesPerS: number;
  /** Chance of a leader to be asked for a change as soon as it leads, and for another while one is under way; no disk is lost then. */
  readonly changesInARow: number;
  /** Chance that a life begins in the middle of a change. */
  readonly beginsWithChange: number;
  readonly fullDisksPerS: number;
  /** Connections between two processes that live are reset, and each takes the other for gone. */
  readonly resetsPerS: number;
  /** Chance that at the end all disks are lost but one, and that is recovered. */
  readonly recovers: number;
  readonly skew: number;
  readonly wallStepMs: number;
  readonly clients: number;
  readonly keys: number;
  readonly thinkMs: number;
  /** Share of writes that are tried once only: what they are told is final. */
  readonly onceShare: number;
  /** Who keep backups and restore them, and how long they wait in between. */
  readonly restorers: number;
  readonly restoreEveryMs: number;
  readonly backupsPerS: number;
  readonly snapshotEvery: number;
  readonly keepEntries: number;
  readonly flushMs: number;
  readonly defect: Defect | null;
}

const sizes = [1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 5, 7];

type Off = (kind: FaultKind, value: number) => number;

/** The plan of a seed's life: what its mood asks for stands over what is drawn for all. */
export function drawPlan(options: LifeOptions): Plan {
  if (options.plan !== undefined) return pinned(options.plan, options.forMs);
  const { seed, without = [] } = options;
  const off: Off = (kind, value) => (without.includes(kind) ? 0 : value);
  const draw = makeStream(seed, "mood");
  const mood: Mood = draw.chance(0.5) ? "none" : draw.pick(moods);
  const rare = { pairs: 0, changesInARow: 0, oldDisksAlone: off("partition", 0.4) };
  const plan: Plan = {
    ...drawCommon(options, off),
    ...drawRestores(seed, off),
    ...drawBackups(seed, off),
    ...rare,
    mood: "none",
  };
  if (mood !== "none") return { ...plan, mood, ...inMood[mood](plan, draw, off) };
  const pairs = makeStream(seed, "mood/pairs");
  if (pairs.chance(0.2)) return { ...plan, mood: "pairs", ...inPairs(plan, pairs, off) };
  const changes = makeStream(seed, "mood/changes");
  return changes.chance(0.2) ? { ...plan, mood: "changes", ...inChanges(plan, changes, off) } : plan;
}

/** Kinds of faults that came to be later do not reach into lives that were pinned earlier. */
function pinned(plan: PinnedPlan, forMs = plan.forMs): Plan {
  const quiet = drawPlan({ seed: plan.seed, without: faultKinds });
  const [network, device] = [
    { ...quiet.network, ...plan.network },
    { ...quiet.device, ...plan.device },
  ];
  return { ...quiet, ...plan, network, device, forMs: forMs ?? quiet.forMs };
}

const inMood: Readonly<Record<(typeof moods)[number], (plan: Plan, draw: Stream, off: Off) => Partial<Plan>>> = {
  /** Even numbers of voters that fall into equal halves, for long enough to elect twice. */
  elections: ({ network }, draw, off) => ({
    members: draw.pick([2, 4, 4, 4, 6]),
    network: { ...network, meanMs: draw.between(0.2, 3), loss: 0, clogChance: 0, capacity: 4_096 },
    partitionsPerS: off("partition", draw.between(0.4, 1.2)),
    healsPerS: draw.between(0.3, 1),
    transfersPerS: off("transfer", draw.between(0, 1)),
    jointsPerS: off("joint", draw.between(0, 0.8)),
    crashesPerS: off("crash", draw.between(0, 0.1)),
  }),
  /** Leaders change while writes are under way. */
  slowDisks: ({ network, device }, draw, off) => ({
    members: draw.pick([3, 3, 5]),
    network: { ...network, meanMs: draw.between(0.2, 5), loss: off("loss", draw.between(0, 0.05)) },
    device: { ...device, meanMs: draw.between(5, 60) },
    slowNodes: off("slowNode", 0.4),
    slowTimes: draw.between(3, 10),
    transfersPerS: off("transfer", draw.between(0.5, 2)),
    partitionsPerS: off("partition", draw.between(0.3, 1.5)),
    healsPerS: draw.between(1, 5),
    clients: 4 + draw.below(5),
    thinkMs: draw.between(5, 20),
  }),
  /** Leaders are cut off with entries that nobody else has, come back soon, and some die while these are replaced. */
  overwrites: ({ network }, draw, off) => ({
    members: draw.pick([3, 3, 3, 5]),
    network: { ...network, meanMs: draw.between(0.2, 10), loss: off("loss", draw.between(0, 0.05)) },
    partitionsPerS: off("partition", draw.between(0.5, 2)),
    healsPerS: draw.between(0.7, 3),
    clients: 4 + draw.below(5),
    thinkMs: draw.between(5, 20),
    onceShare: 0.4,
  }),
  /** Followers fall behind the log that is still held. */
  snapshots: (_, draw, off) => ({
    members: draw.pick([3, 3, 5]),
    snapshotEvery: 10 + draw.below(10),
    keepEntries: draw.below(3),
    flushMs: draw.pick([5, 100, 500]),
    partitionsPerS: off("partition", draw.between(0.3, 0.8)),
    crashesPerS: off("crash", draw.between(0.1, 0.5)),
    pausesPerS: off("pause", draw.between(0.1, 0.4)),
    growthsPerS: off("growth", draw.between(0, 0.2)),
    clients: 4 + draw.below(5),
    thinkMs: draw.between(5, 25),
  }),
};

/**
 * Each leader in turn is cut off together with the same follower, and goes on for a while with it: what that one holds, writes and
 * confirms is of many terms, and its log is made to fit again and again.
 */
function inPairs({ network, device }: Plan, draw: Stream, off: Off): Partial<Plan> {
  const clogs = draw.chance(0.5);
  return {
    members: draw.pick([5, 5, 5, 7]),
    electionTicks: 10 + draw.below(6),
    pairs: off("partition", draw.between(0.5, 1)),
    partitionsPerS: off("partition", draw.between(0.5, 1.5)),
    healsPerS: draw.between(0.2, 1),
    network: {
      ...network,
      meanMs: draw.between(0.2, 15),
      loss: off("loss", draw.between(0, 0.05)),
      clogChance: off("clog", clogs ? draw.between(0, 0.008) : 0),
      clogMs: draw.between(300, 3_000),
      capacity: 4_096,
    },
    device: { ...device, meanMs: draw.between(0.2, draw.pick([2, 60])) },
    slowNodes: off("slowNode", 0.3),
    slowTimes: draw.between(4, 25),
    clients: 4 + draw.below(5),
    keys: 2 + draw.below(2),
    thinkMs: draw.between(5, 20),
  };
}

/** The membership changes all the time, and leaders are gone before a change is applied. No disk is lost: anybody may vote. */
function inChanges({ network, device }: Plan, draw: Stream, off: Off): Partial<Plan> {
  return {
    members: draw.pick([3, 4, 4, 5, 5, 6]),
    electionTicks: 10 + draw.below(6),
    network: {
      ...network,
      meanMs: draw.between(0.2, 15),
      loss: off("loss", draw.between(0, 0.05)),
      clogChance: 0,
      capacity: 4_096,
    },
    device: { ...device, meanMs: draw.between(0.2, draw.pick([2, 40])) },
    slowNodes: off("slowNode", 0.3),
    slowTimes: draw.between(2, 10),
    partitionsPerS: off("partition", draw.between(0.2, 1)),
    healsPerS: draw.between(0.5, 2),
    crashesPerS: off("crash", draw.between(0, 0.2)),
    changesPerS: off("change", draw.between(1, 4)),
    changesInARow: off("change", draw.between(0.3, 0.8)),
    jointsPerS: off("joint", draw.between(0, 2)),
    transfersPerS: off("transfer", draw.between(0, 1)),
    wipes: 0,
    rotPerS: 0,
    oldDisksPerS: 0,
    leavesPerS: 0,
    drainsPerS: 0,
  };
}

function drawRestores(seed: number, off: Off): Pick<Plan, "restorers" | "restoreEveryMs"> {
  const draw = makeStream(seed, "plan/restores");
  const restorers = off("restore", draw.chance(0.4) ? 1 + draw.below(2) : 0);
  return { restorers, restoreEveryMs: draw.between(50, draw.pick([300, 1_000])) };
}

function drawBackups(seed: number, off: Off): Pick<Plan, "backupsPerS"> {
  const draw = makeStream(seed, "plan/backups");
  return { backupsPerS: off("backup", draw.chance(0.3) ? draw.between(0.5, draw.pick([2, 10])) : 0) };
}

type NotCommon = "mood" | "pairs" | "changesInARow" | "oldDisksAlone" | "restorers" | "restoreEveryMs" | "backupsPerS";
type Common = Omit<Plan, NotCommon>;

function drawCommon({ seed, forMs, defect }: LifeOptions, off: Off): Common {
  const draw = makeStream(seed, "plan");
  /** Some seeds are spared a fault altogether, so that others show alone. */
  const some = (kind: FaultKind, high: number): number => {
    const [spared, value] = [draw.chance(0.4), draw.next() * high];
    return off(kind, spared ? 0 : value);
  };
  const members = draw.pick(sizes);
  const heartbeatTicks = 1 + draw.below(3);
  const long = draw.between(8_000, 20_000);
  const lasts = makeStream(seed, "plan/length");
  // Most of what goes wrong does so in the first seconds: many short lives find more than few long ones, which are had as well.
  const length = lasts.chance(0.85) ? lasts.between(1_500, 6_000) : long;
  const gone = makeStream(seed, "plan/gone");
  const late = makeStream(seed, "plan/later knobs");
  return {
    seed,
    forMs: forMs ?? length,
    members,
    // Heartbeats come less often than an append without entries may wait for them, or more often.
    tickMs: late.chance(0.1) ? 5 : 10,
    electionTicks: 10 + draw.below(11),
    heartbeatTicks,
    network: {
      meanMs: draw.chance(0.5) ? draw.between(0.2, 3) : draw.between(1, 30),
      loss: some("loss", 0.3),
      repeat: some("repeat", 0.5),
      clogChance: some("clog", 0.002),
      clogMs: draw.between(50, 2_000),
      capacity: draw.chance(0.3) ? 2 + draw.below(63) : 4_096,
      cutChance: some("cut", 0.001),
      goneMs: off("gone", gone.chance(0.3) ? 0 : gone.between(1, gone.pick([30, 300]))),
    },
    device: {
      meanMs: draw.chance(0.6) ? draw.between(0.1, 3) : draw.between(1, 30),
      stallChance: some("stall", 0.003),
      stallMs: draw.between(200, draw.pick([4_000, 20_000])),
      errorChance: some("diskError", 0.0003),
      lies: defect === "lyingDisk",
    },
    slowNodes: some("slowNode", 0.3),
    slowTimes: draw.between(2, 10),
    partitionsPerS: some("partition", 0.6),
    healsPerS: draw.between(0.3, 3),
    crashesPerS: some("crash", 0.6),
    restartsPerS: draw.between(0.3, 4),
    pausesPerS: some("pause", 0.3),
    rotPerS: some("rot", 0.1),
    rotReceived: off("rot", late.chance(0.4) ? 0.03 : 0),
    wipes: off("wipe", defect === "wipedKeepsNumber" ? 0.6 : 0.2),
    oldDisksPerS: some("oldDisk", 0.3),
    transfersPerS: some("transfer", 0.5),
    growthsPerS: some("growth", 0.1),
    drainsPerS: some("drain", 0.3),
    leavesPerS: some("leave", 0.1),
    changesPerS: some("change", 0.3),
    beginsWithChange: off("change", 0.2),
    fullDisksPerS: some("fullDisk", 0.05),
    resetsPerS: off("gone", gone.chance(0.5) ? 0 : gone.next() * 0.5),
    // A defect is to be found by what the cluster itself does.
    recovers: off("recover", defect === undefined ? 0.3 : 0),
    skew: some("skew", 0.3),
    wallStepMs: off("skew", 10_000),
    clients: 1 + draw.below(8),
    keys: 2 + draw.below(6),
    thinkMs: draw.between(5, draw.pick([25, 150])),
    onceShare: draw.between(0, 0.3),
    snapshotEvery: 10 + draw.below(draw.pick([20, 200])),
    keepEntries: draw.below(draw.pick([5, 50])),
    flushMs: draw.pick([5, 20, 100, 500]),
    jointsPerS: some("joint", 0.4),
    defect: defect ?? null,
  };
}
