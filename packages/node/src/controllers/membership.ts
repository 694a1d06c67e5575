/** INTERIM until core/node/controller.ts lands. */
import type { World } from "@aether/core/kernel/world";
import type { Command } from "@aether/core/kernel/command";
import type { NodeRow } from "@aether/core/node/state";
import type { Driver } from "@aether/raft/driver/driver";
import type { NodeId } from "@aether/raft/types";
import type { Answer } from "@aether/store/types";
import type { Log } from "../daemon/log.ts";

export interface TendOptions {
  readonly world: World;
  readonly driver: Driver;
  readonly now: number;
  readonly contactAges: (members: readonly NodeId[]) => ReadonlyMap<NodeId, number> | null;
  readonly submit: (command: Command) => Promise<Answer>;
  readonly log: Log;
}
export async function tendMembership(o: TendOptions): Promise<void> {
  const { voters } = o.driver.status().membership;
  for (const { row } of o.world.all<NodeRow>("node"))
    if (row.duty === "joining" && voters.includes(row.member))
      await o.submit({ type: "AdmitNode", id: row.name, member: row.member });
}
