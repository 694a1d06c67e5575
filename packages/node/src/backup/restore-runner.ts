/**
 * Brings a backup's state back: plans against a world, stages the plan in the log part by part, and applies it with one entry. It knows
 * of no server: whoever runs it says how commands are submitted.
 */
import { createHash, randomBytes } from "node:crypto";
import { planSteps, type Chosen, type Plan, type PlannedThing } from "@aether/core/backup/plan";
import type { WantedThing } from "@aether/core/backup/thing-files";
import { canonicalJson } from "@aether/core/kernel/canonical-json";
import { reject, type Command, type Reason, type Rejection } from "@aether/core/kernel/command";
import type { Registry } from "@aether/core/kernel/registry";
import type { World } from "@aether/core/kernel/world";
import { checkAll } from "@aether/core/restoration/decide";
import { partThingsMax, restorePartsMax, restoreThingsMax } from "@aether/core/restoration/events";
import { PlannedWorld } from "@aether/core/restoration/planned-world";
import { partId, type RestorationRow, type RestoreSource } from "@aether/core/restoration/state";
import type { Wish } from "@aether/core/restoration/wish";

export interface RestorePlan extends Plan {
  /** SHA-256, hex, over what it would do and what it leaves alone: two plans that show the same have the same. */
  readonly digest: string;
  /** Why the rules would not let it happen as a whole; null when they would. */
  readonly refused: Rejection | null;
}

/** What became of a command; of the answer `things` and `appliedAt` are read. */
export interface Submitted {
  /** Where it committed. */
  readonly index: number;
  readonly answer?: unknown;
}

/** Submits under a request id: the same id again is the same request. */
export type Submit = (command: Command, request: string) => Promise<Submitted | Rejection>;

export interface Restored {
  /** Id of the restoration, "" when there was nothing to change. */
  readonly restore: string;
  /** The entry from which on it counts, null when there was nothing to change. */
  readonly index: number | null;
  /** Things that changed. */
  readonly things: number;
}

export interface RestoreProgress {
  readonly restore: string;
  /** Parts that are staged. */
  readonly staged: number;
  readonly parts: number;
}

export interface RestoreRunnerOptions {
  readonly registry: Registry;
  /** Between two steps of planning. Default: waiting input and timers get their turn. */
  readonly rest?: () => Promise<void>;
  /** Milliseconds between two tries of a step. Default: the process's own timers. */
  readonly pause?: (ms: number) => Promise<void>;
  /** Bytes of a part as JSON, but one thing is always taken. Default: half of what an entry may have. */
  readonly partBytes?: number;
  /** Names the restoration: lower-case letters, digits and hyphens. Default: 64 random bits. */
  readonly drawId?: () => string;
}

/** With what decide adds to the wishes they are well below an entry's limit. */
const partBytesMax = 512 * 1024;
/** Of a wish besides what is wanted, in the command and in what is made of it. */
const wishBytes = 128;
const partsInFlight = 4;
/** A step is tried so often while its outcome is open or it was not taken. */
const triesMax = 8;
/** What is left staged has no effect and goes with the next restore: nobody waits long for it to go at once. */
const dropTries = 2;
const pauseMs = 250;
const plansMax = 5;
/** Hashed in one step. */
const stepThings = 256;
const openReasons: ReadonlySet<Reason> = new Set(["ambiguous", "no_leader", "not_ready", "overloaded", "deadline"]);

type Ask = (step: string, command: Command, tries?: number) => Promise<Submitted | Rejection>;

export class RestoreRunner {
  readonly #registry: Registry;
  readonly #rest: () => Promise<void>;
  readonly #pause: (ms: number) => Promise<void>;
  readonly #drawId: () => string;
  readonly #partBytes: number;

  constructor({ registry, rest, pause, drawId, partBytes = partBytesMax }: RestoreRunnerOptions) {
    this.#partBytes = Math.min(partBytes, partBytesMax);
    this.#registry = registry;
    this.#rest = rest ?? (() => new Promise((resolve) => setImmediate(resolve)));
    this.#pause = pause ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    this.#drawId = drawId ?? (() => `r-${randomBytes(8).toString("hex")}`);
  }

  /**
   * Resolves in steps that rest: the world may go on meanwhile. Another restore, which changes much at once, is in all of the plan or in
   * nothing of it: when one is applied between two steps, everything is looked at again.
   */
  async plan(world: World, things: readonly WantedThing[], chosen: Chosen): Promise<RestorePlan> {
    for (let tries = 1; ; tries++) {
      const before = newestApplied(world);
      const plan = await this.#planOnce(world, things, chosen);
      if (newestApplied(world) === before) return plan;
      if (tries === plansMax) return { ...plan, refused: othersRestore };
    }
  }

  async #planOnce(world: World, things: readonly WantedThing[], chosen: Chosen): Promise<RestorePlan> {
    const steps = planSteps(this.#registry, world, things, chosen);
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) await this.#rest();
    const plan = step.value;
    const hash = createHash("sha256");
    const after = new PlannedWorld(this.#registry, world);
    for (const [i, thing] of plan.things.entries()) {
      if (i > 0 && i % stepThings === 0) await this.#rest();
      const { noun, id, kind, fields, events } = thing;
      hash.update(canonicalJson({ noun, id, kind, fields }));
      const { version, index } = thing;
      after.begin({ noun, id, version, index, ...(kind === "removed" && { absent: true }) });
      for (const event of events) after.add(event);
    }
    const digest = hash.update(canonicalJson(plan.kept)).digest("hex");
    return { ...plan, digest, refused: checkAll(this.#registry, world, after) };
  }

  /**
   * Does what the plan says, or nothing: a rejection means that nothing has changed, but for `ambiguous`, which says how to find out.
   * `stale`: something has changed since the plan was made.
   */
  async run(
    plan: Plan,
    source: RestoreSource,
    submit: Submit,
    onProgress: (progress: RestoreProgress) => void = () => undefined,
  ): Promise<Restored | Rejection> {
    if (plan.things.length === 0) return { restore: "", index: null, things: 0 };
    const parts = await this.#parts(plan.things);
    const things = plan.things.length;
    if (parts.length > restorePartsMax || things > restoreThingsMax) return tooLarge(things, parts.length);
    const restore = this.#drawId();
    const ask: Ask = (step, command, tries = triesMax) => this.#insist(submit, command, `${restore}/${step}`, tries);
    const begun = await ask("begin", { type: "BeginRestore", id: restore, source, things, parts: parts.length });
    if ("rejected" in begun) return openReasons.has(begun.reason) ? notApplied(restore, begun) : begun;
    const refused = await this.#stage(restore, parts, ask, onProgress);
    if (refused !== null) {
      const dropped = await ask("drop", { type: "DropRestore", id: restore }, dropTries);
      const told = openReasons.has(refused.reason) ? notApplied(restore, refused) : refused;
      return "rejected" in dropped && openReasons.has(dropped.reason) ? { ...told, hint: leftStaged(restore, told) } : told;
    }
    const applied = await ask("apply", { type: "ApplyRestore", id: restore });
    if (!("rejected" in applied)) return { restore, index: appliedIndex(applied), things };
    return this.#settle(restore, things, applied, ask);
  }

  /** It was not said that it is applied: after this it is, or never will be, and it is known which. */
  async #settle(restore: string, things: number, refused: Rejection, ask: Ask): Promise<Restored | Rejection> {
    const dropped = await ask("drop", { type: "DropRestore", id: restore });
    const isOpen = openReasons.has(refused.reason);
    if (!("rejected" in dropped)) return isOpen ? notApplied(restore, refused) : refused;
    if (openReasons.has(dropped.reason)) return isOpen ? unknown(restore) : { ...refused, hint: leftStaged(restore, refused) };
    // one that is applied is not dropped: where it is, an answer tells that was lost, or was given under another request
    const again = await ask("look", { type: "ApplyRestore", id: restore });
    if (!("rejected" in again)) return { restore, index: appliedIndex(again), things };
    return openReasons.has(again.reason) ? unknown(restore) : refused;
  }

  async #parts(things: readonly PlannedThing[]): Promise<Wish[][]> {
    const parts: Wish[][] = [];
    let part: Wish[] = [];
    let bytes = 0;
    for (const [i, { noun, id, version, index, wanted }] of things.entries()) {
      if (i > 0 && i % stepThings === 0) await this.#rest();
      const thing = { noun, id, version, index };
      const wish: Wish = wanted === undefined ? { ...thing, absent: true } : { ...thing, wanted };
      const size = Buffer.byteLength(JSON.stringify(wish)) + wishBytes + id.length;
      if (part.length > 0 && (bytes + size > this.#partBytes || part.length === partThingsMax)) {
        parts.push(part);
        part = [];
        bytes = 0;
      }
      part.push(wish);
      bytes += size;
    }
    return [...parts, part];
  }

  /** A few at a time. The first refusal, when no other is on its way any more; null when all are there. */
  async #stage(
    restore: string,
    parts: readonly Wish[][],
    ask: Ask,
    onProgress: (progress: RestoreProgress) => void,
  ): Promise<Rejection | null> {
    let next = 0;
    let staged = 0;
    let refused: Rejection | null = null;
    const work = async (): Promise<void> => {
      while (next < parts.length && refused === null) {
        const part = ++next;
        const things = parts[part - 1] as Wish[];
        const done = await ask(`part/${part}`, { type: "StageRestorePart", id: partId(restore, part), things });
        if ("rejected" in done) refused ??= done;
        else onProgress({ restore, staged: ++staged, parts: parts.length });
      }
    };
    await Promise.all(Array.from({ length: Math.min(partsInFlight, parts.length) }, work));
    return refused;
  }

  /** The same request again while nobody knows what became of it, or it was not taken. */
  async #insist(submit: Submit, command: Command, request: string, max: number): Promise<Submitted | Rejection> {
    for (let tries = 1; ; tries++) {
      const done = await submit(command, request);
      if (!("rejected" in done) || !openReasons.has(done.reason) || tries === max) return done;
      await this.#pause(pauseMs * tries);
    }
  }
}

/** Index of the newest restore that counts, 0 when there was none. */
function newestApplied(world: World): number {
  let newest = 0;
  for (const { row } of world.all<RestorationRow>("restoration")) newest = Math.max(newest, row.appliedAt ?? 0);
  return newest;
}

const othersRestore = reject("not_ready", "others restore faster than this can be planned", "try again when they are done");

const appliedIndex = ({ index, answer }: Submitted): number =>
  (answer as { readonly appliedAt?: number | null } | undefined)?.appliedAt ?? index;

const tooLarge = (things: number, parts: number): Rejection =>
  reject(
    "too_large",
    `a restore of ${things} things in ${parts} parts is more than one step takes`,
    "restore it in pieces, with --only",
  );

const leftStaged = (restore: string, { hint }: Rejection): string =>
  `${hint}; nothing has changed, and what restoration ${restore} has staged goes with the next one`;

const notApplied = (restore: string, { reason, message }: Rejection): Rejection =>
  reject(
    reason === "ambiguous" ? "deadline" : reason,
    `restoration ${restore} was not applied: ${message}`,
    "nothing has changed: try again",
  );

const unknown = (restore: string): Rejection =>
  reject(
    "ambiguous",
    `nobody could be asked whether restoration ${restore} is applied`,
    `its state says so: GET /v1/restorations/${restore}; or plan again, which shows what is left to do`,
  );
