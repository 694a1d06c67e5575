/**
 * Arms failpoints from the environment, for tests of what a crash or a bad disk does to a running daemon:
 * `AETHER_FAILPOINTS="beforeFlush=kill@0.01;afterSnapRename=sleep:200;beforeAppendSync=error:EIO#3"`.
 *
 * A rule is `place=action`, the action `kill` (SIGKILL to itself), `sleep:MS` or `error:CODE`; `@chance` has it strike by
 * chance, `#nth` at that passage only, and without either it strikes every time. Chance is drawn from AETHER_FAILPOINTS_SEED.
 */
import { createHash } from "node:crypto";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { type Failpoint, type Failpoints, failpointPlaces } from "@aether/core/kernel/failpoint";
import { nearest } from "@aether/core/kernel/nearest";
import type { Log } from "./log.ts";

export type FailpointAction =
  | { readonly do: "kill" }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "error"; readonly code: string };

export interface FailpointRule {
  readonly place: Failpoint;
  readonly action: FailpointAction;
  /** As it was written, for the log. */
  readonly text: string;
  /** In (0, 1]. */
  readonly chance: number;
  /** Strikes at this passage only, counted from 1; null: at any. */
  readonly nth: number | null;
}

export interface FailpointPlan {
  readonly rules: readonly FailpointRule[];
  readonly seed: number;
}

const rulesMax = 64;
const sleepMsMax = 600_000;
const variable = "AETHER_FAILPOINTS";
const seedVariable = "AETHER_FAILPOINTS_SEED";

/** Null when nothing is armed; every error is a line that names what was written and what was expected. */
export function readFailpoints(env: NodeJS.ProcessEnv): FailpointPlan | null | { readonly errors: readonly string[] } {
  const text = env[variable] ?? "";
  const seedText = env[seedVariable] ?? "1";
  if (text.trim() === "") return null;
  const parts = text.split(";").map((part) => part.trim());
  const parsed = parts.filter((part) => part !== "").map(parseRule);
  const errors = parsed.filter((rule) => typeof rule === "string");
  const seed = /^\d{1,15}$/.test(seedText) ? Number(seedText) : null;
  if (seed === null) errors.push(`${seedVariable}=${seedText}: expected a whole number of at most 15 digits`);
  if (parsed.length > rulesMax) errors.push(`${variable}: expected at most ${rulesMax} rules, not ${parsed.length}`);
  if (seed === null || errors.length > 0) return { errors };
  return { rules: parsed.filter((rule) => typeof rule !== "string"), seed };
}

/** The rule, or what is wrong with it. */
function parseRule(text: string): FailpointRule | string {
  const wrong = (expected: string): string => `${variable}: "${text}": expected ${expected}`;
  const found = /^([^=]*)=([^@#]*)(?:@([^@#]*))?(?:#([^@#]*))?$/.exec(text);
  if (found === null) return wrong("place=action, place=action@chance or place=action#nth");
  const [, place = "", actionText = "", chanceText, nthText] = found;
  if (!isPlace(place)) {
    const meant = nearest(place, Object.keys(failpointPlaces));
    return wrong(
      meant === undefined ? `one of ${Object.keys(failpointPlaces).join(", ")}` : `a known place; did you mean ${meant}?`,
    );
  }
  const action = parseAction(actionText);
  if (action === null)
    return wrong(`kill, sleep:MS of at most ${sleepMsMax}, or error:CODE with a system error like EIO or ENOSPC`);
  if (chanceText !== undefined && nthText !== undefined) return wrong("@chance or #nth, not both");
  const chance = chanceText === undefined ? 1 : Number(chanceText || Number.NaN);
  if (!(chance > 0 && chance <= 1)) return wrong("a chance above 0 and at most 1 after @");
  const nth = nthText === undefined ? null : Number(nthText || Number.NaN);
  if (nth !== null && !(Number.isSafeInteger(nth) && nth >= 1)) return wrong("a whole number from 1 on after #");
  return { place, action, text, chance, nth };
}

const isPlace = (place: string): place is Failpoint => Object.hasOwn(failpointPlaces, place);

function parseAction(text: string): FailpointAction | null {
  if (text === "kill") return { do: "kill" };
  const [what, value = "", ...rest] = text.split(":");
  if (rest.length > 0) return null;
  if (what === "sleep" && /^\d{1,6}$/.test(value) && Number(value) >= 1 && Number(value) <= sleepMsMax)
    return { do: "sleep", ms: Number(value) };
  return what === "error" && Object.hasOwn(constants.errno, value) ? { do: "error", code: value } : null;
}

export interface FailpointEffects {
  /** Must end the process before it returns. */
  readonly kill: () => void;
  readonly sleep: (ms: number) => Promise<void>;
  /** Blocks the whole process. */
  readonly block: (ms: number) => void;
}

const realEffects: FailpointEffects = {
  kill: () => process.kill(process.pid, "SIGKILL"),
  sleep: (ms) => sleep(ms),
  block: (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
};

/** What the plan does at each place. The same seed strikes at the same passages of a place, whatever other rules there are. */
export function makeFailpoints(plan: FailpointPlan, log: Pick<Log, "warn">, effects: FailpointEffects = realEffects): Failpoints {
  const passages = new Map<Failpoint, number>();
  const slept = new Set<FailpointRule>();
  /** Milliseconds to sleep; throws, or ends the process, when a rule wants that. */
  const strike = (place: Failpoint): number => {
    const passage = (passages.get(place) ?? 0) + 1;
    passages.set(place, passage);
    let ms = 0;
    for (const rule of plan.rules) {
      if (rule.place !== place || !strikes(rule, plan.seed, passage)) continue;
      const { action } = rule;
      // A sleep may come with every write: the first one is told.
      if (action.do !== "sleep" || !slept.has(rule)) log.warn("failpoint", { place, rule: rule.text, passage });
      if (action.do === "kill") effects.kill();
      if (action.do === "error") throw Object.assign(new Error(`${action.code}: failpoint ${place}`), { code: action.code });
      if (action.do === "sleep") {
        slept.add(rule);
        ms += action.ms;
      }
    }
    return ms;
  };
  return {
    at: async (place) => {
      const ms = strike(place);
      if (ms > 0) await effects.sleep(ms);
    },
    now: (place) => {
      const ms = strike(place);
      if (ms > 0) effects.block(ms);
    },
  };
}

function strikes({ place, text, chance, nth }: FailpointRule, seed: number, passage: number): boolean {
  if (nth !== null) return passage === nth;
  if (chance === 1) return true;
  const drawn = createHash("sha256").update(`${seed} ${place} ${text} ${passage}`).digest().readUInt32BE(0);
  return drawn / 2 ** 32 < chance;
}
