/** What tests ask a running cluster, in one place. */
import type { ClusterHarness, TestNode } from "./cluster-harness.ts";
import { eventually } from "./cluster-harness.ts";
import type { TestClient } from "./test-client.ts";

/** GET /v1/member, as far as tests look at it. */
export interface MemberFacts {
  readonly node: string;
  readonly member: number;
  readonly role: string;
  readonly leader: { readonly node: string; readonly member: number } | null;
  readonly term: number;
  readonly applied: number;
  readonly digest: { readonly index: number; readonly digest: string };
  readonly audit: { readonly index: number; readonly chain: string };
  readonly voters: readonly number[];
  readonly learners: readonly number[];
}

export async function memberFacts(client: TestClient, node: TestNode): Promise<MemberFacts> {
  const answer = await client.ask("GET", node.address, "/v1/member");
  if (answer.status !== 200) throw new Error(`/v1/member of ${node.name}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body as MemberFacts;
}

/** The node that a majority of the running nodes takes for the leader in one term, itself included. */
export function leaderOf(h: ClusterHarness, client: TestClient, withinMs: number): Promise<TestNode> {
  return eventually("a leader", withinMs, async () => {
    const running = h.nodes.filter((n) => n.process !== null);
    const facts = (await Promise.all(running.map((n) => memberFacts(client, n).catch(() => null)))).filter((f) => f !== null);
    const leader = facts.find((f) => f.role === "leader");
    const followers = facts.filter((f) => f.leader?.member === leader?.member && f.term === leader?.term);
    return leader !== undefined && followers.length > leader.voters.length / 2 ? h.node(leader.node) : undefined;
  });
}

/** Waits until the nodes take part and have applied the same entries, and gives their digests. */
export function sameDigests(client: TestClient, nodes: readonly TestNode[], withinMs: number): Promise<readonly string[]> {
  return eventually("equal applied indexes", withinMs, async () => {
    const facts = await Promise.all(nodes.map((n) => memberFacts(client, n)));
    // A member that is still asking others about its disk shows a digest as well, but takes no part yet.
    const takesPart = facts.every((f) => f.role === "leader" || f.role === "follower");
    const alike = takesPart && facts.every((f) => f.digest.index === facts[0]?.digest.index);
    return alike ? facts.map((f) => `${f.digest.index}: ${f.digest.digest}/${f.audit.chain}`) : undefined;
  });
}
