/**
 * What will go wrong, and when, drawn from a seed before anything runs. One stream of chance per concern, so that a
 * schedule without one kind of fault is otherwise the same. Processes do not replay bit for bit: the same schedule meets them
 * in other moments of their work.
 */
import { makeStream, type Stream } from "../world/stream.ts";

/** Faults that the runner itself can bring about; disasters come on top, each under its own name. */
export const plainKinds = ["kill", "power", "pause", "partition", "delay", "cut", "half-close"] as const;
export type PlainKind = (typeof plainKinds)[number];

/** A node by its place in the list, or whoever leads at that moment. */
export type Who = number | "leader";

export type Happening = { readonly atMs: number } & (
  | { readonly kind: "kill"; readonly who: Who; readonly downMs: number }
  /** All at once, as when a machine room loses power. */
  | { readonly kind: "power"; readonly downMs: number }
  | { readonly kind: "pause"; readonly who: Who; readonly forMs: number }
  | {
      readonly kind: "partition";
      /** "one": `who` against all others; "split": a part against the rest; "bridge": the same, but `who` sees both. */
      readonly shape: "one" | "split" | "bridge";
      readonly who: Who;
      /** For "split" and "bridge": on which side each node is. */
      readonly sides: readonly boolean[];
      /** Only one side is not heard. */
      readonly oneWay: boolean;
      readonly how: "drop" | "blackhole" | "hold";
      readonly forMs: number;
    }
  | {
      readonly kind: "delay";
      readonly share: number;
      readonly leastMs: number;
      readonly jitterMs: number;
      readonly forMs: number;
      readonly pick: number;
    }
  /** Connections of a share of the links end after this many bytes. */
  | { readonly kind: "cut"; readonly share: number; readonly afterBytes: number; readonly pick: number }
  | { readonly kind: "half-close"; readonly share: number; readonly way: "forth" | "back"; readonly pick: number }
  | { readonly kind: "disaster"; readonly name: string; readonly forMs: number }
);

export interface ScheduleOptions {
  readonly seed: number;
  readonly members: number;
  /** How long faults begin. */
  readonly forMs: number;
  /** SIGKILLs and SIGSTOPs per second each; drawn from 0.1–2 when absent. */
  readonly rate?: number | undefined;
  /** Kinds and disasters left out. */
  readonly without: readonly string[];
  /** Names of the disasters that can be had. */
  readonly disasters: readonly string[];
}

export const rateRange = [0.1, 2] as const;
const perSecond = { partition: [0.05, 0.4], delay: [0.03, 0.2], cut: [0.05, 0.5], "half-close": [0.05, 0.5] } as const;
const powerPerS = 0.03;
const disastersPerS = 0.08;
const wholeMs = 1_000;

/** Everything that happens, by time; times are from the beginning of the faults, in ms. */
export function drawSchedule(o: ScheduleOptions): readonly Happening[] {
  const happenings: Happening[] = [];
  const add = (kind: string, rate: number, draw: (stream: Stream) => Omit<Happening, "atMs">): void => {
    const stream = makeStream(o.seed, `chaos/${kind}`);
    if (o.without.includes(kind)) return;
    for (let at = stream.around(wholeMs / rate); at < o.forMs; at += stream.around(wholeMs / rate)) {
      happenings.push({ atMs: Math.round(at), ...draw(stream) } as Happening);
    }
  };
  const rates = makeStream(o.seed, "chaos/rates");
  const between = ([low, high]: readonly [number, number]): number => low * (high / low) ** rates.next();
  // All are drawn, whatever is left out, so that the others stay what they are.
  const killRate = between(rateRange);
  const pauseRate = between(rateRange);
  const who = (stream: Stream): Who => (stream.chance(0.4) ? "leader" : stream.below(o.members));
  add("kill", o.rate ?? killRate, (s) => ({ kind: "kill", who: who(s), downMs: downMs(s) }));
  add("pause", o.rate ?? pauseRate, (s) => ({ kind: "pause", who: who(s), forMs: Math.min(10_000, 200 + s.around(1_200)) }));
  add("power", powerPerS, (s) => ({ kind: "power", downMs: s.around(500) }));
  add("partition", between(perSecond.partition), (s) => ({
    kind: "partition",
    shape: s.pick(["one", "one", "split", "bridge"] as const),
    who: who(s),
    sides: Array.from({ length: o.members }, () => s.chance(0.5)),
    oneWay: s.chance(0.4),
    how: s.pick(["drop", "blackhole", "hold"] as const),
    forMs: Math.min(12_000, 300 + s.around(2_500)),
  }));
  add("delay", between(perSecond.delay), (s) => ({
    kind: "delay",
    share: s.between(0.2, 1),
    leastMs: s.between(0, 20),
    jitterMs: s.between(1, 80),
    forMs: Math.min(10_000, 500 + s.around(3_000)),
    pick: s.below(2 ** 31),
  }));
  add("cut", between(perSecond.cut), (s) => ({
    kind: "cut",
    share: s.between(0.2, 1),
    afterBytes: Math.ceil(s.around(20_000)),
    pick: s.below(2 ** 31),
  }));
  add("half-close", between(perSecond["half-close"]), (s) => ({
    kind: "half-close",
    share: s.between(0.2, 1),
    way: s.pick(["forth", "back"] as const),
    pick: s.below(2 ** 31),
  }));
  addDisasters(o, happenings);
  return happenings.toSorted((a, b) => a.atMs - b.atMs);
}

/** One after another: the next is drawn from when the last one is over. */
function addDisasters({ seed, forMs, without, disasters }: ScheduleOptions, happenings: Happening[]): void {
  const stream = makeStream(seed, "chaos/disasters");
  if (disasters.length === 0) return;
  let at = stream.around(wholeMs / disastersPerS);
  while (at < forMs) {
    const name = stream.pick(disasters);
    const lasts = Math.round(stream.between(1_500, 6_000));
    if (!without.includes(name)) happenings.push({ atMs: Math.round(at), kind: "disaster", name, forMs: lasts });
    at += lasts + stream.around(wholeMs / disastersPerS);
  }
}

/** Mostly as quick as a supervisor restarts a process, sometimes long enough to fall far behind. */
const downMs = (stream: Stream): number => Math.round(stream.chance(0.15) ? stream.between(2_000, 6_000) : stream.around(500));
