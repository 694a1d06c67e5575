/** Progress of a restore that the cluster is asked for in another request: the newest restoration that is being staged. */
import type { Api, RestorationsAnswer } from "../context/api.ts";
import { Failure } from "../shell/failure.ts";

const everyMs = 500;

/** Says how far it is, until it is stopped. Whatever cannot be seen is not said: the request itself tells how it ends. */
export function watchRestore(api: Api, say: (text: string) => void): { stop(): Promise<void> } {
  const state = { stopped: false };
  let wake = (): void => undefined;
  const loop = async (): Promise<void> => {
    for (;;) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, everyMs).unref();
      });
      if (state.stopped) return;
      const seen = await look(api);
      if (seen !== null && !state.stopped) say(seen);
    }
  };
  const running = loop();
  return {
    stop: async () => {
      state.stopped = true;
      wake();
      await running;
    },
  };
}

async function look(api: Api): Promise<string | null> {
  try {
    const { restorations } = await api.call<RestorationsAnswer>("GET", "/v1/restorations?consistency=stale", { timeoutMs: 2_000 });
    const open = restorations.find(({ state }) => state === "staging");
    return open === undefined ? null : `staged ${open.staged} of ${open.parts} parts, ${open.things} things`;
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}
