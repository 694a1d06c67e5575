/** `aether cluster recover --from-member NODE`: a cluster whose quorum is lost for good goes on from the one disk that is left. */
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { finishRecovery, type FolderReport, type PreparedRecovery } from "@aether/node/recovery/recover-folder";
import { FolderBusy } from "@aether/store/log/errors";
import type { Journal } from "../bootstrap/journal.ts";
import { contextOf } from "../context/connection.ts";
import { clusterFolder, clustersFolder, type ClusterFolder } from "../context/home.ts";
import { findDisk, type FoundDisk, recoverable } from "../recover/found-disk.ts";
import { goOn, type Recovery } from "../recover/go-on.ts";
import { refuseLiving, seeOldMembers, type OldMembers, type Seen } from "../recover/old-members.ts";
import { readRecoverJournal, writeRecoverJournal, type RecoverJournal } from "../recover/recover-journal.ts";
import { reportText, surelyLost } from "../recover/report-text.ts";
import type { Invocation, Run } from "../shell/command.ts";
import { confirmByName } from "../shell/confirm.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import type { Shell } from "../shell/shell.ts";
import { withClusterLock } from "./local-cluster.ts";

const waitMs = 60_000;

export const run: Run = async (call, shell) => {
  const node = call.text("from-member") ?? "";
  const unfinished = await findUnfinished(call, shell, node);
  const recovery = unfinished === null ? await begin(call, shell, node) : await finish(call, shell, unfinished);
  const { report, retired, kept, index } = recovery;
  const { cluster, upTo, committed, member } = report;
  const result = { name: cluster.name, id: cluster.id, oldId: cluster.old, node, member: member.id, oldMember: member.old };
  const entries = { first: report.first, committed, upTo, surelyLost: surelyLost(report), tail: report.tail, index };
  const words =
    `cluster ${cluster.name} goes on as ${cluster.id}: ${node} is its one member, with everything up to entry ${upTo}\n` +
    `kept for as long as you want it: ${[retired, ...kept].join(", ")}\n` +
    `next: aether cluster status · aether cluster scale --nodes 3`;
  printResult(call, shell, { ...result, ...entries, retired, kept }, words);
  return exit.done;
};

interface Unfinished {
  readonly folder: ClusterFolder;
  readonly journal: RecoverJournal;
}

/** A recovery of this node, or from this folder, that was decided and not finished. */
async function findUnfinished(call: Invocation, shell: Shell, node: string): Promise<Unfinished | null> {
  const given = call.text("data-dir");
  const names =
    given === undefined
      ? [(await contextOf(call, shell)).cluster.name]
      : await readdir(clustersFolder(shell.home)).catch(() => []);
  for (const name of names) {
    const journal = await readRecoverJournal(clusterFolder(shell.home, name));
    if (journal === null || (given !== undefined && journal.source !== resolve(given))) continue;
    const folder = clusterFolder(shell.home, name, journal.next.settings.dataDir);
    if (journal.node === node) return { folder, journal };
    const message = `a recovery of ${name} from ${journal.node} was begun and not finished`;
    throw new Failure(exit.rejected, message, `finish it: aether cluster recover --from-member ${journal.node}`);
  }
  return null;
}

async function begin(call: Invocation, shell: Shell, node: string): Promise<Recovery> {
  const progress = follow(shell);
  const disk = await findDisk(call, shell, node);
  return withClusterLock(disk.folder, "cluster recover", async () => {
    if (disk.journal !== null) await refuseUnless(disk, journalMembers(disk.journal));
    progress.say(`reading the disk of ${node}`);
    const clusterId = randomBytes(16).toString("hex");
    const prepared = await recoverable(wishOf(disk, clusterId));
    progress.end();
    try {
      checkNode(prepared.report, node);
      const seen = await refuseUnless(disk, reportedMembers(prepared.report, disk.journal));
      await confirm(call, shell, prepared.report, seen);
      const journal = plan(disk, node, prepared.report);
      await writeRecoverJournal(disk.folder, journal);
      return await carryOn(call, shell, { folder: disk.folder, journal }, prepared);
    } catch (error) {
      await prepared.discard();
      throw error;
    }
  });
}

const wishOf = (disk: Pick<FoundDisk, "source" | "target" | "address">, clusterId: string) => {
  const { source, target, address } = disk;
  return { source, target, clusterId, address, actor: { name: "operator", role: "operator" }, now: Date.now() } as const;
};

function checkNode(report: FolderReport, node: string): void {
  if (report.node === node) return;
  throw usage(`that is the disk of ${report.node}, not of ${node}`, `say so if you mean it: --from-member ${report.node}`);
}

function journalMembers({ identity }: Journal): OldMembers {
  const members = identity?.nodes ?? [];
  return { clusterId: identity?.clusterId ?? "", quorums: [members.map(({ member }) => member)], asOf: 0, members };
}

/** As the disk itself has them, and wherever else this computer knows them to be. */
function reportedMembers(r: FolderReport, journal: Journal | null): OldMembers {
  const members = [...r.others, ...(journal?.identity?.nodes ?? []).filter(({ name }) => name !== r.node)];
  const quorums = [r.voters, r.outgoing].filter((voters) => voters.length > 0);
  return { clusterId: r.cluster.old, quorums, asOf: r.upTo, members };
}

async function refuseUnless({ context, cluster }: FoundDisk, old: OldMembers): Promise<readonly Seen[]> {
  const seen = await seeOldMembers(old, context);
  refuseLiving(old, seen, cluster);
  return seen;
}

async function confirm(call: Invocation, shell: Shell, report: FolderReport, seen: readonly Seen[]): Promise<void> {
  const { name, old } = report.cluster;
  const text = `cluster ${name} (${old.slice(0, 8)}…) from the disk of ${report.node}:\n${reportText(report, Date.now())}`;
  // A program reads one line of JSON, with the same in it.
  if (call.output === "json") shell.err(text);
  else shell.out(text);
  for (const { node, last } of seen) {
    if (last > report.upTo)
      shell.err(`  note: ${node} answers, and its log reaches to entry ${last}: its disk may hold more than this one\n`);
  }
  await confirmByName(
    shell,
    `this ends the cluster ${name} as it was, for good, and begins another one`,
    name,
    call.switched("yes"),
  );
}

/** What this computer will know of the cluster. Its node asks nobody to be taken in: it is the one that others ask. */
function plan(disk: FoundDisk, node: string, report: FolderReport): RecoverJournal {
  const { cluster, journal, settings, configuration, source, target } = disk;
  const self = { name: node, member: report.member.id, address: report.address };
  const others = (journal?.identity?.nodes ?? []).map(({ name }) => name).filter((name) => name !== node);
  const next: Journal = {
    format: 1,
    name: cluster,
    provider: "local",
    state: "ready",
    createdAt: journal?.createdAt ?? Date.now(),
    configuration,
    settings,
    identity: { clusterId: report.cluster.id, nodes: [{ ...self, seeds: [self] }] },
    formed: true,
    step: { number: 12, name: "verify readiness", state: "done", at: Date.now() },
  };
  return { format: 1, node, source, target, oldClusterId: report.cluster.old, others, next };
}

/** It was confirmed when it was decided; what was moved then is found in its place, or moved now. */
async function finish(call: Invocation, shell: Shell, u: Unfinished): Promise<Recovery> {
  shell.err(`going on with the recovery of ${u.journal.next.name} from ${u.journal.node} that was begun before\n`);
  return withClusterLock(u.folder, "cluster recover", () => carryOn(call, shell, u, null));
}

function carryOn(
  call: Invocation,
  shell: Shell,
  { folder, journal }: Unfinished,
  prepared: PreparedRecovery | null,
): Promise<Recovery> {
  const { source, target, next } = journal;
  const [identity] = [next.identity];
  if (identity === null) throw new Error("a recovered cluster has an identity");
  const place = async () => {
    const done = prepared === null ? await finishMoving(target, identity.clusterId) : null;
    if (done !== null) return done;
    const address = identity.nodes[0]?.address ?? null;
    const parts = prepared ?? (await recoverable(wishOf({ source, target, address }, identity.clusterId)));
    return { report: parts.report, retired: await parts.commit() };
  };
  return goOn({ shell, folder, journal, withinMs: call.duration("timeout") ?? waitMs, place });
}

async function finishMoving(target: string, clusterId: string) {
  try {
    return await finishRecovery(target, clusterId);
  } catch (error) {
    if (!(error instanceof FolderBusy)) throw error;
    throw new Failure(exit.rejected, `another process has ${target} open`, "end it, then run this again");
  }
}
