/**
 * A real cluster for tests, benches and chaos: `aetherd` processes of the bundle that is shipped, on loopback ports, with
 * certificates of a throw-away CA and data folders under the system's temporary folder. Everything that was started is
 * ended and removed by dispose(), by the ids of the very processes it started.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, type WriteStream } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Role } from "@aether/core/kernel/event";
import { daemonNodeOptions } from "../daemon/node-options.ts";
import { deriveCa, type ClusterCa } from "../identity/cluster-ca.ts";
import { clientTls, type TlsMaterial } from "../identity/tls.ts";
import { makeTestClient, type TestClient } from "./test-client.ts";

export interface ClusterHarnessOptions {
  readonly size: number;
  /** Default 25 / 20 / 2: elections within half a second to a second. */
  readonly raft?: { readonly tickMs: number; readonly electionTicks: number; readonly heartbeatTicks: number };
  /** Entries kept behind the snapshot. */
  readonly historyKeep?: number;
  /** Keys of the daemon's `backup`; left out, there are no backups but those asked for. */
  readonly backup?: Readonly<Record<string, unknown>>;
  /** Program to run instead of {@link builtDaemon}. */
  readonly program?: string;
  /** Where `from` dials to reach `to`; default: the address that `to` listens on. Asked once, when the nodes are prepared. */
  readonly route?: (from: TestNode, to: TestNode) => Promise<string>;
  /** What node is given besides the daemon's own options, by member id, e.g. the inspector's address. */
  readonly nodeArguments?: (member: number) => readonly string[];
}

export interface TestNode {
  readonly name: string;
  readonly member: number;
  readonly address: string;
  readonly dataDir: string;
  readonly configFile: string;
  readonly logFile: string;
  /** Null while it is not running. */
  process: ChildProcess | null;
  /** What the last process ended with. */
  exit: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | null;
  output: WriteStream | null;
}

export interface ClusterHarness {
  readonly clusterId: string;
  readonly name: string;
  readonly folder: string;
  readonly nodes: readonly TestNode[];
  readonly electionMaxMs: number;
  readonly ca: ClusterCa;
  node(name: string): TestNode;
  /** Adds a node's folder, certificate and configuration, without starting it. */
  addNode(): Promise<TestNode>;
  /** `env` is added to this process's environment. */
  start(node: TestNode, env?: Readonly<Record<string, string>>): void;
  /** Sends the signal and waits for the process to be gone. */
  kill(node: TestNode, signal: NodeJS.Signals): Promise<void>;
  /** Waits for a process to end by itself. */
  ended(node: TestNode, withinMs: number): Promise<NonNullable<TestNode["exit"]>>;
  /** A certificate of this cluster. */
  material(role: Role, name: string): Promise<TlsMaterial>;
  client(role: Role): Promise<TestClient>;
  /** Starts all nodes, makes them the first voters, initialises the cluster and waits until every node is on duty. */
  form(): Promise<void>;
  logOf(node: TestNode): string;
  /** `keep`: what was written stays in `folder`. */
  dispose(how?: { readonly keep: boolean }): Promise<void>;
}

/** The daemon as it is shipped; process tests build it first. */
export const builtDaemon = join(import.meta.dirname, "../../dist/aetherd.js");

/** Polls until `ready` gives something other than undefined, or fails with `what` after `withinMs`. */
export async function eventually<T>(
  what: string,
  withinMs: number,
  ready: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const until = performance.now() + withinMs;
  let last = "";
  while (performance.now() < until) {
    try {
      const found = await ready();
      if (found !== undefined) return found;
    } catch (error) {
      last = ` (${error instanceof Error ? error.message : "failed"})`;
    }
    await new Promise((resume) => setTimeout(resume, 25));
  }
  throw new Error(`${what}: not within ${withinMs} ms${last}`);
}

/** Prepares folders, ports and certificates for `size` nodes n1, n2, …; nothing runs yet. */
export async function makeClusterHarness(o: ClusterHarnessOptions): Promise<ClusterHarness> {
  const folder = mkdtempSync(join(tmpdir(), "aether-cluster-"));
  const clusterId = randomBytes(16).toString("hex");
  const name = "test";
  const ca = await deriveCa(randomBytes(16).toString("hex"), name);
  const raft = o.raft ?? { tickMs: 25, electionTicks: 20, heartbeatTicks: 2 };
  const nodes: TestNode[] = [];
  const clients: TestClient[] = [];
  const program = o.program ?? builtDaemon;

  const material = async (role: Role, who: string): Promise<TlsMaterial> => {
    const hosts = ["127.0.0.1", "localhost"];
    return { ca: ca.certificate, ...(await ca.issue({ clusterId, role, name: who, hosts, days: 1 })) };
  };
  const prepare = async (member: number): Promise<TestNode> => {
    const nodeName = `n${member}`;
    const dir = join(folder, nodeName);
    mkdirSync(dir, { recursive: true });
    const tls = await material("member", nodeName);
    for (const [file, pem] of Object.entries(tls)) writeFileSync(join(dir, `${file}.pem`), pem, { mode: 0o600 });
    const port = await freePort();
    const node = { name: nodeName, member, address: `127.0.0.1:${port}`, dataDir: join(dir, "data") };
    return {
      ...node,
      configFile: join(dir, "node.json"),
      logFile: join(dir, "aetherd.log"),
      process: null,
      exit: null,
      output: null,
    };
  };
  const routesOf = async (node: TestNode): Promise<Record<string, string>> => {
    const { route } = o;
    if (route === undefined) return {};
    const others = nodes.filter((other) => other !== node);
    return Object.fromEntries(await Promise.all(others.map(async (other) => [other.address, await route(node, other)] as const)));
  };
  const configure = async (node: TestNode): Promise<void> => {
    const dir = join(folder, node.name);
    const [host, port] = node.address.split(":");
    const pem = (file: string): string => `file:${join(dir, `${file}.pem`)}`;
    const config = {
      cluster: { id: clusterId, name },
      node: { name: node.name, member: node.member },
      listen: { host, port: Number(port) },
      advertise: node.address,
      dataDir: node.dataDir,
      seeds: nodes.map(({ name: n, member, address }) => ({ name: n, member, address })),
      routes: await routesOf(node),
      tls: { ca: pem("ca"), certificate: pem("certificate"), key: pem("key") },
      raft,
      history: { keep: o.historyKeep ?? 10_000 },
      backup: { enabled: false, ...o.backup },
    };
    writeFileSync(node.configFile, JSON.stringify(config, null, 2));
  };
  const h: ClusterHarness = {
    clusterId,
    name,
    folder,
    nodes,
    ca,
    electionMaxMs: raft.tickMs * raft.electionTicks * 2,
    node: (wanted) => {
      const found = nodes.find((n) => n.name === wanted);
      if (found === undefined) throw new Error(`no node ${wanted}`);
      return found;
    },
    addNode: async () => {
      const node = await prepare(nodes.length + 1);
      nodes.push(node);
      await configure(node);
      return node;
    },
    start: (node, env = {}) => launch(node, [...daemonNodeOptions, ...(o.nodeArguments?.(node.member) ?? []), program], env),
    kill: async (node, signal) => {
      node.process?.kill(signal);
      await h.ended(node, 15_000);
    },
    ended: (node, withinMs) =>
      eventually(`${node.name} ends`, withinMs, () => (node.process === null ? (node.exit ?? undefined) : undefined)),
    material,
    client: async (role) => {
      const tls = clientTls(await material(role, role === "operator" ? "ops" : role), { clusterId });
      const client = makeTestClient(tls, () => nodes.map((n) => n.address));
      clients.push(client);
      return client;
    },
    form: () => formCluster(h),
    logOf: (node) => readFileSync(node.logFile, "utf8"),
    dispose: async (how = { keep: false }) => {
      for (const client of clients) client.close();
      await Promise.all(nodes.filter((n) => n.process !== null).map((n) => h.kill(n, "SIGKILL")));
      for (const n of nodes) n.output?.end();
      if (!how.keep) rmSync(folder, { recursive: true, force: true });
    },
  };
  for (let member = 1; member <= o.size; member++) nodes.push(await prepare(member));
  for (const node of nodes) await configure(node);
  return h;
}

function launch(node: TestNode, program: readonly string[], env: Readonly<Record<string, string>>): void {
  if (node.process !== null) throw new Error(`${node.name} runs already`);
  const child = spawn(process.execPath, [...program, "--config", node.configFile], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  node.process = child;
  node.exit = null;
  node.output ??= createWriteStream(node.logFile, { flags: "a" });
  child.stdout.pipe(node.output, { end: false });
  child.stderr.pipe(node.output, { end: false });
  child.on("exit", (code, signal) => {
    node.exit = { code, signal };
    node.process = null;
  });
}

async function formCluster(h: ClusterHarness): Promise<void> {
  const operator = await h.client("operator");
  for (const node of h.nodes) h.start(node);
  const members = h.nodes.map(({ name, member, address }) => ({ name, member, address }));
  for (const node of h.nodes) {
    await eventually(`${node.name} answers`, 20_000, async () => {
      const live = await operator.ask("GET", node.address, "/v1/health/live");
      return live.status === 200 ? true : undefined;
    });
  }
  for (const node of h.nodes) {
    const made = await operator.ask("POST", node.address, "/v1/bootstrap", {
      cluster: { id: h.clusterId, name: h.name },
      members,
    });
    if (made.status !== 200) throw new Error(`bootstrap of ${node.name}: ${made.status} ${JSON.stringify(made.body)}`);
  }
  const command = { type: "InitialiseCluster", id: h.name, clusterId: h.clusterId, size: h.nodes.length, provider: "local" };
  await eventually("the cluster is initialised", 20_000, async () => {
    const first = h.nodes[0]?.address ?? "";
    const done = await operator.ask("POST", first, "/v1/commands", { ...command, configuration: {}, members });
    if (done.status >= 400 && done.status < 500) throw new Error(`InitialiseCluster: ${JSON.stringify(done.body)}`);
    return done.status === 200 ? true : undefined;
  });
  await eventually("every node is ready", 20_000, async () => {
    const ready = await Promise.all(h.nodes.map((n) => operator.ask("GET", n.address, "/v1/health/ready")));
    return ready.every((r) => r.status === 200) ? true : undefined;
  });
}

/** Below the ports that kernels hand out by themselves: nobody's outgoing connection, and no proxy, comes to sit on one of these. */
const portRange = [10_240, 32_000] as const;
const portTries = 100;
/** What was given away may not be listened on yet. */
const given = new Set<number>();

/** A loopback port that nothing listened on a moment ago. */
export async function freePort(): Promise<number> {
  const [low, high] = portRange;
  for (let left = portTries; left > 0; left--) {
    const port = low + Math.floor(Math.random() * (high - low));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port in ${portTries} tries from ${low} to ${high}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => resolve(true)));
  });
}
