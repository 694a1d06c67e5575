/**
 * How much the raft driver carries: `node bench/raft-driver.ts [seconds per row]`. Three members in this one process, each
 * with a real log on this disk, messages passed in memory; entries of 256 bytes from a closed loop of K proposals.
 * All three share one thread, so this is a third of what three processes on cores of their own would have each.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { emptyMembership } from "../packages/raft/src/core/confchange.ts";
import { defaultDriverOptions } from "../packages/raft/src/driver/default-options.ts";
import { type Driver, startDriver } from "../packages/raft/src/driver/driver.ts";
import { makeInProcessNetwork } from "../packages/raft/src/driver/in-process.ts";
import { systemClock } from "../packages/raft/src/driver/system-clock.ts";
import type { Entry, LogStorage, Role, StateMachine } from "../packages/raft/src/types.ts";
import { formatLog, openLog } from "../packages/store/src/log/open.ts";
import { openSnapshots } from "../packages/store/src/snapshots.ts";

const seconds = Number(process.argv[2] ?? 3);
const ids = [1, 2, 3];
const clusterId = "00112233445566778899aabbccddeeff";
const data = Buffer.alloc(256, "some settings and what became of them; ");

interface Member {
  readonly node: Driver;
  readonly log: LogStorage;
  readonly machine: { role: Role; onApplied: ((entries: readonly Entry[]) => void) | null };
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;

async function member(id: number, dir: string, network: ReturnType<typeof makeInProcessNetwork>): Promise<Member> {
  await formatLog(dir, { clusterId, nodeId: id }, ids);
  const { verdict, storage } = await openLog(dir, { clusterId, nodeId: id });
  if (storage === undefined || verdict.v !== "clean") throw new Error(`a log just formatted opens as ${verdict.v}`);
  const snapshots = await openSnapshots(join(dir, "snap"));
  const machine = {
    role: { state: "follower", term: 0, leader: 0 } as Role,
    onApplied: null as ((entries: readonly Entry[]) => void) | null,
  };
  const stateMachine: StateMachine = {
    applied: 0,
    apply: (entries) => machine.onApplied?.(entries),
    restore: () => Promise.reject(new Error("nothing is compacted here")),
    snapshot: () => Promise.reject(new Error("nothing is compacted here")),
    onRole: (role) => (machine.role = role),
    onDropped: () => undefined,
  };
  const node = startDriver({
    id,
    boot: { ...verdict.boot, applied: 0, membership: emptyMembership },
    log: storage,
    snapshots,
    transport: network.join(id, snapshots),
    stateMachine,
    clock: systemClock,
    rng: Math.random,
    addressOf: String,
    options: {
      ...defaultDriverOptions,
      onFatal: (e) => {
        console.error(e);
        process.exit(1);
      },
    },
  });
  return { node, log: storage, machine };
}

async function row(members: readonly Member[], leader: Member, inFlight: number): Promise<void> {
  const began = new Map<number, number>();
  const took: number[] = [];
  let running = true;
  const next = (): void => {
    const outcome = leader.node.propose([data]);
    if (!outcome.ok) throw new Error(`refused: ${outcome.why}`);
    began.set(outcome.last, performance.now());
  };
  leader.machine.onApplied = (entries) => {
    const now = performance.now();
    for (const { index } of entries) {
      const from = began.get(index);
      if (from === undefined) continue;
      began.delete(index);
      took.push(now - from);
      if (running) next();
    }
  };
  const before = members.map(({ log }) => log.stats().syncs);
  const start = performance.now();
  for (let n = 0; n < inFlight; n += 1) next();
  await new Promise((done) => setTimeout(done, seconds * 1000));
  running = false;
  const elapsed = (performance.now() - start) / 1000;
  const count = took.length;
  while (began.size > 0) await new Promise((done) => setTimeout(done, 10));
  const syncs = members.map(({ log }, at) => ((log.stats().syncs - (before[at] ?? 0)) * 1000) / count);
  const sorted = took.toSorted((a, b) => a - b);
  console.log(
    `K ${String(inFlight).padStart(4)}: ${Math.round(count / elapsed)
      .toLocaleString("en")
      .padStart(8)} commits/s, ` +
      `p50 ${quantile(sorted, 0.5).toFixed(2)} ms, p99 ${quantile(sorted, 0.99).toFixed(2)} ms, ` +
      `syncs per 1,000 commits ${syncs.map((each) => each.toFixed(1)).join(" / ")}`,
  );
}

const dir = await mkdtemp(join(tmpdir(), "aether-bench-raft-"));
try {
  const network = makeInProcessNetwork({ clock: systemClock, rng: Math.random });
  const members: Member[] = [];
  for (const id of ids) members.push(await member(id, join(dir, String(id)), network));
  while (!members.some(({ machine }) => machine.role.state === "leader")) await new Promise((done) => setTimeout(done, 20));
  await new Promise((done) => setTimeout(done, 200));
  for (const inFlight of [1, 16, 64, 256, 1000]) {
    const leader = members.find(({ machine }) => machine.role.state === "leader");
    if (leader === undefined) throw new Error("the leader was lost");
    await row(members, leader, inFlight);
  }
  for (const { node, log } of members) {
    await node.stop();
    await log.close();
  }
} finally {
  await rm(dir, { recursive: true, force: true });
}
