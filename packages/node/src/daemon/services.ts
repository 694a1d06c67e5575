/** Everything that runs beside a member while it takes part: the way to the leader, the rounds, and the leader's duties. */
import { registry } from "@aether/core/registry";
import type { EventStore } from "@aether/store/types";
import type { BackupDeps } from "../backup/operations.ts";
import { makePeerRepositories } from "../backup/peer-repository.ts";
import { startBackups, type BackupService } from "../backup/service.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";
import { clientTls } from "../identity/tls.ts";
import { startFleet } from "../fleet/service.ts";
import { handOver } from "../controllers/handover.ts";
import { startLeaderDuties } from "../controllers/leader-duties.ts";
import { sign } from "../identity/signing.ts";
import { startPeerRounds } from "../controllers/peer-rounds.ts";
import { startRefusalRecorder } from "../controllers/refusal-recorder.ts";
import type { RunningMember } from "../member/member.ts";
import { gatherNotes } from "../member/peer-notes.ts";
import { makeGateway, type Gateway } from "../server/gateway.ts";
import { makeLeaderLink } from "../server/leader-link.ts";
import type { StreamDeps } from "../server/stream-session.ts";
import type { Aetherd } from "./aetherd-process.ts";
import { exitCodes } from "./exit-codes.ts";
import { clusterRow, nodeRows } from "./rows.ts";
import { leaderOf } from "./own-notes.ts";
import { version } from "./version.ts";

export interface Services {
  readonly member: RunningMember<PeerTransport>;
  readonly operations: BackupDeps;
  readonly backups: BackupService;
  readonly streams: StreamDeps;
  /** Ends everything; first hands over leadership when asked to, within a limit. */
  stop(handingOver: boolean): Promise<void>;
}

const handOverMs = 2_000;
const notesMs = 900;

export function startServices(d: Aetherd, member: RunningMember<PeerTransport>): Services {
  const { store, driver } = member;
  const { cluster, node } = d.configuration;
  const link = makeLeaderLink({
    tls: clientTls(d.tls, { clusterId: cluster.id }),
    addressOf: (id) => d.dialAddressOf(store, id),
  });
  const gateway = makeGateway({ store, link, now: () => performance.now(), random: Math.random });
  const ownRow = () => nodeRows(store.world).find((row) => row.name === node.name);
  const stopRounds = startPeerRounds({
    node: node.name,
    member: member.member,
    build: version,
    store,
    status: () => driver.status(),
    floors: d.floors,
    ask: () => gatherNotes(d.http, cluster.id, d.book.others(store.world), notesMs),
    ownRow,
    onAlone: ({ index, own, theirs, members }) => {
      d.log.error("digest-differs", { index, own, theirs, members: members.join(" ") });
      void d.end(exitCodes.differs, `this member's world differs from members ${members.join(", ")} at index ${index}`);
    },
    onDeparture: (departure) => {
      if (departure.v === "left") void d.end(exitCodes.done, "this node was shut down through the cluster and has left it");
      else void d.end(exitCodes.removed, departure.why);
    },
    onError: (error) => d.log.error("round-failed", { message: error.message }),
  });
  const stopRecorder = startRefusalRecorder({
    node: node.name,
    ledger: d.refusals,
    gateway,
    clusterName: () => (clusterRow(store.world) === undefined ? null : cluster.name),
    onLost: (why) => d.log.error("refusals-lost", { why }),
  });
  const stopDuties = dutiesOf(d, member);
  const backups = backupsOf(d, store, gateway);
  const { configuration, remoteToken, dialAt, log } = d;
  const stopFleet = startFleet({ configuration, remoteToken, store, gateway, dialAt, log });
  const leader = () => leaderOf(d, store);
  let stopped: Promise<void> | null = null;
  const stop = async (handingOver: boolean): Promise<void> => {
    const handed = handingOver ? await handOver(driver, handOverMs) : "nothingToDo";
    if (handed !== "nothingToDo") d.log.info("handed-over", "to" in handed ? { to: handed.to } : { failed: handed.failed });
    stopDuties();
    await stopFleet();
    await backups.stop();
    stopRecorder();
    stopRounds();
    link.close();
    await member.stop();
  };
  return {
    member,
    operations: { node: node.name, store, gateway, registry, cluster, backups },
    backups,
    streams: {
      node: node.name,
      store,
      gateway,
      registry,
      leader,
      onDenied: (what, caller) => d.refusals.note(what, `${caller.role}:${caller.name}`, ""),
    },
    stop: (handingOver) => (stopped ??= stop(handingOver)),
  };
}

function backupsOf(d: Aetherd, store: EventStore, gateway: Gateway): BackupService {
  const { cluster, node, dataDir, backup } = d.configuration;
  return startBackups({
    cluster,
    node: node.name,
    dataDir,
    settings: backup,
    token: d.remoteToken,
    store,
    gateway,
    peers: makePeerRepositories(clientTls(d.tls, { clusterId: cluster.id }), d.dialAt),
    log: d.log,
  });
}

function dutiesOf(d: Aetherd, member: RunningMember<PeerTransport>): () => void {
  const { cluster, node } = d.configuration;
  return startLeaderDuties({
    cluster,
    node: node.name,
    member,
    signer: { certificate: d.tls.certificate, sign: (statement) => sign(d.tls.key, statement) },
    log: d.log,
    now: () => performance.now(),
    heardAgoMs: (id) => member.transport.heardAgoMs(id),
  });
}
