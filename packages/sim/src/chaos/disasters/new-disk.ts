/** A machine comes back with an empty disk: it must be taken in under a new member number, by its name alone. */
import { mkdir, rm } from "node:fs/promises";
import type { TestNode } from "@aether/node/testing/cluster-harness";
import type { Disaster } from "../disaster.ts";

const backMs = 60_000;

export function newDisk(): Disaster {
  let struck: TestNode | null = null;
  return {
    name: "new-disk",
    // A second disk that fails while the first one's node is not back would lose what was acknowledged, and nobody could help it.
    alone: true,
    begin: async (cluster, stream) => {
      struck = cluster.take(stream);
      if (struck === null) return;
      await cluster.kill(struck);
      await rm(struck.dataDir, { recursive: true, force: true });
      await mkdir(struck.dataDir);
      cluster.tell(struck.name, "has an empty disk");
      cluster.start(struck);
    },
    end: async (cluster) => {
      if (struck === null) return;
      cluster.giveBack(struck);
      const back = struck;
      struck = null;
      await cluster.takesPart(back, backMs);
    },
  };
}
