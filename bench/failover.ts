/**
 * SIGKILL of the leader until the first new commit is acknowledged. Writes go through every member at a steady pace, each by
 * itself and never repeated, so that no client's patience is in the number: what ends the silence is the cluster.
 */
import type { BenchCluster } from "./load.ts";
import type { FailoverData } from "./results.ts";
import { pause, say, type Stage } from "./stage.ts";
import { silenceAround } from "./statistics.ts";
import { untilCaughtUp } from "./catching-up.ts";

/** 600 writes a second in all. */
const everyMs = 5;
/** Acknowledgements of the dead leader's last moments are still on their way. */
const lastWordsMs = 500;
const recoveryMaxMs = 15_000;
/** Between kills: the cluster is quiet again, and no kill follows another in step with the ticks. */
const restMs = 1_000;
const electionMs = 1_000;

export async function measureFailover(stage: Stage): Promise<FailoverData> {
  const clusters = await stage.clusters("small");
  const sides = clusters.map(({ name }) => ({ name, ms: [] as number[] }));
  for (let kill = 1; kill <= stage.options.kills; kill++) {
    for (const [at, { name, cluster }] of clusters.entries()) {
      const ms = await outage(cluster);
      sides[at]?.ms.push(ms);
      say(`kill ${kill} of ${stage.options.kills}, ${name}: ${Math.round(ms)} ms without a commit`);
    }
  }
  return { electionMs, everyMs, sides };
}

/** Milliseconds from the kill to the first acknowledgement after the silence it made. The member is back when it resolves. */
async function outage(cluster: BenchCluster): Promise<number> {
  const place = await cluster.leader();
  const probe = await cluster.probe(everyMs);
  try {
    await pause(restMs + Math.random() * restMs);
    const killed = Date.now();
    await cluster.signal(place, "SIGKILL");
    const silence = await untilRecovered(probe.samples, killed);
    cluster.start(place);
    await untilCaughtUp(cluster, place);
    return silence - killed;
  } finally {
    await probe.stop();
  }
}

async function untilRecovered(samples: readonly { readonly acknowledged: number }[], killed: number): Promise<number> {
  // What was asked before the kill may be acknowledged by the new leader: that is a new commit as well.
  const recent = (): number[] => samples.map(({ acknowledged }) => acknowledged).filter((at) => at > killed - restMs);
  for (const until = performance.now() + recoveryMaxMs; performance.now() < until;) {
    await pause(50);
    const now = Date.now();
    if (now - killed < 2 * lastWordsMs) continue;
    const silence = silenceAround([...recent(), now], killed, killed + lastWordsMs);
    if (silence !== null && silence.ended < now) return silence.ended;
  }
  throw new Error(`no write was acknowledged for ${recoveryMaxMs} ms after the leader was killed`);
}
