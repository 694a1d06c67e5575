/**
 * Our side: three real daemons from a build, formed by the same harness that the process tests use, on ports and in folders of
 * their own, and the load of bench/stream-load.ts on them. Heartbeats every 100 ms and elections after 1 to 2 s, as etcd's.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keepDefault } from "@aether/core/config/raft-timing";
import { makeClusterHarness, type ClusterHarness, type TestNode } from "@aether/node/testing/cluster-harness";
import { runLoad, runProbe, type BenchCluster, type LoadOptions } from "./load.ts";
import { ask, type ClientFiles } from "./member-http.ts";

const raft = { tickMs: 50, electionTicks: 20, heartbeatTicks: 2 };
const backupMaxMs = 300_000;
const script = join(import.meta.dirname, "stream-load.ts");

/** What node is given before the daemon's program, per member, e.g. the inspector's address. */
export type NodeArguments = (place: number) => readonly string[];

/** What GET /v1/member answers, as far as a bench looks at it. */
interface MemberAnswer {
  readonly role: string;
  readonly applied: number;
  readonly first: number;
}

/** Forms a cluster of `program`, a bundled aetherd. Nothing is left behind when it rejects. */
export async function startAether(program: string, nodeArguments: NodeArguments = () => []): Promise<BenchCluster> {
  const harness = await makeClusterHarness({
    size: 3,
    raft,
    program,
    historyKeep: keepDefault,
    nodeArguments: (member) => nodeArguments(member - 1),
  });
  try {
    await harness.form();
    const operator = await harness.material("operator", "bench");
    return clusterOf(harness, operator);
  } catch (cause) {
    await harness.dispose();
    throw cause;
  }
}

function clusterOf(harness: ClusterHarness, operator: ClientFiles): BenchCluster {
  const secure = (["ca", "certificate", "key"] as const).flatMap((name) => {
    const file = join(harness.folder, `operator-${name}.pem`);
    writeFileSync(file, operator[name], { mode: 0o600 });
    return [name === "certificate" ? "--cert" : `--${name}`, file];
  });
  const endpoints = ["--endpoints", harness.nodes.map((node) => node.address).join(","), "--cluster-id", harness.clusterId];
  const client = [script, ...endpoints, ...secure];
  const node = (place: number): TestNode => harness.node(`n${place + 1}`);
  const member = async (place: number): Promise<MemberAnswer | null> => {
    const answer = await ask(node(place).address, operator, "GET", "/v1/member");
    return answer?.status === 200 ? (answer.body as MemberAnswer) : null;
  };
  const logBegins = new Map<number, number>();
  return {
    get members() {
      return harness.nodes.map(({ name, process }) => ({ name, pid: process?.pid ?? null }));
    },
    get pids() {
      return harness.nodes.flatMap((each) => each.process?.pid ?? []);
    },
    load: (o: LoadOptions) => {
      const packing = o.onePerMessage === true ? ["--one-per-message"] : [];
      return runLoad(process.execPath, [...client, ...packing], o);
    },
    probe: (everyMs) => runProbe(process.execPath, client, everyMs),
    leader: () => placeOf(harness.nodes.length, async (place) => (await member(place))?.role === "leader"),
    facts: member,
    serves: async (place) => {
      const answer = await ask(node(place).address, operator, "GET", "/v1/settings/bench%2Fk0");
      return answer?.status === 200;
    },
    consensusSince: (place) => {
      const log = harness.logOf(node(place)).slice(logBegins.get(place) ?? 0);
      const at = /^(\S+) info running /m.exec(log)?.[1];
      return at === undefined ? null : Date.parse(at);
    },
    start: (place) => {
      logBegins.set(place, readFileSync(node(place).logFile, "utf8").length);
      harness.start(node(place));
    },
    backUp: async () => {
      const place = await placeOf(harness.nodes.length, async (each) => (await member(each))?.role === "leader");
      const answer = await ask(node(place).address, operator, "POST", "/v1/backups", {}, backupMaxMs);
      if (answer?.status !== 200) throw new Error(`no backup was made: ${JSON.stringify(answer)}`);
      return answer.body as { readonly things: number };
    },
    signal: async (place, signal) => {
      if (signal === "SIGKILL") await harness.kill(node(place), signal);
      else node(place).process?.kill(signal);
    },
    stop: () => harness.dispose(),
  };
}

/** The place for which `leads` says yes, asked again for up to 20 s. */
export async function placeOf(members: number, leads: (place: number) => Promise<boolean>): Promise<number> {
  for (const until = performance.now() + 20_000; performance.now() < until;) {
    const answers = await Promise.all(Array.from({ length: members }, (_, place) => leads(place)));
    const place = answers.indexOf(true);
    if (place >= 0) return place;
    await new Promise((resume) => setTimeout(resume, 20));
  }
  throw new Error("no member says that it leads");
}
