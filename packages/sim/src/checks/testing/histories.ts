/** Histories made to order: right ones from a known order, and wrong ones in which one answer cannot have been given. */
import type { Stream } from "../../world/stream.ts";
import { absent, type KeyCall, type KeyResult, type KeyState, stepKey } from "../key-model.ts";
import type { Operation } from "../linearizability.ts";

/** What one key's true behaviour answers. */
export function answerOf(state: KeyState, call: KeyCall): KeyResult {
  if (call.op === "read") return { told: "saw", state };
  const after = stepKey(state, call, { told: "unknown" });
  if (after !== null) return { told: "done", version: after.version };
  return call.op === "remove" ? { told: "missing" } : { told: "stale" };
}

export function drawCall(chance: Stream, value: number, version: number): KeyCall {
  const kind = chance.below(10);
  if (kind < 4) return { op: "read" };
  if (kind < 5) return { op: "remove" };
  if (kind < 7) return { op: "swap", value, ifVersion: chance.chance(0.7) ? version : chance.below(4) };
  return { op: "write", value };
}

/** `count` operations of several clients that do take effect one after the other; some are never heard of again. */
export function rightHistory(chance: Stream, count: number, key = "k"): Operation[] {
  const operations: Operation[] = [];
  let state = absent;
  let effectAt = 0;
  for (let i = 1; i <= count; i++) {
    effectAt += chance.next();
    const call = drawCall(chance, i, state.version);
    const result = answerOf(state, call);
    const calledAt = effectAt - chance.around(1);
    const lost = chance.chance(0.1) && call.op !== "read";
    const happens = !lost || chance.chance(0.5);
    if (happens) state = stepKey(state, call, result) ?? state;
    if (lost) operations.push({ key, call, result: { told: "unknown" }, calledAt, answeredAt: Infinity });
    else operations.push({ key, call, result, calledAt, answeredAt: effectAt + chance.around(1) });
  }
  return operations;
}

type Step = readonly [call: KeyCall, result: KeyResult];
const done = (version: number): KeyResult => ({ told: "done", version });
const saw = (version: number, value: number): KeyResult => ({ told: "saw", state: { version, value } });
const read: KeyCall = { op: "read" };

/** Of each kind of wrong behaviour, what clients hear one after the other once the key is at `v` with value `x`. */
const wrongEndings: Readonly<Record<string, (v: number, x: number) => readonly Step[]>> = {
  "a stale read": (v, x) => [
    [{ op: "write", value: 900 }, done(v + 1)],
    [read, saw(v, x)],
  ],
  "a lost write": (v, x) => [
    [{ op: "write", value: 900 }, done(v + 1)],
    [{ op: "write", value: 901 }, done(v + 1)],
    [read, saw(v + 1, x)],
  ],
  "a write applied twice": (v) => [
    [{ op: "write", value: 900 }, done(v + 1)],
    [read, saw(v + 2, 900)],
  ],
  "two leaders": (v) => [
    [{ op: "write", value: 900 }, done(v + 1)],
    [{ op: "write", value: 901 }, done(v + 1)],
  ],
  "a value from nowhere": (v) => [[read, saw(v, 999)]],
  "a swap against the wrong version": (v) => [[{ op: "swap", value: 900, ifVersion: v + 3 }, done(v + 1)]],
  "a swap refused for no reason": (v) => [[{ op: "swap", value: 900, ifVersion: v }, { told: "stale" }]],
  "a removal that did not happen": (v, x) => [
    [{ op: "remove" }, done(0)],
    [read, saw(v, x)],
  ],
  "a removal refused for no reason": () => [[{ op: "remove" }, { told: "missing" }]],
  "a read that goes back in time": (v, x) => [
    [{ op: "write", value: 900 }, { told: "unknown" }],
    [read, saw(v + 1, 900)],
    [read, saw(v, x)],
  ],
};

export const wrongKinds = Object.keys(wrongEndings);

/** A right beginning of `before` writes and reads, and then what cannot be. */
export function wrongHistory(kind: string, before: number): Operation[] {
  const steps: Step[] = [];
  for (let v = 1; v <= before; v++) steps.push([{ op: "write", value: v }, done(v)], [read, saw(v, v)]);
  steps.push(...(wrongEndings[kind] as (typeof wrongEndings)[string])(before, before));
  return steps.map(([call, result], at) => {
    const answeredAt = result.told === "unknown" ? Infinity : 2 * at + 1;
    return { key: "k", call, result, calledAt: 2 * at, answeredAt };
  });
}

/** The same question answered by trying every order: for histories of a handful. */
export function bruteForce(operations: readonly Operation[], state: KeyState = absent): boolean {
  if (operations.every(({ answeredAt }) => answeredAt === Infinity)) return true;
  return operations.some((operation, at) => {
    const others = operations.filter((_, other) => other !== at);
    if (others.some(({ answeredAt }) => answeredAt < operation.calledAt)) return false;
    const after = stepKey(state, operation.call, operation.result);
    return after !== null && bruteForce(others, after);
  });
}
