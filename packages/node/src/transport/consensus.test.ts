import { emptyMembership } from "@aether/raft/core/confchange";
import { defaultDriverOptions, defaultLimits } from "@aether/raft/driver/default-options";
import { startDriver, type Driver } from "@aether/raft/driver/driver";
import { systemClock } from "@aether/raft/driver/system-clock";
import { addition, Counter, emptyCounter, type CounterContent } from "@aether/raft/driver/testing/counter";
import { makeMemorySnapshots, type MemorySnapshots } from "@aether/raft/driver/testing/memory-snapshots";
import { firstMembersLog, makeMemoryLog, type MemoryLog } from "@aether/raft/memory-log";
import type { NodeId } from "@aether/raft/types";
import { afterEach, describe, expect, it } from "vitest";
import { makeLab, until, type LabMember } from "./testing/transport-lab.ts";

const lab = makeLab();
afterEach(lab.tearDown);

/** What survives a member's death. */
interface Disk {
  readonly log: MemoryLog;
  readonly snapshots: MemorySnapshots;
  content: CounterContent;
}
interface Running {
  readonly id: NodeId;
  readonly node: Driver;
  readonly machine: Counter;
  readonly link: LabMember;
  readonly disk: Disk;
  /** Ends it and leaves its disk. */
  kill(): Promise<void>;
}

const ids = [1, 2, 3] as const;
const newDisk = (): Disk => ({
  log: makeMemoryLog(firstMembersLog(ids)),
  snapshots: makeMemorySnapshots(),
  content: emptyCounter,
});

async function run(id: NodeId, disk: Disk, addresses: Map<NodeId, string>, incarnation = 1): Promise<Running> {
  const port = Number(addresses.get(id)?.split(":")[1] ?? 0);
  const link = await lab.start({ id, incarnation, port, snapshots: disk.snapshots });
  addresses.set(id, link.address);
  const machine = new Counter(disk.content);
  const membership = machine.content.applied.index === 0 ? emptyMembership : machine.content.membership;
  const node = startDriver({
    id,
    boot: { ...disk.log.boot(), applied: machine.applied, membership },
    log: disk.log,
    snapshots: disk.snapshots,
    transport: link.transport,
    stateMachine: machine,
    clock: systemClock,
    rng: Math.random,
    addressOf: (other) => addresses.get(other),
    options: {
      ...defaultDriverOptions,
      tickMs: 10,
      // A test machine may be busy with other things for longer than a disk of a member ever should be.
      stallMs: 5_000,
      onFatal: (e) => {
        throw e;
      },
    },
    limits: defaultLimits,
  });
  let dead = false;
  const kill = async (): Promise<void> => {
    if (dead) return;
    dead = true;
    await Promise.all([link.kill(), node.stop()]);
    disk.content = machine.flushed;
  };
  lab.cleanup.push(kill);
  return { id, node, machine, link, disk, kill };
}

const leaderOf = (members: readonly Running[]): Running | undefined => members.find((m) => m.machine.role.state === "leader");
async function elected(members: readonly Running[]): Promise<Running> {
  await until("a leader that all know", () => {
    const leader = leaderOf(members);
    return leader !== undefined && members.every((m) => m.machine.role.leader === leader.id);
  });
  return leaderOf(members)!;
}
/** Proposes at whoever leads until `count` additions named `prefix:n` have been taken. */
async function add(members: readonly Running[], prefix: string, count: number): Promise<void> {
  for (let done = 0; done < count;) {
    const leader = leaderOf(members);
    const batch = Array.from({ length: Math.min(50, count - done) }, (_, i) => addition(`${prefix}:${done + i}`, 64));
    if (leader?.node.propose(batch).ok === true) done += batch.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}:${i}`);

describe("three drivers over real sockets", () => {
  it("elect, commit, go on without a killed leader, and take it back", async () => {
    const addresses = new Map<NodeId, string>();
    const members: Running[] = [];
    for (const id of ids) members.push(await run(id, newDisk(), addresses));
    for (const m of members) m.node.refreshPeers();
    const first = await elected(members);
    await add(members, "a", 1000);
    await until("applied everywhere", () => members.every((m) => m.machine.content.done.length === 1000));
    expect(members.map((m) => m.machine.content.done)).toEqual(ids.map(() => names("a", 1000)));

    await first.kill();
    const left = members.filter((m) => m !== first);
    const second = await elected(left);
    expect(second.node.status().hard.term).toBeGreaterThan(first.node.status().hard.term);
    await add(left, "b", 300);
    await until("applied by both", () => left.every((m) => m.machine.content.done.length === 1300));

    const back = await run(first.id, first.disk, addresses, 2);
    const all = [...left, back];
    await until("caught up", () => back.machine.content.done.length === 1300);
    expect(new Set(all.map((m) => m.machine.content.chain)).size).toBe(1);
    expect(await back.node.readBarrier(5_000)).toBeGreaterThanOrEqual(1300);
  });

  it("bring a member whose log was cut away back by a snapshot", async () => {
    const addresses = new Map<NodeId, string>();
    const members: Running[] = [];
    for (const id of ids) members.push(await run(id, newDisk(), addresses));
    for (const m of members) m.node.refreshPeers();
    const leader = await elected(members);
    const lagging = members.find((m) => m !== leader)!;
    await lagging.kill();
    const left = members.filter((m) => m !== lagging);
    await add(left, "a", 500);
    await until("applied by both", () => left.every((m) => m.machine.content.done.length === 500));
    for (const m of left) {
      await m.node.snapshot();
      await m.node.compact(m.machine.content.applied.index);
    }
    const back = await run(lagging.id, lagging.disk, addresses, 2);
    await until("restored", () => back.machine.content.done.length === 500);
    expect(back.machine.restored).toBe(1);
    await add([...left, back], "b", 10);
    await until("and going on", () => [...left, back].every((m) => m.machine.content.done.length === 510));
  });
});
