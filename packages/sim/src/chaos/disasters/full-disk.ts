/**
 * A member's disk runs full: its data folder moves onto a small file system of its own, which is filled up to the last page
 * while the member writes, and emptied again. It must end with exit code 70 or hold back, and condemn nothing that it has.
 */
import { readdirSync, statSync } from "node:fs";
import { cp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { mountSmallDisk, whyNoSmallDisk, type SmallDisk } from "@aether/node/testing/small-disk";
import type { TestNode } from "@aether/node/testing/cluster-harness";
import type { Stream } from "../../world/stream.ts";
import type { ChaosCluster, Disaster } from "../disaster.ts";

const roomMegabytes = 64;
const writesMs = 3_000;
const endsMs = 20_000;
const fatalCode = 70;

interface Struck {
  readonly node: TestNode;
  readonly disk: SmallDisk;
  /** What had been set aside before: not of this disaster's making. */
  readonly aside: readonly string[];
}

export function fullDisk(): Disaster {
  let struck: Struck | null = null;
  return {
    name: "full-disk",
    unavailable: () => Promise.resolve(whyNoSmallDisk()),
    begin: async (cluster, stream) => {
      const node = cluster.take(stream);
      if (node === null) return;
      await cluster.kill(node, stream.pick(["SIGTERM", "SIGKILL"] as const));
      try {
        struck = { node, disk: await moveToSmallDisk(node), aside: await setAside(node) };
      } catch (error) {
        cluster.giveBack(node);
        throw error;
      }
      cluster.start(node);
      await cluster.pause(stream.next() * writesMs);
      await runFull(cluster, struck, stream);
    },
    end: async (cluster) => {
      if (struck === null) return;
      const { node, disk, aside } = struck;
      struck = null;
      disk.empty();
      await cluster.kill(node);
      const now = await setAside(node);
      await moveBack(node, disk);
      cluster.giveBack(node);
      const condemned = now.filter((name) => !aside.includes(name));
      if (condemned.length > 0) throw new Error(`${node.name} set aside ${condemned.join(", ")} because its disk was full`);
    },
  };
}

/** Fills the disk once more, and starts the member on a disk without space, as a supervisor would. */
async function runFull(cluster: ChaosCluster, { node, disk }: Struck, stream: Stream): Promise<void> {
  for (const leaving of [0, stream.below(256) * 1_024]) {
    disk.fill(leaving);
    cluster.tell(node.name, `has ${leaving} bytes left on its disk`);
    if (node.process === null) cluster.start(node);
    const exit = await cluster.ended(node, endsMs).catch(() => null);
    if (exit === null) cluster.tell(node.name, "holds back");
    else if (exit.code !== fatalCode)
      throw new Error(`${node.name} ended with ${exit.signal ?? `code ${exit.code}`} on a full disk`);
  }
}

const besides = (node: TestNode): string => `${node.dataDir}-besides`;

/** All of it or nothing: when the copy fails, the folder is where it was and nothing is mounted. */
async function moveToSmallDisk(node: TestNode): Promise<SmallDisk> {
  const megabytes = roomMegabytes + Math.ceil((3 * bytesOf(node.dataDir)) / 2 ** 20);
  await rename(node.dataDir, besides(node));
  let disk: SmallDisk | null = null;
  try {
    disk = mountSmallDisk(node.dataDir, megabytes);
    await cp(besides(node), node.dataDir, { recursive: true });
    return disk;
  } catch (error) {
    disk?.unmount();
    await rm(node.dataDir, { recursive: true, force: true });
    await rename(besides(node), node.dataDir);
    throw error;
  }
}

async function moveBack(node: TestNode, disk: SmallDisk): Promise<void> {
  await rm(besides(node), { recursive: true });
  await cp(node.dataDir, besides(node), { recursive: true });
  disk.unmount();
  await rm(node.dataDir, { recursive: true });
  await rename(besides(node), node.dataDir);
}

const setAside = async (node: TestNode): Promise<readonly string[]> =>
  (await readdir(node.dataDir)).filter((name) => /^retired-|damaged/.test(name));

const bytesOf = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
