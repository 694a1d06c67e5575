/**
 * The throw-away cluster of a drill: one member in a folder of its own below the system's temporary one, made from a backup as any
 * cluster is, backed up in turn, and removed. Nothing of the operator's own clusters and contexts is touched.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "@aether/core/kernel/canonical-json";
import { registry } from "@aether/core/registry";
import { mirror, MirrorFault } from "@aether/node/backup/mirror";
import { RepositoryHome, type RepositoryListing } from "@aether/node/backup/repository-home";
import { BackupReader } from "@aether/store/backup/backup-reader";
import { bootstrapCluster } from "../bootstrap/bootstrap.ts";
import { nounsOfThePlace } from "../bootstrap/new-world.ts";
import { Steps } from "../bootstrap/steps.ts";
import { deleteInstances } from "../cluster/destroy.ts";
import type { Api, BackupAnswer, BackupTaken } from "../context/api.ts";
import { connectContext, type Connection } from "../context/connection.ts";
import { chooseContext, readContexts } from "../context/contexts.ts";
import { clusterFolder, type ClusterFolder } from "../context/home.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import { openPlace, reading, type OpenedPlace } from "./open-place.ts";
import { credentialsFor, type BackupPlace } from "./place.ts";

/** A commit of the cluster that the command line means, or of another repository. */
export type DrillSource = { readonly cluster: string } | { readonly place: BackupPlace };

export interface Drilled {
  /** 40 hex digits. */
  readonly commit: string;
  /** Everything that was backed up is wanted again, byte for byte, but for what belongs to the place. */
  readonly sound: boolean;
  /** Things that were compared. */
  readonly things: number;
  readonly tookMs: number;
  /** What was found; "" when all is as it should be. */
  readonly why: string;
}

const name = "drill";
const prefix = "aether-drill-";
const namesShown = 5;
const fetchTries = 3;
const settleMs = 5_000;
const toml = `[cluster]
name = "${name}"
size = 1

[cloud]
provider = "local"

[backup]
enabled = false
`;

export class DrillCluster {
  private readonly shell: Shell;
  private readonly folder: string;
  private readonly steps: Steps;
  private readonly waitMs: number;
  private running: Promise<unknown> = Promise.resolve();

  private constructor(shell: Shell, folder: string, waitMs: number) {
    // Its steps are progress; what bootstrap has to say at its end is not this command's result.
    this.shell = { ...shell, home: join(folder, "home"), out: () => undefined };
    this.folder = folder;
    this.steps = new Steps(this.shell, true);
    this.waitMs = waitMs;
  }

  /** `waitMs`: the longest wait in one step. */
  static async begin(shell: Shell, waitMs: number): Promise<DrillCluster> {
    return new DrillCluster(shell, await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`)), waitMs);
  }

  /** `connection`: to the cluster whose commit it is, if it is a cluster's. */
  async run(source: DrillSource, connection: Connection | null): Promise<Drilled> {
    const began = performance.now();
    const judged = this.judge(source, connection);
    this.running = judged.then(
      () => undefined,
      () => undefined,
    );
    const result = await judged;
    return { ...result, tookMs: performance.now() - began };
  }

  /** What goes wrong once the commit is known is the drill's result, and no failure. */
  private async judge(source: DrillSource, connection: Connection | null): Promise<Omit<Drilled, "tookMs">> {
    const { reader, commit } = await this.open(source, connection);
    try {
      const file = join(this.folder, "cluster.toml");
      await writeFile(file, toml);
      const from: BackupPlace = { repository: reader.repository.dir, commit };
      await bootstrapCluster({ file, from, waitMs: this.waitMs, rollback: false }, this.shell, this.steps);
      const made = await this.backUp();
      const again = await BackupReader.open(join(this.cluster.nodes, "n1", "data", "backup.git"), registry);
      return { commit, ...compare(await wantedOf(reader, commit), await wantedOf(again, made)) };
    } catch (error) {
      if (!(error instanceof Failure) || error.code === exit.interrupted) throw error;
      return { commit, sound: false, things: 0, why: error.message };
    }
  }

  private async open(source: DrillSource, connection: Connection | null): Promise<OpenedPlace> {
    const copyTo = join(this.folder, "source.git");
    const say = (text: string): void => this.shell.err(`${text}\n`);
    if ("place" in source) {
      return openPlace(source.place, { credentials: credentialsFor(source.place, this.shell, null), copyTo, say });
    }
    if (connection === null) throw new Error("a commit of a cluster needs a connection to it");
    say("copying the cluster's repository");
    await expectThere(connection.api, source.cluster, this.waitMs);
    await copyRepository(connection.api, copyTo);
    return openPlace({ repository: copyTo, commit: source.cluster }, { credentials: null, copyTo, say });
  }

  /** The commit that the throw-away cluster makes of what it has. */
  private async backUp(): Promise<string> {
    const connection = await connectContext(chooseContext(await readContexts(this.shell.home), name, undefined));
    try {
      const options = { body: { cause: "drill" }, timeoutMs: this.waitMs };
      return (await connection.api.call<BackupTaken>("POST", "/v1/backups", options)).commit;
    } finally {
      connection.close();
    }
  }

  private get cluster(): ClusterFolder {
    return clusterFolder(this.shell.home, name);
  }

  /** Lets the step that runs end, so that nothing is made after it was looked for, and removes everything. */
  async interrupt(): Promise<void> {
    this.steps.abort();
    await Promise.race([this.running, new Promise((resolve) => setTimeout(resolve, settleMs))]);
    await this.remove();
  }

  /** Ends the member's process and removes the folder. Again is harmless. */
  async remove(): Promise<void> {
    await removeFolder(this.folder);
  }
}

async function removeFolder(folder: string): Promise<void> {
  await deleteInstances(name, clusterFolder(join(folder, "home"), name), () => undefined);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Removes what drills have left that were killed. Those of other users are theirs. */
export async function sweepDrills(): Promise<void> {
  for (const entry of await readdir(tmpdir())) {
    const pid = Number(new RegExp(`^${prefix}(\\d+)-`).exec(entry)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid) || existsSync(`/proc/${pid}`)) continue;
    const folder = join(tmpdir(), entry);
    const owner = (await stat(folder).catch(() => null))?.uid;
    if (owner === process.getuid?.()) await removeFolder(folder);
  }
}

/** Lets the member that answers fetch the commit that another one has written. What else is wrong with it is what a drill finds. */
async function expectThere(api: Api, commit: string, timeoutMs: number): Promise<void> {
  try {
    await api.call<BackupAnswer>("GET", `/v1/backups/${commit}`, { timeoutMs });
  } catch (error) {
    if (!(error instanceof Failure) || error.code === exit.notReady) throw error;
  }
}

/** Packs come and go while it is copied: then from the beginning. */
async function copyRepository(api: Api, dir: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const listing = await api.call<RepositoryListing>("GET", "/v1/backup/repository");
    if (listing.head === null) throw new Failure(exit.notFound, "there is no backup yet", "aether backup trigger makes one");
    const source = {
      listing: () => Promise.resolve(listing),
      read: (file: string) => bytesOf(api, `/v1/backup/repository/${file}`),
    };
    try {
      await mirror(new RepositoryHome(dir), source, listing);
      return;
    } catch (error) {
      const gone = error instanceof Failure && (error.code === exit.notFound || error.code === exit.notReady);
      if (!gone && !(error instanceof MirrorFault)) throw error;
      if (tries >= fetchTries)
        throw new Failure(exit.failed, `the cluster's repository cannot be copied: ${error.message}`, "try again");
    }
  }
}

async function* bytesOf(api: Api, path: string): AsyncIterable<Uint8Array> {
  const bytes = await api.bytes(path);
  try {
    yield* bytes;
  } catch (error) {
    throw new Failure(exit.notReady, error instanceof Error ? error.message : String(error), "try again");
  }
}

/** Noun and id → what is wanted, as its file says it; without what belongs to the place. */
async function wantedOf(reader: BackupReader, commit: string): Promise<ReadonlyMap<string, string>> {
  return reading(async () => {
    const wanted = new Map<string, string>();
    for await (const thing of reader.things(commit)) {
      if (!nounsOfThePlace.includes(thing.noun)) wanted.set(`${thing.noun} ${thing.id}`, canonicalJson(thing.wanted));
    }
    return wanted;
  });
}

/** Exported for its test. */
export function compare(backedUp: ReadonlyMap<string, string>, again: ReadonlyMap<string, string>) {
  const names = new Set([...backedUp.keys(), ...again.keys()]);
  const differing = [...names].filter((thing) => backedUp.get(thing) !== again.get(thing)).toSorted();
  const shown = differing.slice(0, namesShown).join(", ");
  const more = differing.length > namesShown ? `, … and ${differing.length - namesShown} more` : "";
  const why = differing.length === 0 ? "" : `${counted(differing.length, "thing")} came back otherwise: ${shown}${more}`;
  return { sound: differing.length === 0, things: names.size, why };
}
