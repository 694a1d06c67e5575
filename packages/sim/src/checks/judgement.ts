/** What is judged when a life is over: operations as clients and restores have them, closed by what the log knows. */
import type { RequestedOperation } from "../load/client.ts";
import type { RestoreCall } from "../load/restorer.ts";
import type { History } from "./history.ts";
import type { Judgement, Operation } from "./linearizability.ts";

/**
 * The log knows what became of an operation whose client never heard: it never was (null), or it took effect before the first
 * member applied it.
 */
export function closed(history: History, operation: RequestedOperation): RequestedOperation | null {
  if (operation.result.told !== "unknown") return operation;
  const index = history.effects.get(operation.request);
  if (index === undefined) return null;
  return { ...operation, answeredAt: history.committed.get(index)?.appliedAt ?? Infinity };
}

/** A restore that was applied is a write of each setting that it brings back, and a removal of each that it takes away. */
export function operationsOf(history: History, { id, calledAt, answeredAt }: RestoreCall): Operation[] {
  const applied = history.restores.applied.get(id);
  if (applied === undefined) return [];
  const appliedAt = history.committed.get(applied.index)?.appliedAt ?? Infinity;
  const when = { calledAt, answeredAt: Math.min(answeredAt, appliedAt) };
  // only of clients' settings it is known what else became of them
  const theirs = applied.settings.filter((setting) => /^k\d+$/.test(setting.id));
  return theirs.map(({ id: key, version, value }): Operation => {
    const result = { told: "done", version } as const;
    return version === 0
      ? { key, call: { op: "remove" }, result, ...when }
      : { key, call: { op: "write", value: value as number }, result, ...when };
  });
}

export function describe(judgement: Exclude<Judgement, { v: "linearizable" }>): string {
  if (judgement.v === "unknown") return `${judgement.key}: given up after ${judgement.tried} configurations`;
  const stuck = judgement.stuck.map(({ call, result }) => `${JSON.stringify(call)} → ${JSON.stringify(result)}`);
  return `${judgement.key}: after ${judgement.placed} operations none of these can follow: ${stuck.join(" | ")}`;
}
