/**
 * Waits for the vendor's actions. All that are waited for at a time are asked for in one call, because calls are counted: ten
 * nodes that stop together cost as much as one.
 */
import { millis } from "effect/Duration";
import type { Clock } from "../http/clock.ts";
import type { HetznerApi } from "./api.ts";
import { classifyAction } from "./errors.ts";
import { fault } from "./failure.ts";
import type { Action } from "./shapes.ts";

export interface ActionWaiter {
  /** Resolves when the action has succeeded. Throws what its failure means, or a Deadline. */
  readonly done: (op: string, action: Action, signal: AbortSignal) => Promise<void>;
}

interface Waiting {
  readonly op: string;
  readonly until: number;
  readonly end: (failure: unknown) => void;
}

const perCall = 50;

export function makeActionWaiter(api: HetznerApi, clock: Clock, pollMs: number, withinMs: number): ActionWaiter {
  const waiting = new Map<number, Waiting>();
  const alone = new AbortController().signal;
  let isPolling = false;

  const settle = (action: Action): void => {
    if (action.status === "running") return;
    const one = waiting.get(action.id);
    one?.end(action.status === "success" ? null : fault({ ...classifyAction(action.error), op: one.op }));
  };
  const expire = (): void => {
    for (const [id, { op, until, end }] of waiting) {
      if (clock.now() < until) continue;
      const message = `action ${id} is not over after ${withinMs} ms`;
      end(fault({ _tag: "Deadline", waitedFor: millis(withinMs), op, message }));
    }
  };
  const poll = async (): Promise<void> => {
    isPolling = true;
    while (waiting.size > 0) {
      await clock.sleep(pollMs, alone);
      const ids = [...waiting.keys()].slice(0, perCall);
      if (ids.length === 0) break;
      try {
        (await api.actions(ids, alone)).forEach(settle);
      } catch (failure) {
        // They are no longer known to go on, nor to have failed; whoever waits looks at the thing itself.
        for (const id of ids) waiting.get(id)?.end(failure);
      }
      // Those asked go to the end of the line, so that more than one call's worth all get their turn.
      for (const id of ids) requeue(waiting, id);
      expire();
    }
    isPolling = false;
  };
  return {
    done: (op, action, signal) =>
      new Promise((resolve, reject) => {
        const leave = (): void => waiting.get(action.id)?.end(signal.reason);
        const end = (failure: unknown): void => {
          waiting.delete(action.id);
          signal.removeEventListener("abort", leave);
          if (failure === null) resolve();
          else reject(failure);
        };
        waiting.set(action.id, { op, until: clock.now() + withinMs, end });
        signal.addEventListener("abort", leave, { once: true });
        if (signal.aborted) return leave();
        settle(action);
        if (!isPolling && waiting.size > 0) void poll();
      }),
  };
}

function requeue(waiting: Map<number, Waiting>, id: number): void {
  const one = waiting.get(id);
  if (one === undefined) return;
  waiting.delete(id);
  waiting.set(id, one);
}
