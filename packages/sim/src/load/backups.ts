/**
 * Members write backups, each into a repository on its own disk, while all else goes on; now and then one dies of it. In the end every
 * commit that a disk was told to hold is there, is whole, and says what was wanted at its moment, byte for byte.
 */
import { BackupFault, pathOf } from "@aether/core/backup/thing-files";
import { canonicalJson } from "@aether/core/kernel/canonical-json";
import type { BackupFacet } from "@aether/core/kernel/noun";
import { makePlainWorld } from "@aether/core/kernel/plain-world";
import { BackupReader } from "@aether/store/backup/backup-reader";
import type { ListedBackup } from "@aether/store/backup/types";
import { BackupWriter } from "@aether/store/backup/backup-writer";
import { Repository } from "@aether/store/git/repository";
import type { Oid } from "@aether/store/git/object";
import { makePace, noPace } from "@aether/store/pace";
import { hold } from "../checks/violation.ts";
import { wantedFiles, type WantedFiles } from "../checks/restores.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { clusterId, clusterName, diskEnds } from "../cluster/names.ts";
import type { Running, SimNode } from "../cluster/node.ts";
import { Device } from "../disk/device.ts";
import type { FolderDisk } from "../disk/folder-disk.ts";
import { makeProcessClock } from "../world/process-clock.ts";
import type { Stream } from "../world/stream.ts";
import type { Process } from "../world/world.ts";

const dir = "backup.git";
/** Share of them that die at the beginning or end of one of the next writes. */
const deadly = 0.3;
const deadlyWrites = 30;
const listedMax = 10_000;

/** What was reported of a commit, and on which disk it is. */
interface Made {
  readonly commit: Oid;
  readonly index: number;
  readonly wanted: Oid;
}

/** What was wanted at a moment. */
export interface Backup {
  readonly index: number;
  readonly files: WantedFiles;
}

export class Backups {
  readonly counts = { backups: 0, unchangedBackups: 0, failedBackups: 0, deathsAtBackups: 0, readBackups: 0, pickedBackups: 0 };
  readonly #cluster: Cluster;
  readonly #writers = new WeakMap<Process, BackupWriter>();
  readonly #busy = new WeakSet<Process>();
  /** By disk, as long as it is the same one. */
  readonly #made = new WeakMap<FolderDisk, Made[]>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  start(): void {
    const { world, plan, nodes } = this.#cluster;
    if (plan.backupsPerS === 0) return;
    const chance = this.#cluster.stream("load/backups");
    world.after(chance.around(1_000 / plan.backupsPerS), null, "backups", () => {
      this.start();
      const node = chance.pick(nodes);
      const { process, running } = node;
      if (process === null || running === null || process.paused || this.#busy.has(process)) return;
      this.#busy.add(process);
      const force = chance.chance(0.3);
      world.within(process, "backs up", () => {
        this.#backUp(node, process, running, force)
          .catch((error: unknown) => this.#cluster.failed(error))
          .finally(() => this.#busy.delete(process));
      });
    });
  }

  async #backUp(node: SimNode, process: Process, running: Running, force: boolean): Promise<void> {
    const { backups } = node.disk;
    const applied = running.store.applied;
    try {
      const writer = this.#writers.get(process) ?? (await this.#open(node, process, running));
      const made = await writer.backup("simulated", { force });
      if (made === null) {
        this.counts.unchangedBackups += 1;
        return;
      }
      const { commit, index, wanted } = made;
      this.#madeOn(backups).push({ commit, index, wanted });
      this.counts.backups += 1;
      this.#cluster.world.tell(node.name, `backs up entry ${index} as ${commit.slice(0, 7)}`);
    } catch (error) {
      if (!process.alive) return;
      const known = this.#newest(backups)?.index ?? 0;
      // After a restart a member may not know yet how far it had come: the leader's word brings it there again.
      const behind = error instanceof BackupFault && error.message.endsWith("so far") && (known > applied || known === 0);
      if (!behind && !diskEnds.test(String(error))) throw error;
      this.counts.failedBackups += 1;
    }
  }

  async #open(node: SimNode, process: Process, running: Running): Promise<BackupWriter> {
    const cluster = this.#cluster;
    const { world } = cluster;
    const device = new Device(world, process, () => node.deviceFaults(), cluster.stream(`backups/${node.name}`));
    const chance = cluster.stream("faults/backup crash");
    if (cluster.plan.crashesPerS > 0 && chance.chance(deadly))
      device.arm(1 + chance.below(deadlyWrites), () => {
        this.counts.deathsAtBackups += 1;
        node.crash("is killed at a write of a backup");
      });
    const clock = makeProcessClock(world, process, { rate: 1, wallOffsetMs: 0 });
    const writer = await BackupWriter.open({
      dir,
      store: running.store,
      registry: cluster.rules,
      cluster: { id: clusterId, name: clusterName },
      pace: makePace(
        () => clock.now(),
        (ms, f) => void clock.after(ms, f),
      ),
      timing: clock,
      tree: node.disk.backups.open(device, cluster.stream(`backup files/${node.name}`)),
    });
    this.#writers.set(process, writer);
    const reader = new BackupReader(writer.repository, cluster.rules, noPace, clock);
    this.#checkKept(node, await listOf(reader));
    return writer;
  }

  /** One that some node holds, null when none does. */
  async pick(chance: Stream): Promise<Backup | null> {
    const holding = this.#cluster.nodes.filter(
      ({ process, disk }) => process !== null && this.#newest(disk.backups) !== undefined,
    );
    if (holding.length === 0) return null;
    const node = chance.pick(holding);
    const { commit, index } = chance.pick(this.#madeOn(node.disk.backups));
    const files = await this.#filesOf(await this.#reader(node), commit);
    this.counts.pickedBackups += 1;
    return { index, files };
  }

  /** Everything that the disks of these nodes hold, read to the last byte. Rejects with a violation. */
  async check(nodes: readonly SimNode[]): Promise<void> {
    for (const node of nodes) {
      if (this.#newest(node.disk.backups) === undefined) continue;
      const reader = await this.#reader(node);
      const listed = await listOf(reader);
      this.#checkKept(node, listed);
      await this.#checkContents(node, reader, listed);
    }
  }

  /** Of a node whose process runs: nothing is written, so its disk's faults do not matter. */
  async #reader(node: SimNode): Promise<BackupReader> {
    const { world, calmDevice, rules } = this.#cluster;
    const stream = this.#cluster.stream("reading backups");
    const clock = makeProcessClock(world, node.process as Process, { rate: 1, wallOffsetMs: 0 });
    const tree = node.disk.backups.open(new Device(world, node.process as Process, () => calmDevice, stream), stream);
    return new BackupReader(await Repository.open(dir, tree), rules, noPace, clock);
  }

  #checkKept(node: SimNode, listed: readonly ListedBackup[]): void {
    const there = new Set(listed.map(({ commit }) => commit));
    for (const { commit, index } of this.#madeOn(node.disk.backups))
      hold(there.has(commit), "a backup that was made is kept", () => `${node.name}: ${commit} of entry ${index} is gone`);
  }

  async #checkContents(node: SimNode, reader: BackupReader, listed: readonly ListedBackup[]): Promise<void> {
    const { entries } = this.#cluster.history;
    const world = makePlainWorld(this.#cluster.rules);
    let next = 0;
    const made = new Map(this.#madeOn(node.disk.backups).map((each) => [each.commit, each]));
    for (const { commit, index } of listed.toSorted((a, b) => a.index - b.index)) {
      for (; next < entries.length && (entries[next]?.context.index ?? 0) <= index; next++)
        world.apply(entries[next]?.events ?? [], entries[next]?.context);
      const verified = await reader.verify(commit);
      const faults = (): string => `${node.name}: ${commit}: ${JSON.stringify(verified.faults)}`;
      hold(verified.sound, "a backup is whole", faults);
      const { wanted } = await reader.manifest(commit);
      const told = made.get(commit);
      hold(told === undefined || (told.wanted === wanted && told.index === index), "a backup is what was told of it", faults);
      const [files, expected] = [await this.#filesOf(reader, commit), wantedFiles(world)];
      const differing = [...new Set([...files.keys(), ...expected.keys()])].find(
        (path) => files.get(path) !== expected.get(path),
      );
      const differs = (): string =>
        `${node.name}: ${commit} of entry ${index}, ${differing}: ${files.get(differing ?? "")}, and was ${expected.get(differing ?? "")}`;
      hold(differing === undefined, "a backup says what was wanted at its moment", differs);
      await this.#checkRows(node, reader, { commit, index }, world);
      this.counts.readBackups += 1;
    }
  }

  /** Any later moment is built on them. */
  async #checkRows(
    node: SimNode,
    reader: BackupReader,
    { commit, index }: { readonly commit: Oid; readonly index: number },
    world: ReturnType<typeof makePlainWorld>,
  ): Promise<void> {
    for await (const { noun, stored } of reader.rows(commit)) {
      const was = world.get(noun, stored.id)?.row;
      const differs = (): string =>
        `${node.name}: ${commit} of entry ${index}: ${noun}/${stored.id} is ${JSON.stringify(stored.row)}`;
      hold(canonicalJson(stored.row) === canonicalJson(was ?? null), "a backup gives whole rows back", differs);
    }
  }

  async #filesOf(reader: BackupReader, commit: Oid): Promise<WantedFiles> {
    const files = new Map<string, string>();
    for await (const { noun, id, wanted } of reader.things(commit)) {
      const facet = this.#cluster.rules.noun(noun)?.backup as BackupFacet;
      files.set(pathOf(facet.folder, id), canonicalJson({ noun, id, wanted }));
    }
    return files;
  }

  #madeOn(disk: FolderDisk): Made[] {
    const known = this.#made.get(disk) ?? [];
    this.#made.set(disk, known);
    return known;
  }

  #newest(disk: FolderDisk): Made | undefined {
    return this.#madeOn(disk).at(-1);
  }
}

async function listOf(reader: BackupReader): Promise<ListedBackup[]> {
  const listed: ListedBackup[] = [];
  for await (const each of reader.list(listedMax)) listed.push(each);
  return listed;
}
