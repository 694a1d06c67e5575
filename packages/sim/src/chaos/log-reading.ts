/** Reads every member's whole log after the faults, and proves it as `aether audit verify` does. */
import type { AuditAnswer } from "@aether/cli/context/api";
import { ChainProof } from "@aether/cli/log/chain-proof";
import { registry } from "@aether/core/registry";
import { sameDigests } from "@aether/node/testing/cluster-facts";
import { eventually, type TestNode } from "@aether/node/testing/cluster-harness";
import { decodeCurrent } from "@aether/store/events/entry-codec";
import type { Daemons } from "./chaos-cluster.ts";
import type { LogEntry, MemberEnd } from "./evidence.ts";

export interface LogRead {
  readonly log: readonly LogEntry[];
  readonly members: readonly MemberEnd[];
  /** When all members stood at the log's end. */
  readonly readAt: number;
}

const pageEntries = 1_000;
const pageMs = 30_000;
/** As the log numbers its kinds: an entry of commands' events. The others are consensus's own. */
const normalEntry = 0;

/** Waits until all members stand at one index, then reads and proves what each holds up to there. Rejects when they do not get there. */
export async function readLogs(cluster: Daemons, withinMs: number): Promise<LogRead> {
  const heads = await sameDigests(cluster.operator, cluster.nodes, withinMs);
  const readAt = performance.now();
  const members: MemberEnd[] = [];
  let log: readonly LogEntry[] = [];
  for (const [place, node] of cluster.nodes.entries()) {
    const { index, digest, chain } = parseHead(heads[place] ?? "");
    const read = await readLog(cluster, node, index);
    if (place === 0) ({ log } = read);
    members.push({ node: node.name, index, digest, chain, disproved: read.disproved });
  }
  return { log, members, readAt };
}

interface OneLog {
  readonly log: readonly LogEntry[];
  readonly disproved: string | null;
}

async function readLog(cluster: Daemons, node: TestNode, to: number): Promise<OneLog> {
  const { harness } = cluster;
  const proof = new ChainProof(harness.clusterId, harness.ca.certificate);
  const log: LogEntry[] = [];
  for (let next = 1; next <= to;) {
    const page = await readPage(cluster, node, next, Math.min(pageEntries, to - next + 1));
    if (page.entries.length === 0) return { log, disproved: `there are no entries from ${next} on, though ${to} is applied` };
    const wrong = proof.add(page);
    if (wrong !== null) return { log, disproved: `entry ${wrong.index}: ${wrong.why}` };
    log.push(...page.entries.map(decode));
    next = page.to + 1;
  }
  return { log, disproved: null };
}

/** A member that is busy answers later. */
function readPage(cluster: Daemons, node: TestNode, from: number, limit: number): Promise<AuditAnswer> {
  return eventually(`${node.name} shows its log from ${from} on`, pageMs, async () => {
    const { status, body } = await cluster.operator.ask("GET", node.address, `/v1/audit?from=${from}&limit=${limit}`);
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body as AuditAnswer;
  });
}

function decode({ index, term, kind, data }: AuditAnswer["entries"][number]): LogEntry {
  const bytes = Buffer.from(data, "base64");
  if (kind !== normalEntry || bytes.length === 0) return { index, term, request: null, events: [] };
  const { request, events } = decodeCurrent(bytes, registry);
  return { index, term, request: request === null ? null : `${request.client}/${request.id}`, events };
}

/** "index: digest/chain", as sameDigests gives it. */
function parseHead(text: string): { readonly index: number; readonly digest: string; readonly chain: string } {
  const [, index, digest, chain] = /^(\d+): ([^/]*)\/(.*)$/.exec(text) ?? [];
  if (index === undefined || digest === undefined || chain === undefined) throw new Error(`"${text}" is no head of a log`);
  return { index: Number(index), digest, chain };
}
