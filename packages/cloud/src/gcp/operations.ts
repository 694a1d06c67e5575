/**
 * Waits for the vendor's operations. That a change was accepted (HTTP 200) says nothing: whether it could be done stands in its
 * operation. The vendor's own `wait` holds an answer for two minutes, longer than a request may take here, so it is asked again.
 */
import { millis } from "effect/Duration";
import type { Clock } from "../http/clock.ts";
import { pollUntil } from "../polling.ts";
import type { ComputeApi } from "./compute-api.ts";
import { classifyOperation } from "./errors.ts";
import { failedAs, fault } from "./failure.ts";
import type { Operation } from "./shapes.ts";

export interface OperationWaiter {
  /** Resolves when it has succeeded. Throws what its failure means, or a Deadline. */
  readonly done: (op: string, zone: string, operation: Operation, signal: AbortSignal) => Promise<Operation>;
}

export function makeOperationWaiter(
  api: Pick<ComputeApi, "operation">,
  clock: Clock,
  times: { readonly pollMs: number; readonly operationMs: number },
): OperationWaiter {
  return {
    done: async (op, zone, operation, signal) => {
      let isFirst = true;
      const timing = { everyMs: times.pollMs, withinMs: times.operationMs };
      const ended = await pollUntil(clock, timing, signal, async () => {
        const now = isFirst ? operation : await api.operation(zone, operation.name, signal).catch(asForgotten(op));
        isFirst = false;
        return now.status === "DONE" ? now : null;
      });
      if (ended === null) {
        const message = `operation ${operation.name} is not over after ${times.operationMs} ms`;
        throw fault({ _tag: "Deadline", waitedFor: millis(times.operationMs), op, requestId: operation.name, message });
      }
      const errors = ended.error?.errors ?? [];
      if (ended.error !== undefined) throw fault({ ...classifyOperation(errors, operation.name), op });
      return ended;
    },
  };
}

/** Old operations are forgotten: nobody knows how it ended, so whoever waits looks at the thing itself. */
const asForgotten =
  (op: string) =>
  (failure: unknown): never => {
    if (!failedAs(failure, "NotFound")) throw failure;
    throw fault({ _tag: "Transient", maybeApplied: true, op, message: failure.error.message });
  };
