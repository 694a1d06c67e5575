/** A steady stream of settings writes against a cluster, and what was acknowledged of it. */
import type { TestClient } from "./test-client.ts";

export interface WriteLoad {
  /** Values acknowledged, by key; each key is written with growing numbers by one writer. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** Answers other than 200, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** Longest time without any acknowledgement so far, ms. */
  readonly longestGapMs: number;
  stop(): Promise<void>;
}

const gone = "unreachable";

/** `writers` clients at a time, each with its own key `<prefix>/<n>`, each write with a request id of its own. */
export function startWriteLoad(client: TestClient, prefix: string, writers: number): WriteLoad {
  const acknowledged = new Map<string, number>();
  const refused = new Map<string, number>();
  const state = { running: true };
  let last = performance.now();
  let longest = 0;
  const write = async (writer: number): Promise<void> => {
    const key = `${prefix}/${writer}`;
    for (let value = 1; state.running; value++) {
      const headers = { "idempotency-key": `${prefix}-${writer}-${value}` };
      for (let settled = false; !settled && state.running;) {
        const answer = await client.any("PUT", `/v1/settings/${encodeURIComponent(key)}`, { value }, headers).catch(() => null);
        settled = answer?.status === 200;
        if (settled) {
          acknowledged.set(key, value);
          longest = Math.max(longest, performance.now() - last);
          last = performance.now();
        } else {
          const reason = answer === null ? gone : String((answer.body as { reason?: string }).reason);
          refused.set(reason, (refused.get(reason) ?? 0) + 1);
          await new Promise((resume) => setTimeout(resume, 20));
        }
      }
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, n) => write(n)));
  return {
    acknowledged,
    refused,
    get longestGapMs() {
      return Math.max(longest, performance.now() - last);
    },
    stop: async () => {
      state.running = false;
      await all;
    },
  };
}
