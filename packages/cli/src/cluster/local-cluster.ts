/** The part of a cluster that lives on this computer: its journal, its folder and the provider of its instances. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { make as redact } from "effect/Redacted";
import type { CertificateIssuer } from "@aether/cloud/certificates/issuer";
import { readIfThere } from "@aether/cloud/local/durable-file";
import { isLock, takeLock } from "@aether/cloud/local/lock";
import { nodeLabels } from "@aether/cloud/labels";
import { makeLocalProvider } from "@aether/cloud/local";
import type { Daemon } from "@aether/cloud/local/instance";
import type { CloudProvider, InstanceSpec } from "@aether/cloud/provider";
import { daemonNodeOptions } from "@aether/node/daemon/node-options";
import { deriveCa } from "@aether/node/identity/cluster-ca";
import { edgeIssuer } from "@aether/node/identity/edge-issuer";
import { readJournal, type Journal, type JournalNode } from "../bootstrap/journal.ts";
import { caFile, pairOf } from "../bootstrap/pki.ts";
import { clusterFolder, type ClusterFolder } from "../context/home.ts";
import { refuseHalfRecovered } from "../recover/recover-journal.ts";
import { exit, Failure } from "../shell/failure.ts";

const graceMs = 15_000;
/** A killed command may take a moment to be gone. */
const lockWaitMs = 2_000;

/** The provider of the cluster's instances. */
export const localProvider = (name: string, folder: ClusterFolder): CloudProvider =>
  makeLocalProvider({
    cluster: name,
    registryDir: folder.registry,
    nodesDir: folder.nodes,
    daemon: findDaemon(),
    graceMs,
    issuer: keptIssuer(name, folder),
  });

/** Signs with the CA of the secret that is kept in the cluster's folder; nothing is read before it is asked. */
const keptIssuer = (name: string, folder: ClusterFolder): CertificateIssuer =>
  edgeIssuer(async () => {
    const secret = await readIfThere(folder.secret);
    if (secret !== null) return deriveCa(secret.trim(), name);
    return { why: `there is no cluster secret in ${folder.secret}, so no cluster CA to sign a certificate; import one instead` };
  });

/**
 * The daemon that belongs to this command: beside a bundled command its bundle, beside the sources its source. It runs under the
 * node that runs this command.
 */
export function findDaemon(): Daemon {
  const packages = join(packagesFolder(), "node");
  const bundled = import.meta.filename.endsWith(".js");
  const entry = join(packages, bundled ? "dist/aetherd.js" : "src/aetherd.ts");
  return { node: process.execPath, nodeOptions: daemonNodeOptions, entry };
}

/** `packages/`, from the bundle in `packages/cli/dist/` or from this file in `packages/cli/src/cluster/`. */
function packagesFolder(): string {
  let folder = import.meta.dirname;
  for (let up = 0; up < 6; up++) {
    if (existsSync(join(folder, "node", "package.json")) && existsSync(join(folder, "cli", "package.json"))) return folder;
    folder = dirname(folder);
  }
  throw new Failure(exit.failed, `there is no packages/node above ${import.meta.dirname}`, "run aether from its checkout");
}

/** The journal of a cluster that was bootstrapped from here. */
export async function requireJournal(home: string, name: string): Promise<{ journal: Journal; folder: ClusterFolder }> {
  const bare = clusterFolder(home, name);
  const journal = await readJournal(bare.journal);
  await refuseHalfRecovered(bare, name);
  if (journal === null) {
    const hint =
      "its instances can only be managed where it was bootstrapped (AETHER_HOME); status, nodes and settings work from here";
    throw new Failure(exit.notFound, `there is no bootstrap journal of cluster ${name} in ${bare.root}`, hint);
  }
  return { journal, folder: clusterFolder(home, name, journal.settings.dataDir) };
}

/** What the provider is asked for; the same for the same journal, always. */
export function instanceSpec(journal: Journal, clusterId: string, node: JournalNode, folder: ClusterFolder): InstanceSpec {
  return {
    key: { cluster: journal.name, node: node.name, attempt: node.member },
    name: node.name,
    address: node.address,
    labels: nodeLabels({ id: clusterId, name: journal.name }, node.name),
    userData: redact(`${JSON.stringify(nodeFile(journal, clusterId, node, folder), null, 2)}\n`),
  };
}

/** The daemon's configuration; contracts.md, "the daemon's configuration". Certificates are named by path: no secret is in it. */
function nodeFile(journal: Journal, clusterId: string, node: JournalNode, folder: ClusterFolder) {
  const [host, port] = node.address.split(":");
  const pair = pairOf(folder.pki, node.name);
  const { backup } = journal.settings;
  return {
    cluster: { id: clusterId, name: journal.name },
    node: { name: node.name, member: node.member },
    listen: { host, port: Number(port) },
    advertise: node.address,
    dataDir: join(folder.nodes, node.name, "data"),
    seeds: node.seeds,
    tls: { ca: `file:${caFile(folder.pki)}`, certificate: `file:${pair.certificate}`, key: `file:${pair.key}` },
    raft: journal.settings.raft,
    history: journal.settings.history,
    backup: backup && { ...backup, remoteToken: backup.remoteToken ? `file:${folder.backupToken}` : null },
  };
}

/** One command at a time changes a cluster's instances. */
export async function withClusterLock<A>(folder: ClusterFolder, purpose: string, run: () => Promise<A>): Promise<A> {
  if (process.platform !== "linux") {
    const message = `local clusters need Linux: instances are known by /proc, which ${process.platform} does not have`;
    throw new Failure(exit.failed, message, "run this on a Linux machine, in a VM or in a container");
  }
  const taken = await takeLock(folder.lock, purpose, lockWaitMs);
  if (!isLock(taken)) {
    const message = `another aether command works on this cluster: process ${taken.pid} (${taken.purpose})`;
    throw new Failure(exit.rejected, message, "wait for it to end, then run this again");
  }
  try {
    return await run();
  } finally {
    await taken.release();
  }
}
