/**
 * Fails when a decision that the speed stands on has been lost: group commit, coalescing, encoding once, a heap that does not
 * grow, and two members that do not wait for the third. On one cluster of our own; no etcd.
 */
import { basename } from "node:path";
import { freePort } from "@aether/node/testing/cluster-harness";
import { untilCaughtUp } from "./catching-up.ts";
import { fill } from "./fill.ts";
import { inspect, type Inspector } from "./inspector.ts";
import type { BenchCluster } from "./load.ts";
import { costsOf } from "./process-costs.ts";
import type { Guard, GuardsData } from "./results.ts";
import { pause, say, smallKeys, type Stage } from "./stage.ts";
import { lowest, median, sum } from "./statistics.ts";

/** raft.md, section 6.3 of the reference, except where the comment says otherwise. */
const limits = {
  /** Of the log. The flush of the rows syncs by the clock, ten times a second; on a slow machine that is many per 1,000 commits. */
  syncsPer1000: 20,
  flushesPerSecond: 10,
  syncsPerMessage: 0.5,
  encodingsPerEntry: 1.2,
  /** "Heap growth 0": of the floor, from the first third of the load to the last, as a share. About 7 bytes a commit in 3 minutes. */
  heapGrowthShare: 0.1,
  slowdown: 1.1,
};
const loadInFlight = 256;
const pausedInFlight = 64;
const heapInFlight = 64;
/** So many answers are remembered, and so many log blocks kept, before a heap is as large as it will be. */
const heapWarmEvents = 250_000;
const heapSampleMs = 4_000;
const heapLoadEvents = 20_000;

interface Watched {
  readonly stage: Stage;
  readonly cluster: BenchCluster;
  readonly inspectors: readonly Inspector[];
}

export async function measureGuards(stage: Stage): Promise<GuardsData> {
  const ports = [await freePort(), await freePort(), await freePort()];
  const program = stage.options.builds[0]?.program ?? "";
  const cluster = await stage.aether(program, (place) => [`--inspect=127.0.0.1:${ports[place]}`]);
  const inspectors: Inspector[] = [];
  try {
    for (const port of ports) inspectors.push(await inspect(port, basename(program)));
    await fill({ name: "aether", cluster }, { events: smallKeys, keys: smallKeys });
    const watched = { stage, cluster, inspectors };
    const guards = [
      await groupCommit(watched),
      await independence(watched),
      ...(await coalescingAndEncoding(watched)),
      // Half a minute says nothing of a heap that fills for as long.
      ...(stage.options.quick ? [] : await heaps(watched)),
    ];
    return { guards };
  } finally {
    for (const inspector of inspectors) inspector.close();
    await stage.end(cluster);
  }
}

function verdict(name: string, rule: string, measured: string, holds: boolean): Guard {
  say(`${holds ? "holds" : "LOST "}  ${name}: ${measured} (${rule})`);
  return { name, rule, measured, holds };
}

const perMember = (values: readonly number[], digits: number): string => values.map((value) => value.toFixed(digits)).join(" / ");

async function groupCommit({ stage, cluster }: Watched): Promise<Guard> {
  const rounds: { syncs: number[]; flushes: number }[] = [];
  for (let round = 0; round < stage.options.rounds; round++) {
    const total = stage.options.quick ? 5_000 : 20_000;
    const { result, costs } = await costsOf(cluster.pids, () => cluster.load({ inFlight: loadInFlight, total }));
    const syncs = costs.syncs.map((each) => ((each ?? Number.NaN) * 1_000) / result.count);
    rounds.push({ syncs, flushes: (limits.flushesPerSecond * 1_000) / result.perSecond });
  }
  const syncs = cluster.pids.map((_, at) => median(rounds.map((round) => round.syncs[at] ?? Number.NaN)));
  const flushes = median(rounds.map((round) => round.flushes));
  const most = limits.syncsPer1000 + flushes;
  const rule = `at most ${limits.syncsPer1000} syncs per 1,000 commits on each member at ${loadInFlight} in flight, besides the flush every 100 ms`;
  const measured = `${perMember(syncs, 1)}, of which the flush may have ${flushes.toFixed(1)}`;
  if (syncs.some(Number.isNaN)) return verdict("group commit", rule, "perf could not count syncs", false);
  return verdict(
    "group commit",
    rule,
    measured,
    syncs.every((each) => each <= most),
  );
}

/** The latency of the two that go on, with the third running and stopped in turn. */
async function independence({ stage, cluster }: Watched): Promise<Guard> {
  const third = ((await cluster.leader()) + 1) % cluster.members.length;
  const p50 = { running: [] as number[], stopped: [] as number[] };
  const total = stage.options.quick ? 3_000 : 10_000;
  for (let round = 0; round < stage.options.rounds; round++) {
    p50.running.push((await cluster.load({ inFlight: pausedInFlight, total })).p50);
    await cluster.signal(third, "SIGSTOP");
    try {
      p50.stopped.push((await cluster.load({ inFlight: pausedInFlight, total })).p50);
    } finally {
      await cluster.signal(third, "SIGCONT");
    }
    await untilCaughtUp(cluster, third);
  }
  const [running, stopped] = [median(p50.running), median(p50.stopped)];
  const ratio = stopped / running;
  const rule = `p50 at ${pausedInFlight} in flight less than 10 % worse while a follower is stopped`;
  const measured = `${stopped.toFixed(2)} ms against ${running.toFixed(2)} ms, ratio ${ratio.toFixed(2)}`;
  return verdict("independence", rule, measured, ratio < limits.slowdown);
}

/** Names of functions in the daemon's bundle: one call per message that arrived, per entry that was made into bytes. */
const counted = { message: "readMessage", encoding: "encodeEntry" } as const;
/** A follower is held so long, and then let go for so long, again and again. */
const heldMs = 150;
const releasedMs = 50;

/**
 * In step with its leader a follower gets one message a sync, because the leader packs what it has into one. So one is held again
 * and again, and what has come meanwhile must not be synced message by message.
 */
async function coalescingAndEncoding({ stage, cluster, inspectors }: Watched): Promise<Guard[]> {
  const place = ((await cluster.leader()) + 1) % cluster.members.length;
  await Promise.all(inspectors.map((inspector) => inspector.countCalls()));
  const total = stage.options.quick ? 10_000 : 30_000;
  const { result, costs } = await costsOf(cluster.pids, async () => {
    const hiccups = startHiccups(cluster, place);
    try {
      return await cluster.load({ inFlight: loadInFlight, total });
    } finally {
      await hiccups.stop();
    }
  });
  await untilCaughtUp(cluster, place);
  const calls = await Promise.all(inspectors.map((inspector) => inspector.calls(Object.values(counted))));
  await Promise.all(inspectors.map((inspector) => inspector.stopCounting()));
  const messages = calls[place]?.[counted.message] ?? 0;
  const syncs = costs.syncs[place] ?? Number.NaN;
  // Nobody but the leader makes bytes of entries, whoever it is by now.
  const encodings = sum(calls.map(({ [counted.encoding]: each }) => each)) / result.count;
  const blind = (name: string): string => `no call of ${name} was seen: has it another name now? (guards.ts)`;
  return [
    verdict(
      "coalescing",
      "a follower that is held now and then syncs at most once for two messages it received",
      messages === 0 ? blind(counted.message) : `${syncs} syncs for ${messages} messages: ${(syncs / messages).toFixed(2)}`,
      messages > 0 && syncs / messages <= limits.syncsPerMessage,
    ),
    verdict(
      "encode once",
      `the leader makes each entry into bytes at most ${limits.encodingsPerEntry} times`,
      encodings === 0 ? blind(counted.encoding) : `${encodings.toFixed(3)} times`,
      encodings > 0 && encodings <= limits.encodingsPerEntry,
    ),
  ];
}

function startHiccups(cluster: BenchCluster, place: number): { stop(): Promise<void> } {
  let running = true;
  const loop = async (): Promise<void> => {
    while (running) {
      await cluster.signal(place, "SIGSTOP");
      await pause(heldMs);
      await cluster.signal(place, "SIGCONT");
      await pause(releasedMs);
    }
  };
  const ended = loop();
  return {
    stop: () => {
      running = false;
      return ended;
    },
  };
}

/**
 * A closed load at the same pace all the time; heaps are looked at after a full collection. They rise and fall as the log grows
 * and is cut, so what must not grow is the floor.
 */
async function heaps({ stage, cluster, inspectors }: Watched): Promise<Guard[]> {
  const { minutes } = stage.options;
  await fill({ name: "to a full heap", cluster }, { events: heapWarmEvents, keys: smallKeys });
  let running = true;
  let commits = 0;
  const load = (async () => {
    for (; running; commits += heapLoadEvents) await cluster.load({ inFlight: heapInFlight, total: heapLoadEvents, warm: 0 });
  })();
  // Looked at below; until then it must not count as unhandled.
  load.catch(() => undefined);
  const samples = inspectors.map(() => [] as number[]);
  const began = performance.now();
  for (let minute = 0; minute < minutes; minute = (performance.now() - began) / 60_000) {
    await pause(heapSampleMs);
    const bytes = await Promise.all(inspectors.map((inspector) => inspector.heapBytes()));
    bytes.forEach((each, member) => samples[member]?.push(each));
    const list = perMember(
      bytes.map((each) => each / 2 ** 20),
      1,
    );
    say(`heaps after ${((performance.now() - began) / 60_000).toFixed(1)} minutes: ${list} MiB`);
  }
  running = false;
  await load;
  return samples.map((bytes, member) => {
    const { before, after, growth } = floors(bytes);
    const rule = `the floor of a heap grows by less than ${limits.heapGrowthShare * 100} % under constant load`;
    const [from, to] = [before, after].map((each) => (each / 2 ** 20).toFixed(1));
    const measured = `from ${from} to ${to} MiB in ${commits.toLocaleString("en")} commits`;
    return verdict(`heap of ${cluster.members[member]?.name}`, rule, measured, growth < limits.heapGrowthShare);
  });
}

/** The lowest of the first third and of the last; `growth` as a share of the former. NaN of fewer than three samples. */
export function floors(samples: readonly number[]): { before: number; after: number; growth: number } {
  const third = Math.floor(samples.length / 3);
  const before = lowest(samples.slice(0, third));
  const after = lowest(samples.slice(samples.length - third));
  return { before, after, growth: after / before - 1 };
}
