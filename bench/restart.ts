/**
 * SIGKILL of a follower with many events behind it, and its way back: until its log says that its consensus runs, so that it
 * could vote, and until a linearizable read through it is answered, which takes the leader's word as well.
 */
import { untilCaughtUp } from "./catching-up.ts";
import type { BenchCluster } from "./load.ts";
import type { RestartData } from "./results.ts";
import { pause, say, type Stage } from "./stage.ts";

const pollMs = 5;
const servesMaxMs = 120_000;
/** Between kill and start: the ports are free and the others have noticed. */
const awayMs = 1_000;
const restMs = 1_000;

export async function measureRestart(stage: Stage): Promise<RestartData> {
  const { restarts, events, rows } = stage.options;
  const clusters = await stage.clusters("deep");
  const sides = clusters.map(({ name }) => ({ name, consensusMs: [] as number[], servesMs: [] as number[] }));
  for (let round = 1; round <= restarts; round++) {
    for (const [at, { name, cluster }] of clusters.entries()) {
      const { consensusMs, servesMs } = await restart(cluster);
      sides[at]?.consensusMs.push(consensusMs);
      sides[at]?.servesMs.push(servesMs);
      say(
        `restart ${round} of ${restarts}, ${name}: could vote after ${Math.round(consensusMs)} ms, served after ${servesMs} ms`,
      );
    }
  }
  return { events, rows, sides };
}

async function restart(cluster: BenchCluster): Promise<{ consensusMs: number; servesMs: number }> {
  const leader = await cluster.leader();
  const place = (leader + 1) % cluster.members.length;
  await cluster.signal(place, "SIGKILL");
  await pause(awayMs);
  const began = Date.now();
  cluster.start(place);
  while (!(await cluster.serves(place))) {
    if (Date.now() - began > servesMaxMs) throw new Error(`no read through the member was answered for ${servesMaxMs} ms`);
    await pause(pollMs);
  }
  const servesMs = Date.now() - began;
  const since = cluster.consensusSince(place);
  if (since === null) throw new Error("the member's log does not say that its consensus runs");
  await untilCaughtUp(cluster, place);
  await pause(restMs);
  return { consensusMs: since - began, servesMs };
}
