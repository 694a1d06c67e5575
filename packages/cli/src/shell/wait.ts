/** Waiting with an end, and with words for what is being waited for. */
import { humanDuration } from "./table.ts";
import { exit, Failure } from "./failure.ts";

export type Probed<A> = { readonly ready: A } | { readonly waiting: string };

export interface Waiting {
  /** What is waited for: "n2 is on duty". */
  readonly what: string;
  readonly withinMs: number;
  readonly everyMs?: number;
  readonly hint?: string;
  readonly say?: (text: string) => void;
}

/** Probes until it is ready. When time is over: exit code 5, saying what was waited for and what was seen last. */
export async function waitFor<A>(w: Waiting, probe: () => Promise<Probed<A>>): Promise<A> {
  const until = performance.now() + w.withinMs;
  for (;;) {
    const seen = await probe();
    if ("ready" in seen) return seen.ready;
    w.say?.(seen.waiting);
    if (performance.now() >= until) {
      throw new Failure(
        exit.notReady,
        `not within ${humanDuration(w.withinMs)}: ${w.what}; last seen: ${seen.waiting}`,
        w.hint ?? "",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, w.everyMs ?? 50));
  }
}
