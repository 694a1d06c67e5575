import { readFile } from "node:fs/promises";
import type { Api, AuditAnswer, ClusterAnswer, MemberAnswer, NodesAnswer } from "../context/api.ts";
import { connect, type Connection } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { ChainProof, type Disproof, type Proof } from "./chain-proof.ts";

const pageEntries = 1_000;
const answerMs = 2_000;

/** `aether audit verify`: exit code 0 only when every digest and every signature in the range is right. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const member = call.text("member");
  const api = member === undefined ? connection.api : await memberApi(connection, member);
  const head = await api.call<MemberAnswer>("GET", "/v1/member");
  const to = Math.min(call.integer("to") ?? head.applied, head.applied);
  const from = call.integer("from") ?? Math.max(1, head.first);
  if (from > to) throw new Failure(exit.usage, `nothing lies from ${from} to ${to}`, `${head.node} has applied ${head.applied}`);
  const { recoveries } = await api.call<Partial<ClusterAnswer>>("GET", "/v1/cluster?consistency=stale");
  const proof = new ChainProof(connection.context.cluster.id, await readFile(connection.context.ca, "utf8"), recoveries);
  const progress = follow(shell);
  const wrong = await addPages(api, proof, from, to, (text) => progress.say(text));
  progress.end();
  const result = { member: head.node, ...(wrong ?? proof.result()) };
  const others = result.verified ? await compareMembers(connection, head.node, result) : [];
  connection.close();
  const split = others.filter((other) => !other.agrees);
  if (call.output === "json")
    shell.out(`${JSON.stringify({ ...result, verified: result.verified && split.length === 0, others })}\n`);
  if (!result.verified) throw disproved(result, head.node);
  if (split.length > 0) {
    const names = split.map((other) => other.node).join(", ");
    throw new Failure(
      exit.failed,
      `${names} recorded another digest at ${result.to} than ${head.node}`,
      "verify each with --member to see whose log is sound",
    );
  }
  if (call.output !== "json") shell.out(`${provedText(result, head.node, others)}\n`);
  return exit.done;
};

const disproved = (d: Disproof, node: string): Failure =>
  new Failure(
    exit.failed,
    `the log of ${node} is NOT what was written: entry ${d.index}: ${d.why}`,
    "keep that node's folder as evidence; --member NODE verifies another copy",
  );

async function addPages(
  api: Api,
  proof: ChainProof,
  from: number,
  to: number,
  say: (text: string) => void,
): Promise<Disproof | null> {
  for (let next = from; next <= to;) {
    const limit = Math.min(pageEntries, to - next + 1);
    const page = await api.call<AuditAnswer>("GET", `/v1/audit?from=${next}&limit=${limit}`, { timeoutMs: 30_000 });
    if (page.entries.length === 0)
      throw new Failure(exit.failed, `there are no entries from ${next} on, though ${to} is applied`, "");
    const wrong = proof.add(page);
    if (wrong !== null) return wrong;
    say(`verified up to ${page.to} of ${to}`);
    next = page.to + 1;
  }
  return null;
}

async function memberApi(connection: Connection, name: string): Promise<Api> {
  const { nodes } = await connection.api.call<NodesAnswer>("GET", "/v1/nodes?consistency=stale");
  const node = nodes.find((candidate) => candidate.name === name);
  if (node?.address != null) return connection.member(node.address);
  throw new Failure(
    exit.notFound,
    `there is no node ${name} with an address`,
    `nodes: ${nodes.map((candidate) => candidate.name).join(", ")}`,
  );
}

interface Other {
  readonly node: string;
  readonly agrees: boolean;
}

/** What every other member recorded at the range's end; those that do not answer, or have compacted it, say nothing. */
async function compareMembers(connection: Connection, asked: string, proof: Proof): Promise<readonly Other[]> {
  const { nodes } = await connection.api.call<NodesAnswer>("GET", "/v1/nodes?consistency=stale");
  const others = nodes.filter((node) => !node.left && node.address !== null && node.name !== asked);
  const verdicts = await Promise.all(
    others.map(async (node): Promise<Other | null> => {
      try {
        const path = `/v1/audit?from=${proof.to}&limit=1`;
        const page = await connection.member(node.address ?? "").call<AuditAnswer>("GET", path, { timeoutMs: answerMs });
        return page.to === proof.to ? { node: node.name, agrees: page.after === proof.chain } : null;
      } catch (error) {
        if (error instanceof Failure) return null;
        throw error;
      }
    }),
  );
  return verdicts.filter((verdict) => verdict !== null);
}

function provedText(p: Proof, node: string, others: readonly Other[]): string {
  const signed =
    p.signedUpTo === null
      ? "no signed checkpoint lies in it yet"
      : `signed by members up to ${p.signedUpTo} (${p.checkpoints} checkpoints)`;
  const foreign = p.foreign === 0 ? "" : `; ${p.foreign} checkpoints of a cluster before it, with another secret, prove nothing`;
  const agree = others.length === 0 ? "" : `; ${others.map((other) => other.node).join(", ")} recorded the same`;
  return `entries ${p.from} to ${p.to} of ${node} are unbroken (${p.entries} entries, chain ${p.chain.slice(0, 16)}…); ${signed}${foreign}${agree}`;
}
