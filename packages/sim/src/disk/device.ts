import type { Stream } from "../world/stream.ts";
import type { Process, World } from "../world/world.ts";

/** A disk that has not answered for this long has been replaced. */
const stallMaxMs = 60_000;

/** How a member's disk behaves. Times in milliseconds, chances per operation. */
export interface DeviceFaults {
  readonly meanMs: number;
  /** This one's own share of it: 1, or more for a slow disk. */
  readonly times?: number;
  readonly stallChance: number;
  readonly stallMs: number;
  readonly errorChance: number;
  /** No stall outlasts this moment of the world. */
  readonly stallsUntil?: number;
  /** There is no room for more. */
  readonly full?: boolean;
  /** A disk that says "synced" and has not: no member may be asked to survive it. For showing that the checks notice. */
  readonly lies: boolean;
}

/**
 * One process's way to its disk, whose faults may end while it runs. Operations of a lane end in the order they were
 * begun; a dead process hears of no end.
 */
export class Device {
  readonly #world: World;
  readonly #process: Process;
  readonly #faults: () => DeviceFaults;
  readonly #stream: Stream;
  readonly #freeAt = new Map<string, number>();
  /** By lane, "" for all: beginnings and ends of writes until the process dies there, and how. */
  readonly #armed = new Map<string, { left: number; readonly die: () => void }>();
  readonly counts = { operations: 0, stalls: 0, errors: 0, full: 0 };

  constructor(world: World, process: Process, faults: () => DeviceFaults, stream: Stream) {
    this.#world = world;
    this.#process = process;
    this.#faults = faults;
    this.#stream = stream;
  }

  get lies(): boolean {
    return this.#faults().lies;
  }

  /** Is anything under way? */
  get busy(): boolean {
    return [...this.#freeAt.values()].some((at) => at > this.#world.now);
  }

  /** The process shall die at the beginning or end of a write (of this lane), `left` of them from now, before it hears of it. */
  arm(left: number, die: () => void, lane = ""): void {
    if (!this.#armed.has(lane)) this.#armed.set(lane, { left, die });
  }

  disarm(): void {
    this.#armed.clear();
  }

  /**
   * A write: `begin` hands the bytes over and returns what ends it. That takes the disk's time; or it fails, and whether it has
   * happened nobody knows. What is there already is written over in its place: that takes no room. What a dead process still asks for is never begun.
   */
  write(lane: string, begin: () => () => void, takesRoom = lane !== "guard"): Promise<void> {
    if (!this.#process.alive) return new Promise(() => undefined);
    const effect = begin();
    const { meanMs, times = 1, stallChance, stallMs, errorChance, stallsUntil = Infinity } = this.#faults();
    this.counts.operations += 1;
    let ms = this.#stream.around(meanMs * times);
    if (this.#stream.chance(stallChance)) {
      ms += Math.min(this.#stream.around(stallMs), stallMaxMs, Math.max(0, stallsUntil - this.#world.now));
      this.counts.stalls += 1;
    }
    const fails = this.#stream.chance(errorChance);
    const end = Math.max(this.#world.now + ms, this.#freeAt.get(lane) ?? 0);
    this.#freeAt.set(lane, end);
    const death = this.#comesDue(lane);
    if (death !== null) this.#world.after(0, null, "dies", death);
    return new Promise((resolve, reject) => {
      this.#world.after(end - this.#world.now, this.#process, lane, () => {
        if (this.#faults().full === true && takesRoom) {
          this.counts.full += 1;
          this.#world.tell(this.#process.name, `no room for a write of the ${lane}`);
          reject(Object.assign(new Error(`ENOSPC: no space left for a write of the ${lane}`), { code: "ENOSPC" }));
          return;
        }
        // Once faults have ended none comes late: nobody would bring the process back.
        if (!fails || this.#faults().errorChance === 0) {
          effect();
          const dies = this.#comesDue(lane);
          if (dies === null) resolve();
          else dies();
          return;
        }
        this.counts.errors += 1;
        this.#world.tell(this.#process.name, `disk error on ${lane}`);
        reject(new Error(`EIO: the disk failed a write of the ${lane}`));
      });
    });
  }

  #comesDue(lane: string): (() => void) | null {
    let death: (() => void) | null = null;
    for (const armed of [this.#armed.get(""), this.#armed.get(lane)]) {
      if (armed === undefined) continue;
      armed.left -= 1;
      if (armed.left === 0) death = armed.die;
    }
    return death;
  }
}
