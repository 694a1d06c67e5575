/**
 * A machine goes away and returns with the disk of some time ago, whole by all its checksums. The others know that it held
 * more: it must be refused as below its floor, and rejoin by itself under a new member number.
 */
import { cp, rename, rm } from "node:fs/promises";
import { memberFacts } from "@aether/node/testing/cluster-facts";
import { eventually, type TestNode } from "@aether/node/testing/cluster-harness";
import type { ChaosCluster, Disaster } from "../disaster.ts";

const backMs = 60_000;
const writtenMs = 60_000;
const foundOutMs = 60_000;

export function oldDisk(): Disaster {
  let struck: TestNode | null = null;
  const copyOf = (node: TestNode): string => `${node.dataDir}-copy`;
  return {
    name: "old-disk",
    // With the leader that counted its acknowledgements gone in the same second nobody need know of them (docs/internals/members.md).
    alone: true,
    begin: async (cluster, stream) => {
      struck = cluster.take(stream);
      if (struck === null) return;
      const node = struck;
      await cluster.kill(node, stream.pick(["SIGTERM", "SIGKILL"] as const));
      await cp(node.dataDir, copyOf(node), { recursive: true });
      cluster.start(node);
      await cluster.takesPart(node, backMs);
      const { member } = await acknowledgesMore(cluster, node);
      await cluster.kill(node);
      await rm(node.dataDir, { recursive: true });
      await rename(copyOf(node), node.dataDir);
      cluster.tell(node.name, "has its old disk");
      const before = cluster.harness.logOf(node).length;
      cluster.start(node);
      await eventually(`${node.name} finds out that its disk is old`, foundOutMs, () =>
        cluster.harness.logOf(node).slice(before).includes(" verdict=lost-belowFloor ") ? true : undefined,
      );
      await cluster.takesPart(node, backMs);
      const now = await memberFacts(cluster.operator, node);
      if (now.member <= member)
        throw new Error(`${node.name} came back with its old disk as member ${now.member}, it was ${member}`);
    },
    end: async (cluster) => {
      if (struck === null) return;
      const node = struck;
      struck = null;
      await rm(copyOf(node), { recursive: true, force: true });
      cluster.giveBack(node);
      await cluster.takesPart(node, backMs);
    },
  };
}

/** Entries that are not in the copy are committed, and this member has acknowledged some of them to the leader. */
function acknowledgesMore(cluster: ChaosCluster, node: TestNode): Promise<{ readonly member: number }> {
  let first: number | null = null;
  return eventually(`${node.name} applies more`, writtenMs, async () => {
    const facts = await memberFacts(cluster.operator, node);
    first ??= facts.applied;
    return facts.applied > first + 1 ? facts : undefined;
  });
}
