/**
 * A process on a node's disk puts the product's parts together as aetherd does: log, event store, the vouching of others,
 * driver, the rounds of notes, the leader's duties.
 */
import { openFloorsOn } from "@aether/node/member/floors";
import { makeGateway } from "@aether/node/server/gateway";
import { startDriver } from "@aether/raft/driver/driver";
import { defaultDriverOptions, defaultLimits } from "@aether/raft/driver/default-options";
import type { Boot, LogStorage, NodeId, OpenVerdict } from "@aether/raft/types";
import { openEventStoreOn, StateLost } from "@aether/store/events/open";
import { startLog } from "@aether/store/log/start";
import type { EventStore, EventStoreOptions } from "@aether/store/types";
import type { Device } from "../disk/device.ts";
import { leaderLink } from "../net/leader-link.ts";
import type { makeProcessClock } from "../world/process-clock.ts";
import type { Process } from "../world/world.ts";
import type { Cluster } from "./cluster.ts";
import { startDuties } from "./duties.ts";
import { startRounds, vouch } from "./notes.ts";
import { clusterId } from "./names.ts";
import type { SimNode } from "./node.ts";
import { observedLog, observedPorts, observedStore, openWholeSnapshots } from "./observed.ts";

export interface StartParts {
  readonly cluster: Cluster;
  readonly node: SimNode;
  readonly process: Process;
  readonly device: Device;
  readonly clock: ReturnType<typeof makeProcessClock>;
}

/** Rejects when the disk fails. */
export async function startOn(parts: StartParts): Promise<void> {
  const { cluster, node, process, device, clock } = parts;
  const { world, history, plan } = cluster;
  const member = node.member as NodeId;
  const floors = await openFloorsOn(node.disk.floors.on(device), clusterId);
  node.floors = floors;
  const { torn } = node.disk.log.database;
  const identity = { clusterId, nodeId: member };
  const floor = floors.of(member)?.index ?? 0;
  const ports = observedPorts(cluster, node, node.disk.log.ports(device));
  const pace = { everyMs: 100, everyEntries: 16 };
  const { verdict, storage } = await startLog(ports, identity, { clock, torn, cacheBytes: 16 * 1024, pace, floor });
  if (storage === undefined) return node.lost(verdict);
  const { view } = storage;
  history.standsOn(member, view.first() - 1);
  for (let i = view.first(); i <= view.last().index; i++) {
    const [entry] = view.read(i, i + 1, 1) as [never];
    history.holds(member, entry, view.term(i - 1) as number);
  }
  const boot = bootOf(verdict);
  const onFatal = (error: Error): never => {
    cluster.ended(node, process, error);
    // The process is dead: whatever this returns to runs on for nobody.
    return undefined as never;
  };
  const files = node.disk.snapshots.open(device, cluster.stream(`files/${node.name}`));
  const snapshots = await openWholeSnapshots(cluster, node, files);
  const store = await openStore(parts, storage, snapshots, boot, onFatal);
  if ("refused" in store) return cluster.refused(node, store.refused);
  // Every record was checked just now.
  node.stateRotten = false;
  const opened = { member, store, storage, last: boot.last, term: boot.hard.term };
  node.opened = opened;
  const refused = await vouch(cluster, node, process, opened);
  if (refused !== null) return cluster.refused(node, refused);
  cluster.takesPart(node);
  const endpoint = cluster.network.join(member, node.name, process, snapshots);
  const driver = startDriver({
    id: member,
    boot: { ...boot, applied: store.stateMachine.applied, membership: store.membership },
    log: observedLog(cluster, storage, member),
    snapshots,
    transport: endpoint,
    stateMachine: observedStore(cluster, node, store, view, member),
    clock,
    rng: () => cluster.stream(`rng/${node.name}`).next(),
    addressOf: (id) => `sim:${id}`,
    options: { ...defaultDriverOptions, ...raftPace(plan), onFatal },
    limits: { ...defaultLimits, maxMsgBytes: 4096, maxRoundBytes: 16 * 1024, maxInflightMsgs: 16, maxApplyBytes: 16 * 1024 },
    checks: "full",
  });
  store.attach(driver);
  const link = leaderLink(cluster, node, process);
  const random = (): number => cluster.stream(`gateway/${node.name}`).next();
  const gateway = makeGateway({ store, link, now: () => clock.now(), random });
  const running = { ...opened, driver, endpoint, gateway };
  node.running = running;
  world.tell(node.name, `runs as member ${member}, log ${view.first()}..${view.last().index}, applied ${store.applied}`);
  startDuties(parts, running);
  startRounds(cluster, node, process, running, floors);
}

const raftPace = ({ tickMs, electionTicks, heartbeatTicks }: Cluster["plan"]) => ({ tickMs, electionTicks, heartbeatTicks });

type FirstBoot = Omit<Boot, "applied" | "membership">;

function bootOf(verdict: OpenVerdict): FirstBoot {
  if (verdict.v !== "clean" && verdict.v !== "tornTail") throw new Error(`a log was opened with the verdict ${verdict.v}`);
  return verdict.boot;
}

/** As startMember does: rows that reach beyond the log, or not far enough back, are refused. */
async function openStore(
  { cluster, node, device, clock }: StartParts,
  storage: LogStorage,
  snapshots: Parameters<typeof openEventStoreOn>[4],
  { snap, last }: FirstBoot,
  onFatal: (error: Error) => never,
): Promise<EventStore | { readonly refused: string }> {
  const folders = {
    open: () => Promise.resolve(node.disk.state.open(device)),
    setAside: () => Promise.resolve(node.disk.state.setAside()),
  };
  const onRecovered = (why: string): void => cluster.stateRebuilt(node, why);
  const options = { ...storeOptions(cluster, node, clock), onFatal, onRecovered };
  try {
    const store = await openEventStoreOn(folders, options, cluster.rules, storage.view, snapshots, snap);
    const { applied } = store.stateMachine;
    if (applied <= last.index) return store;
    return { refused: `its rows are of entry ${applied}, but its log ends at ${last.index}` };
  } catch (error) {
    if (error instanceof StateLost) return { refused: error.message };
    throw error;
  }
}

function storeOptions(cluster: Cluster, node: SimNode, clock: StartParts["clock"]): Omit<EventStoreOptions, "onFatal"> {
  const { plan } = cluster;
  const chance = cluster.stream(`bits/${node.name}`);
  const word = (): string =>
    chance
      .below(2 ** 32)
      .toString(16)
      .padStart(8, "0");
  return {
    dir: `sim/${node.name}`,
    now: () => clock.wall(),
    drawBits: () => word() + word() + word() + word(),
    flushMs: plan.flushMs,
    flushRows: 50,
    keepEntries: plan.keepEntries,
    snapshotEveryEntries: plan.snapshotEvery,
    maxInFlight: 1_000,
    timing: clock,
  };
}
