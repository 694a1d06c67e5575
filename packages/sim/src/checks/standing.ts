/** What has to be so at any moment, looked at now and then: what members count on is there. */
import { floorsOfLeader } from "@aether/node/member/floors";
import type { CoreStatus } from "@aether/raft/types";
import type { Cluster } from "../cluster/cluster.ts";
import type { Running, SimNode } from "../cluster/node.ts";
import { hold } from "./violation.ts";

/**
 * Of every member whose disk was left as it is: what was durable there and is committed is there still; what its leader counts as
 * held there is; and no leader proves with an entry that may yet be cut.
 */
export function checkStanding({ nodes, history, plan, answers }: Cluster): void {
  if (plan.defect === "lyingDisk") return;
  for (const node of nodes) {
    const { running } = node;
    if (running === null || isAltered(node)) continue;
    history.keeps(running.member, running.storage.view, running.driver.status().hard.commit);
    const status = running.driver.status();
    if (status.role.state === "leader") checkLeader(status, running, { nodes, answers });
  }
}

function checkLeader(status: CoreStatus, leader: Running, { nodes, answers }: Pick<Cluster, "nodes" | "answers">): void {
  const { term } = status.hard;
  for (const [id, { match }] of status.progress) {
    const acked = id === leader.member ? match : answers.ackedTo(leader.member, term, id);
    const unsaid = (): string => `member ${leader.member} counts ${id} up to ${match} in term ${term}, acknowledged is ${acked}`;
    hold(match <= acked, "an ack counts in its own term", unsaid);
    const follower = nodes.find((node) => node.member === id);
    const { running } = follower ?? { running: null };
    if (match === 0 || follower === undefined || running === null || isAltered(follower)) continue;
    // In a later term it may have cut what it acknowledged in this one.
    if (running.driver.status().hard.term !== term) continue;
    const [here, there] = [leader.storage.view.term(match), running.storage.view.term(match)];
    const held = there === "compacted" || (typeof here === "number" ? there === here : there !== "beyond");
    const why = (): string => `member ${leader.member} counts ${id} up to ${match} (${here}) in term ${term}, which has ${there}`;
    hold(held, "what a leader counts on is held", why);
  }
  for (const [id, { index }] of floorsOfLeader(status)) {
    const why = (): string => `member ${leader.member} names ${index} for ${id}, committed is ${status.hard.commit}`;
    hold(index <= status.hard.commit, "a floor names what is committed", why);
  }
}

const isAltered = ({ rotten, member, stale, stateRotten }: SimNode): boolean => rotten === member || stale || stateRotten;
