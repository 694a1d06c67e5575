/** Waiting for a member that was away. */
import type { BenchCluster } from "./load.ts";

const pollMs = 50;

/** Whether the member has applied, within `ms` milliseconds, what the others have, but for `lag` entries: writes go on meanwhile. */
export async function catchesUp(cluster: BenchCluster, place: number, lag: number, ms: number): Promise<boolean> {
  for (const until = performance.now() + ms; performance.now() < until;) {
    const all = await Promise.all(cluster.members.map((_, at) => cluster.facts(at)));
    const own = all[place]?.applied ?? 0;
    if (own > 0 && own >= Math.max(...all.map((facts) => facts?.applied ?? 0)) - lag) return true;
    await new Promise((resume) => setTimeout(resume, pollMs));
  }
  return false;
}

const lagMax = 200;
const withinMs = 60_000;

/** The same where nothing can be measured otherwise. */
export async function untilCaughtUp(cluster: BenchCluster, place: number): Promise<void> {
  if (await catchesUp(cluster, place, lagMax, withinMs)) return;
  throw new Error(`${cluster.members[place]?.name} did not catch up within ${withinMs} ms`);
}
