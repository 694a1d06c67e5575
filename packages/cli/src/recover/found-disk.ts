/** Which disk a recovery is from, which cluster it was of, and what this computer knows of that cluster. */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { stringify } from "smol-toml";
import { parseClusterFile } from "@aether/core/config/cluster-file";
import { inspectFolder, isEnvironment } from "@aether/store/log/folder";
import {
  type FolderReport,
  type PreparedRecovery,
  prepareRecovery,
  type RecoverFolderWish,
} from "@aether/node/recovery/recover-folder";
import { chooseAddresses } from "../bootstrap/identity.ts";
import { readJournal, type Journal } from "../bootstrap/journal.ts";
import { contextOf } from "../context/connection.ts";
import { readContexts, type Context } from "../context/contexts.ts";
import { clusterFolder, clustersFolder, type ClusterFolder } from "../context/home.ts";
import type { Invocation } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";

export interface FoundDisk {
  readonly cluster: string;
  readonly folder: ClusterFolder;
  /** The old cluster's journal; null on a computer that has none. */
  readonly journal: Journal | null;
  /** The old cluster's context, to ask its members with; null when there is none. */
  readonly context: Context | null;
  readonly source: string;
  readonly target: string;
  /** Where the member will listen; null: where it did. */
  readonly address: string | null;
  readonly settings: Journal["settings"];
  readonly configuration: unknown;
}

export const dataFolder = (folder: ClusterFolder, node: string): string => join(folder.nodes, node, "data");

/** The data folder of the node of the context's cluster, or the one that --data-dir names. */
export async function findDisk(call: Invocation, shell: Shell, node: string): Promise<FoundDisk> {
  const given = call.text("data-dir");
  if (given !== undefined) return findBrought(resolve(given), shell, node);
  const context = await contextOf(call, shell);
  const name = context.cluster.name;
  const journal = await readJournal(clusterFolder(shell.home, name).journal);
  const hint = "a disk that was brought from elsewhere is named by its path: --data-dir PATH";
  if (journal === null)
    throw new Failure(
      exit.notFound,
      `${name} was not bootstrapped from here: this computer has no data folder of its nodes`,
      hint,
    );
  const folder = clusterFolder(shell.home, name, journal.settings.dataDir);
  return { ...known(folder, journal, node, hint), context, source: dataFolder(folder, node) };
}

function known(folder: ClusterFolder, journal: Journal, node: string, hint: string): Omit<FoundDisk, "context" | "source"> {
  if (journal.cloud !== undefined) {
    const way = "aether cluster bootstrap --from-backup makes a new cluster there, with the state of a backup";
    throw new Failure(
      exit.rejected,
      `the disks of ${journal.name} are at ${journal.provider}: a recovery works on this computer`,
      way,
    );
  }
  if (journal.state === "destroying")
    throw new Failure(exit.rejected, `${journal.name} is being destroyed`, "its disks are named by their paths: --data-dir PATH");
  const nodes = journal.identity?.nodes ?? [];
  const found = nodes.find(({ name }) => name === node);
  if (found === undefined) {
    const names = nodes.map(({ name }) => name).join(", ");
    throw new Failure(exit.notFound, `${journal.name} has no node ${node} here (${names === "" ? "none" : names})`, hint);
  }
  const { name: cluster, settings, configuration } = journal;
  return { cluster, folder, journal, target: dataFolder(folder, node), address: found.address, settings, configuration };
}

/** A disk from elsewhere: it says itself whose it is. */
async function findBrought(source: string, shell: Shell, node: string): Promise<FoundDisk> {
  const found = await inspectFolder(source);
  if (found.state === "unformatted") {
    const hint = "it holds identity.json, guard, log/, state/ and snap/: for the local provider that is nodes/NAME/data";
    throw new Failure(exit.usage, `${source} is not the data folder of a member`, hint);
  }
  const clusterId = found.state === "formatted" ? found.identity.clusterId : null;
  const journal = clusterId === null ? null : await journalOf(shell.home, clusterId);
  if (journal !== null) {
    const folder = clusterFolder(shell.home, journal.name, journal.settings.dataDir);
    const context = (await readContexts(shell.home)).contexts.find(({ cluster }) => cluster.id === clusterId) ?? null;
    return { ...known(folder, journal, node, "name one of them"), context, source };
  }
  return findUnknown(source, shell, node);
}

async function journalOf(home: string, clusterId: string): Promise<Journal | null> {
  const names = await readdir(clustersFolder(home)).catch(() => []);
  for (const name of names) {
    const journal = await readJournal(clusterFolder(home, name).journal);
    if (journal?.identity?.clusterId === clusterId) return journal;
  }
  return null;
}

/** Nothing here knows the cluster: its own rows say its name and how it was configured. */
async function findUnknown(source: string, shell: Shell, node: string): Promise<FoundDisk> {
  const report = await lookInto(source, shell.home);
  const cluster = report.cluster.name;
  const settings = settingsOf(report.configuration);
  const folder = clusterFolder(shell.home, cluster);
  const there = await readJournal(folder.journal);
  if (there !== null && there.identity?.clusterId !== report.cluster.old) {
    const message = `another cluster is called ${cluster} on this computer already`;
    throw new Failure(exit.rejected, message, "recover it with another AETHER_HOME, or destroy that one first");
  }
  const [address] = await chooseAddresses(folder, cluster, 1, null);
  if (address === undefined) throw new Error("one address was asked for");
  const { configuration } = report;
  return {
    cluster,
    folder,
    journal: null,
    context: null,
    source,
    target: dataFolder(folder, node),
    address,
    settings,
    configuration,
  };
}

/** What a folder holds, found out on a copy that is thrown away. */
async function lookInto(source: string, home: string): Promise<FolderReport> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const aside = await mkdtemp(join(home, ".look-"));
  try {
    const now = Date.now();
    const wish = {
      source,
      target: aside,
      clusterId: "0".repeat(32),
      address: null,
      actor: { name: "operator", role: "operator" },
      now,
    } as const;
    const looked = await recoverable(wish);
    await looked.discard();
    return looked.report;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/**
 * What the recovery makes of a folder. A disk that is full or may not be written is the computer's fault, and says nothing of the data:
 * it is a Failure too.
 */
export async function recoverable(wish: RecoverFolderWish): Promise<PreparedRecovery> {
  const prepared = await prepareRecovery(wish).catch((error: unknown) => {
    if (!(error instanceof Error) || !isEnvironment(error)) throw error;
    const why = error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
    const hint = "it is locked where it lies and copied to where it goes on: both have to be writable; nothing was changed";
    throw new Failure(exit.failed, `the disk cannot be worked with here: ${why}`, hint);
  });
  if ("unusable" in prepared) throw unusableDisk(prepared);
  return prepared;
}

/** A disk that cannot be gone on with, as the command's failure. */
function unusableDisk({
  unusable,
  why,
  hint,
}: {
  readonly unusable: string;
  readonly why: string;
  readonly hint: string;
}): Failure {
  const code = unusable === "nothing" ? exit.notFound : unusable === "busy" ? exit.rejected : exit.failed;
  return new Failure(code, unusable === "damaged" ? `this disk cannot be gone on with: ${why}` : why, hint);
}

/** How the cluster was configured, from its row. Ports and folders were another computer's, and secrets play no part here. */
function settingsOf(configuration: unknown): Journal["settings"] {
  const { security: _secret, backup: _backup, local: _local, ...rest } = (configuration ?? {}) as Record<string, unknown>;
  const parsed = parseClusterFile(stringify(rest), { env: {}, readSecret: () => undefined });
  if ("errors" in parsed) {
    const fault = parsed.errors[0];
    throw new Failure(
      exit.failed,
      `the cluster's own configuration cannot be read: ${fault?.key} ${fault?.message}`,
      "use the build that wrote it",
    );
  }
  const { raft, history } = parsed.ok;
  return { raft, history, basePort: null, dataDir: null };
}
