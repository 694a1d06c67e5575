import type { Clock } from "@aether/raft/types";
import type { Process, World } from "./world.ts";

/** Where a process's clocks stand: how fast its monotonic one runs, and how far its wall clock is off (steps included). */
export interface ClockFaults {
  /** 1 is true time; 1.3 runs 30 % fast. */
  readonly rate: number;
  wallOffsetMs: number;
}

/** Wall time at the beginning of every life: any day will do. */
const epochMs = Date.UTC(2026, 0, 1);

/** The clock that driver, log and event store of one process wait by. Its timers die with the process. */
export function makeProcessClock(world: World, process: Process, faults: ClockFaults): Clock & { wall(): number } {
  const now = (): number => world.now * faults.rate;
  return {
    now,
    after: (ms, f) => world.after(ms / faults.rate, process, "timer", f),
    immediate: (f) => {
      world.after(0, process, "turn", f);
    },
    wall: () => Math.floor(epochMs + now() + faults.wallOffsetMs),
  };
}
