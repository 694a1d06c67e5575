import { registry } from "@aether/core/registry";
import { readyCluster, type RulesBench } from "@aether/core/testing/rules-bench";
import { BackupReader } from "@aether/store/backup/backup-reader";
import { BackupWriter } from "@aether/store/backup/backup-writer";
import { plainStore } from "@aether/store/backup/testing/plain-store";
import { Repository } from "@aether/store/git/repository";
import { consolidate } from "@aether/store/git/consolidate";
import { orMissing } from "@aether/store/log/folder";
import { noPace } from "@aether/store/pace";
import type { StoreTiming } from "@aether/store/types";
import { describe, expect, it } from "vitest";
import { makeStream, type Stream } from "../world/stream.ts";
import { Process, World } from "../world/world.ts";
import { Device } from "./device.ts";
import { FileTree } from "./file-tree.ts";

const cluster = { id: "ab".repeat(16), name: "home" };
const seeds = 60;

/** A disk, and one process after the other that works on it. */
class Life {
  readonly stream: Stream;
  private readonly world = new World();
  private readonly disk = new FileTree();
  private readonly lies: boolean;

  constructor(seed: number, lies = false) {
    this.stream = makeStream(seed, "life");
    this.lies = lies;
  }

  /** What the work gives; "died" when the power goes at the given write, or after all of them. */
  async lives<T>(
    writes: number,
    errorChance: number,
    work: (tree: ReturnType<FileTree["open"]>) => Promise<T>,
  ): Promise<T | "died"> {
    const process = new Process("n1");
    const faults = { meanMs: 1, stallChance: 0, stallMs: 0, errorChance, lies: this.lies };
    const device = new Device(this.world, process, () => faults, this.stream);
    device.arm(writes, () => process.die());
    let over = false;
    const running = new Promise<T>((resolve, reject) => {
      this.world.after(0, process, "begins", () => void work(this.disk.open(device, this.stream)).then(resolve, reject));
    }).finally(() => (over = true));
    running.catch(() => undefined);
    await this.world.run(
      Number.POSITIVE_INFINITY,
      () => over || !process.alive,
      () => undefined,
    );
    if (over) return running;
    this.disk.crash(this.stream);
    return "died";
  }

  get timing(): Pick<StoreTiming, "now" | "immediate"> {
    return { now: () => this.world.now, immediate: (f) => void this.world.after(0, null, "turn", f) };
  }
}

type Tree = Parameters<typeof Repository.create>[1];

/** A backup of the bench, after which everything is looked at. */
async function backUp(life: Life, bench: RulesBench, tree: Tree): Promise<string | undefined> {
  const given = { dir: "backup.git", store: plainStore(bench), registry, cluster, pace: noPace, timing: life.timing };
  const writer = await BackupWriter.open({ ...given, ...(tree === undefined ? {} : { tree }) });
  return (await writer.backup("simulated", { force: true }))?.commit;
}

/** The newest commit, null for none. Throws when anything of it is not what was written. */
async function newest(life: Life, tree: Tree): Promise<string | null> {
  // the disk may have failed before there was one
  const repository = await Repository.open("backup.git", tree).catch(orMissing);
  const head = (await repository?.head()) ?? null;
  if (repository === undefined || head === null) return null;
  for await (const { oid } of repository.log(1_000)) {
    const { sound, faults } = await new BackupReader(repository, registry, noPace, life.timing).verify(oid);
    if (!sound) throw new Error(JSON.stringify(faults));
  }
  return head;
}

interface Ends {
  readonly old: number;
  readonly new: number;
  readonly errors: number;
}

async function powerCuts(lies: boolean): Promise<Ends> {
  const ends = { old: 0, new: 0, errors: 0 };
  for (let seed = 0; seed < seeds; seed++) {
    const life = new Life(seed, lies);
    const bench = readyCluster(3);
    const commits: string[] = [];
    for (let backup = 0; backup < 4; backup++) {
      bench.try({ type: "SetSetting", id: `app/${backup}`, value: "x".repeat(backup * 700), description: "" });
      const before = commits.at(-1) ?? null;
      const cut = backup === 0 ? Number.POSITIVE_INFINITY : 1 + life.stream.below(90);
      const packs = seed % 3 === 0;
      const made = await life
        .lives(cut, seed % 2 === 0 ? 0 : 0.01, async (tree) => {
          const commit = await backUp(life, bench, tree);
          if (packs)
            await consolidate(await Repository.open("backup.git", tree), { pace: noPace, always: true, timing: life.timing });
          return commit;
        })
        .catch((error: Error) => {
          if (!error.message.startsWith("EIO")) throw error;
          ends.errors++;
          return "died" as const;
        });
      const head = await life.lives(Number.POSITIVE_INFINITY, 0, (tree) => newest(life, tree));
      if (made === "died" || made === undefined) ends[head === before ? "old" : "new"]++;
      else expect(head, `${seed}`).toBe(made);
      if (head !== null && head !== before) commits.push(head);
    }
    // whoever comes next can go on
    expect(await life.lives(Number.POSITIVE_INFINITY, 0, (tree) => backUp(life, bench, tree))).toMatch(/^[0-9a-f]{40}$/);
    expect(await life.lives(Number.POSITIVE_INFINITY, 0, (tree) => newest(life, tree))).not.toBe(commits.at(-1));
  }
  return ends;
}

describe("a backup's repository on a disk that forgets", { timeout: 120_000 }, () => {
  it("is at the old commit or the new one after any power cut, whole, and what was acknowledged stays", async () => {
    const ends = await powerCuts(false);
    expect(Math.min(ends.old, ends.new), JSON.stringify(ends)).toBeGreaterThan(seeds / 10);
    expect(ends.errors).toBeGreaterThan(5);
  });

  it("would be found damaged if the disk said that it had synced and had not", async () => {
    await expect(powerCuts(true)).rejects.toThrow();
  });
});
