/**
 * Time that passes only when everything has come to rest. What is to happen stands in one queue, ordered by virtual time
 * and then by who asked first; after each event all promises settle before the next one. So two runs of a seed are alike.
 */
import { hashOf } from "./stream.ts";

/** Something that happens in a process, or (owner null) to the world. */
interface Happening {
  readonly at: number;
  readonly order: number;
  readonly owner: Process | null;
  readonly label: string;
  /** Undefined once cancelled. */
  run: (() => void) | undefined;
}

/** A life whose queue grows past this spins. */
const waitingMax = 200_000;
/** Lines kept of the timeline; the oldest go. */
const linesMax = 100_000;
/** Events between two turns of the real event loop. */
const stepsPerTurn = 4_096;
/**
 * All promises that can settle do, with all ticks, before this returns: what Node itself does after each callback of its loop.
 * A life has some twenty thousand events; to wait for a turn of the loop after each took half of its time.
 */
const { _tickCallback: settle } = process as typeof process & { readonly _tickCallback: () => void };
const float = new Float64Array(1);
/** The bits of what stands in `float`. */
const halves = new Uint32Array(float.buffer);

/** One running process of the cluster. When it is dead nothing of it runs again: not a timer, not the end of a write. */
export class Process {
  readonly name: string;
  alive = true;
  paused = false;
  /** What would have happened during a pause. */
  readonly held: Happening[] = [];
  readonly #onDeath: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  onDeath(f: () => void): void {
    this.#onDeath.push(f);
  }

  die(): void {
    if (!this.alive) return;
    this.alive = false;
    this.held.length = 0;
    for (const f of this.#onDeath) f();
  }
}

export class World {
  /** Virtual milliseconds since the life began. */
  now = 0;
  /** Events that have happened. */
  steps = 0;
  /** Names all that has happened so far, in its order: equal for equal runs. */
  trace = 0x811c9dc5;
  readonly lines: string[] = [];
  readonly #queue: Happening[] = [];
  readonly #names = new Map<string, number>();
  #order = 0;

  /** Lets `run` happen in `ms`; returns the canceller. */
  after(ms: number, owner: Process | null, label: string, run: () => void): () => void {
    if (this.#queue.length >= waitingMax) throw new Error(`${waitingMax} events wait: the life spins (${label})`);
    const happening: Happening = { at: this.now + Math.max(0, ms), order: (this.#order += 1), owner, label, run };
    push(this.#queue, happening);
    return () => {
      happening.run = undefined;
    };
  }

  /** A line of the timeline. */
  tell(who: string, what: string): void {
    this.mix(who, what);
    if (this.lines.length >= linesMax) this.lines.shift();
    this.lines.push(`${(this.now / 1000).toFixed(3).padStart(9)}  ${who.padEnd(8)} ${what}`);
  }

  mix(...parts: readonly string[]): void {
    for (const part of parts) this.trace = hashOf(part, this.trace);
  }

  /** Mixes in a number, to the last bit. */
  mixNumber(value: number): void {
    float[0] = value;
    this.trace = Math.imul(Math.imul(this.trace ^ (halves[0] as number), 0x01000193) ^ (halves[1] as number), 0x01000193) >>> 0;
  }

  /** Runs in this process now, or when it goes on if it is stopped. */
  within(owner: Process, label: string, run: () => void): void {
    if (!owner.alive) return;
    if (owner.paused) owner.held.push({ at: this.now, order: (this.#order += 1), owner, label, run });
    else run();
  }

  #note({ at, label, owner }: Happening): void {
    this.mixNumber(this.#named(label));
    this.mixNumber(owner === null ? 0 : this.#named(owner.name));
    this.mixNumber(at);
  }

  /** Few names, used over and over: each is hashed once. */
  #named(name: string): number {
    let hash = this.#names.get(name);
    if (hash === undefined) {
      hash = hashOf(name);
      this.#names.set(name, hash);
    }
    return hash;
  }

  resume(process: Process): void {
    process.paused = false;
    for (const happening of process.held.splice(0)) {
      if (happening.run !== undefined) push(this.#queue, { ...happening, at: this.now, order: (this.#order += 1) });
    }
  }

  /**
   * Runs event after event until `until` says so or virtual time passes `deadline`. True when `until` was met. Rejects with
   * what an event or `afterStep` throws.
   *
   * Between two events all promises settle. That is all there is to wait for, as nothing that lives here uses the real event
   * loop (a test sees to that). Now and then the loop gets a turn all the same, for whoever else is in this thread.
   */
  run(deadline: number, until: () => boolean, afterStep: () => void): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          for (let i = 0; i < stepsPerTurn; i++) {
            if (until()) return resolve(true);
            if (!this.#happen(deadline)) {
              this.now = Math.max(this.now, deadline);
              return resolve(until());
            }
            settle();
            afterStep();
          }
          setImmediate(turn);
        } catch (error) {
          reject(error);
        }
      };
      setImmediate(turn);
    });
  }

  /** The next event that is not void happens. False when there is none up to `deadline`. */
  #happen(deadline: number): boolean {
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || next.at > deadline) return false;
      pop(this.#queue);
      if (next.run === undefined || next.owner?.alive === false) continue;
      this.now = next.at;
      if (next.owner?.paused === true) {
        next.owner.held.push(next);
        continue;
      }
      this.steps += 1;
      this.#note(next);
      next.run();
      return true;
    }
  }
}

const before = (a: Happening, b: Happening): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

function push(heap: Happening[], item: Happening): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as Happening;
    if (!before(item, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = item;
}

function pop(heap: Happening[]): void {
  const last = heap.pop() as Happening;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Happening, heap[child] as Happening)) child += 1;
    if (!before(heap[child] as Happening, last)) break;
    heap[at] = heap[child] as Happening;
    at = child;
  }
  heap[at] = last;
}
