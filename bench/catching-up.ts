/** Waiting for a member that was away. */
import type { BenchCluster } from "./load.ts";

const pollMs = 50;

/** Resolves when the member has applied what the others have, but for `lagMax` entries: writes go on meanwhile. */
export async function untilCaughtUp(cluster: BenchCluster, place: number, lagMax = 200, withinMs = 60_000): Promise<void> {
  for (const until = performance.now() + withinMs; performance.now() < until;) {
    const all = await Promise.all(cluster.members.map((_, at) => cluster.facts(at)));
    const own = all[place]?.applied ?? 0;
    if (own > 0 && own >= Math.max(...all.map((facts) => facts?.applied ?? 0)) - lagMax) return;
    await new Promise((resume) => setTimeout(resume, pollMs));
  }
  throw new Error(`${cluster.members[place]?.name} did not catch up within ${withinMs} ms`);
}
