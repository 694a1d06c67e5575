/** What a seed draws once, before its life begins: the ranges of the fault model stand here, and nowhere else. */
import type { DeviceFaults } from "./disk/device.ts";
import type { NetworkFaults } from "./net/network.ts";
import { makeStream } from "./world/stream.ts";

/** Kinds of faults that can be taken out of a life one by one, to find the ones that matter. */
export const faultKinds = [
  "loss",
  "repeat",
  "clog",
  "partition",
  "crash",
  "pause",
  "stall",
  "diskError",
  "rot",
  "wipe",
  "skew",
  "transfer",
  "growth",
  "drain",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Defects put into the world on purpose, to see that the checks notice. */
export const defects = ["lyingDisk", "staleReads", "forgetfulClients", "diceInRules", "wipedKeepsNumber"] as const;
export type Defect = (typeof defects)[number];

export interface LifeOptions {
  readonly seed: number;
  /** Length of the safety phase in virtual milliseconds. */
  readonly forMs?: number;
  readonly without?: readonly FaultKind[];
  readonly defect?: Defect;
}

/** Chances are per second of virtual time and, where that makes sense, per node. */
export interface Plan {
  readonly seed: number;
  readonly forMs: number;
  readonly members: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly network: NetworkFaults;
  readonly device: DeviceFaults;
  readonly partitionsPerS: number;
  readonly healsPerS: number;
  readonly crashesPerS: number;
  readonly restartsPerS: number;
  readonly pausesPerS: number;
  readonly rotPerS: number;
  /** Share of restarts that find an empty disk. */
  readonly wipes: number;
  readonly transfersPerS: number;
  readonly growthsPerS: number;
  readonly drainsPerS: number;
  readonly skew: number;
  readonly wallStepMs: number;
  readonly clients: number;
  readonly keys: number;
  readonly thinkMs: number;
  readonly snapshotEvery: number;
  readonly keepEntries: number;
  readonly flushMs: number;
  readonly defect: Defect | null;
}

const sizes = [1, 2, 3, 3, 3, 3, 3, 4, 5, 5];

export function drawPlan({ seed, forMs, without = [], defect }: LifeOptions): Plan {
  const draw = makeStream(seed, "plan");
  const off = (kind: FaultKind, value: number): number => (without.includes(kind) ? 0 : value);
  /** Some seeds are spared a fault altogether, so that others show alone. */
  const some = (kind: FaultKind, high: number): number => {
    const [spared, value] = [draw.chance(0.4), draw.next() * high];
    return off(kind, spared ? 0 : value);
  };
  const members = draw.pick(sizes);
  const heartbeatTicks = 1 + draw.below(3);
  const length = draw.between(8_000, 20_000);
  return {
    seed,
    forMs: forMs ?? length,
    members,
    tickMs: 10,
    electionTicks: 10 + draw.below(11),
    heartbeatTicks,
    network: {
      meanMs: draw.chance(0.5) ? draw.between(0.2, 3) : draw.between(1, 30),
      loss: some("loss", 0.3),
      repeat: some("repeat", 0.5),
      clogChance: some("clog", 0.002),
      clogMs: draw.between(50, 2_000),
      capacity: draw.chance(0.3) ? 2 + draw.below(63) : 4_096,
    },
    device: {
      meanMs: draw.chance(0.6) ? draw.between(0.1, 3) : draw.between(1, 30),
      stallChance: some("stall", 0.003),
      stallMs: draw.between(200, 4_000),
      errorChance: some("diskError", 0.0003),
      lies: defect === "lyingDisk",
    },
    partitionsPerS: some("partition", 0.6),
    healsPerS: draw.between(0.3, 3),
    crashesPerS: some("crash", 0.6),
    restartsPerS: draw.between(0.3, 4),
    pausesPerS: some("pause", 0.3),
    rotPerS: some("rot", 0.1),
    wipes: off("wipe", defect === "wipedKeepsNumber" ? 0.6 : 0.2),
    transfersPerS: some("transfer", 0.5),
    growthsPerS: some("growth", 0.1),
    drainsPerS: some("drain", 0.3),
    skew: some("skew", 0.3),
    wallStepMs: off("skew", 10_000),
    clients: 1 + draw.below(8),
    keys: 2 + draw.below(6),
    thinkMs: draw.between(5, draw.pick([25, 150])),
    snapshotEvery: 10 + draw.below(draw.pick([20, 200])),
    keepEntries: draw.below(draw.pick([5, 50])),
    flushMs: draw.pick([5, 20, 100, 500]),
    defect: defect ?? null,
  };
}
