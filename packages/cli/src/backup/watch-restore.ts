/** Progress of a restore that the cluster was asked for in another request: its row says how far it is, the feed which row. */
import type { Api, RestorationAnswer } from "../context/api.ts";
import { connectContext } from "../context/connection.ts";
import type { Context } from "../context/contexts.ts";
import { Failure } from "../shell/failure.ts";

const everyMs = 300;

/**
 * Says how far the first restore is that begins after entry `after`, until it is stopped. Over a connection of its own. Whatever cannot
 * be seen is not said: the request itself tells how it ends.
 */
export async function watchRestore(context: Context, after: number, say: (text: string) => void): Promise<{ stop(): void }> {
  const connection = await connectContext(context);
  const state = { stopped: false };
  const watch = async (): Promise<void> => {
    const id = await begunAfter(connection.api, after);
    while (id !== null && !state.stopped) {
      const row = await connection.api.call<RestorationAnswer>("GET", `/v1/restorations/${id}`, { timeoutMs: 2_000 });
      if (row["state"] !== "staging") return;
      if (!state.stopped) say(`staged ${lengthOf(row["staged"])} of ${String(row["parts"])} parts`);
      await new Promise((resolve) => setTimeout(resolve, everyMs).unref());
    }
  };
  watch().catch((error: unknown) => {
    if (!(error instanceof Failure)) throw error;
  });
  return {
    stop: () => {
      state.stopped = true;
      connection.close();
    },
  };
}

/** The id of the restore; null when the feed ended without one. */
async function begunAfter(api: Api, after: number): Promise<string | null> {
  let id: string | null = null;
  const path = (from: number): string => `/v1/events?from=${from}&follow=true`;
  await api.lines({
    path,
    from: after + 1,
    onLine: ({ events }) => {
      id = events.find(({ type }) => type === "RestoreBegun")?.id ?? null;
      return id === null;
    },
  });
  return id;
}

const lengthOf = (value: unknown): number => (Array.isArray(value) ? value.length : 0);
