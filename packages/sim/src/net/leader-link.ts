/**
 * A follower's way to the leader, for what its clients ask: the product's gateway hands it on, and whatever becomes of the
 * connection, there is one answer. (The product's own link is a websocket over TLS, under test elsewhere.)
 */
import { reject, type Reason } from "@aether/core/kernel/command";
import type { LeaderLink } from "@aether/node/server/gateway";
import type { Answer } from "@aether/store/types";
import type { Cluster } from "../cluster/cluster.ts";
import type { SimNode } from "../cluster/node.ts";
import type { Process } from "../world/world.ts";

/** A connection that has been silent for so long is given up. */
const silentMs = 3_000;

export function leaderLink(cluster: Cluster, from: SimNode, process: Process): LeaderLink {
  const { world, network } = cluster;
  const chance = cluster.stream("leader link");
  return {
    submit: (leader, submission, done) => {
      cluster.counts.forwarded += 1;
      let over = false;
      const end = (answer: Answer): void => {
        if (over) return;
        over = true;
        done(answer);
      };
      const fail = (reason: Reason, why: string): void => end({ ok: false, rejection: reject(reason, why, ""), leader });
      const target = cluster.nodes.find(({ member }) => member === leader);
      if (target === undefined || network.isCut(from.name, target.name)) return fail("no_leader", "the leader cannot be reached");
      world.after(silentMs, process, "link", () => fail("ambiguous", "the connection to the leader broke"));
      network.pass(from.name, target.name, chance, () => {
        const asked = target.process;
        if (asked === null) return;
        world.within(asked, "forwarded", () => {
          target.running?.gateway.submit(submission, (answer) => {
            network.pass(target.name, from.name, chance, () => world.within(process, "forwarded back", () => end(answer)));
          });
        });
      });
    },
  };
}
