/**
 * Makes refusals visible in the log without letting whoever is refused write it: at most one entry per node in
 * {@link recordMs}, with counts. What cannot be recorded now is counted on.
 */
import { randomUUID } from "node:crypto";
import type { Submission } from "@aether/store/types";
import type { Gateway } from "../server/gateway.ts";
import type { Refusal, RefusalLedger } from "../server/refusals.ts";

export const recordMs = 2_000;
const settleMs = 10_000;

export interface RefusalRecorderOptions {
  readonly node: string;
  readonly ledger: RefusalLedger;
  readonly gateway: Gateway;
  /** Null while there is no cluster row to record it on. */
  readonly clusterName: () => string | null;
  /** The log would not take them at all. */
  readonly onLost: (why: string) => void;
}

/** Starts recording; the function returned ends it, leaving what is still counted. */
export function startRefusalRecorder(o: RefusalRecorderOptions): () => void {
  let busy = false;
  const record = async (submission: Submission, refusals: readonly Refusal[]): Promise<void> => {
    const answer = await o.gateway.settle(submission, settleMs);
    busy = false;
    if (answer.ok) return;
    if (answer.rejection.reason === "invalid") o.onLost(answer.rejection.message);
    else o.ledger.putBack(refusals);
  };
  const timer = setInterval(() => {
    const cluster = o.clusterName();
    if (busy || cluster === null) return;
    const refusals = o.ledger.drain();
    if (refusals.length === 0) return;
    busy = true;
    const submission = {
      command: { type: "RecordRefusals", id: cluster, refusals },
      actor: { name: o.node, role: "member" },
      request: { client: `member:${o.node}`, id: `refusals-${randomUUID()}` },
    } as const;
    void record(submission, refusals);
  }, recordMs);
  return () => clearInterval(timer);
}
