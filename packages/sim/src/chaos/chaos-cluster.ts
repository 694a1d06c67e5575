/**
 * A cluster of real daemons whose links go through proxies, and who may touch which of its processes. Everything that was
 * started is ended by close().
 */
import { existsSync } from "node:fs";
import { memberFacts } from "@aether/node/testing/cluster-facts";
import {
  builtDaemon,
  eventually,
  makeClusterHarness,
  type ClusterHarness,
  type TestNode,
} from "@aether/node/testing/cluster-harness";
import type { TestClient } from "@aether/node/testing/test-client";
import { makeStream, type Stream } from "../world/stream.ts";
import type { ChaosCluster } from "./disaster.ts";
import { LinkNet } from "./link-net.ts";

/** Far more entries than a run writes: the log is read from its beginning afterwards. */
const keepEntries = 10_000_000;

export class Daemons implements ChaosCluster {
  readonly harness: ClusterHarness;
  readonly operator: TestClient;
  readonly net: LinkNet;
  /** "seconds who what" */
  readonly timeline: string[] = [];
  /** Ends of processes that nobody brought about. */
  readonly unexpected: string[] = [];
  readonly #began = performance.now();
  readonly #held = new Set<TestNode>();
  readonly #paused = new Set<TestNode>();
  /** Processes that are being ended on purpose. */
  readonly #doomed = new Set<unknown>();
  readonly #wakers = new Set<() => void>();
  #ending = false;

  private constructor(harness: ClusterHarness, operator: TestClient, net: LinkNet) {
    this.harness = harness;
    this.operator = operator;
    this.net = net;
  }

  /** Prepares a cluster; nothing runs until form(). Throws when the daemon's bundle is not there. */
  static async prepare(size: number, seed: number): Promise<Daemons> {
    if (!existsSync(builtDaemon)) throw new Error(`${builtDaemon} is not there: run "node .ci/build.ts" first`);
    const net = new LinkNet(makeStream(seed, "links"));
    const harness = await makeClusterHarness({
      size,
      historyKeep: keepEntries,
      route: (from, to) => net.route(from.name, to.name, to.address),
    });
    return new Daemons(harness, await harness.client("operator"), net);
  }

  get nodes(): readonly TestNode[] {
    return this.harness.nodes;
  }

  /** Starts all nodes, makes them a cluster, and waits until every one is on duty. */
  async form(): Promise<void> {
    await this.harness.form();
    for (const node of this.nodes) this.#watch(node);
    for (const node of this.nodes) await this.takesPart(node, 60_000);
  }

  tell(who: string, what: string): void {
    this.timeline.push(`${((performance.now() - this.#began) / 1000).toFixed(3).padStart(9)} ${who.padEnd(12)} ${what}`);
  }

  /** Nodes that nobody holds. */
  get free(): readonly TestNode[] {
    return this.nodes.filter((node) => !this.#held.has(node));
  }

  isPaused(node: TestNode): boolean {
    return this.#paused.has(node);
  }

  take(stream: Stream): TestNode | null {
    const { free } = this;
    const takeable = free
      .filter(({ process }) => process !== null && !this.#doomed.has(process))
      .filter((node) => !this.#paused.has(node));
    if (takeable.length === 0) return null;
    const node = stream.pick(takeable);
    this.#held.add(node);
    return node;
  }

  giveBack(node: TestNode): void {
    this.#held.delete(node);
    if (node.process === null) this.start(node);
  }

  start(node: TestNode, environment: Readonly<Record<string, string>> = {}): void {
    if (this.#ending) return;
    this.tell(node.name, ["starts", ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)].join(" "));
    this.harness.start(node, environment);
    this.#watch(node);
  }

  async kill(node: TestNode, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (node.process === null) return;
    this.tell(node.name, signal);
    this.#doomed.add(node.process);
    this.#paused.delete(node);
    await this.harness.kill(node, signal);
  }

  stop(node: TestNode): void {
    if (node.process === null || this.#paused.has(node)) return;
    this.tell(node.name, "SIGSTOP");
    this.#paused.add(node);
    node.process.kill("SIGSTOP");
  }

  resume(node: TestNode): void {
    if (!this.#paused.delete(node)) return;
    this.tell(node.name, "SIGCONT");
    node.process?.kill("SIGCONT");
  }

  ended(node: TestNode, withinMs: number): Promise<NonNullable<TestNode["exit"]>> {
    return this.harness.ended(node, withinMs);
  }

  async takesPart(node: TestNode, withinMs: number): Promise<void> {
    await eventually(`${node.name} takes part`, withinMs, async () => {
      const { member, role, voters, learners } = await memberFacts(this.operator, node);
      const votes = voters.includes(member) && learners.length === 0;
      if (!votes || (role !== "leader" && role !== "follower")) return undefined;
      const row = await this.operator.ask("GET", node.address, `/v1/nodes/${node.name}`);
      return (row.body as { duty?: unknown }).duty === "on-duty" ? true : undefined;
    });
  }

  pause(ms: number): Promise<void> {
    if (this.#ending || ms <= 0) return Promise.resolve();
    return new Promise((resume) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        resume();
      };
      const timer = setTimeout(wake, ms);
      this.#wakers.add(wake);
    });
  }

  /** Links are as good as new, paused processes go on, dead ones are started; nodes that somebody holds are left alone. */
  heal(): void {
    this.net.heal();
    for (const node of this.free) {
      this.resume(node);
      if (node.process === null) this.start(node);
    }
  }

  /** Ends all pauses early. */
  wake(): void {
    for (const waker of this.#wakers) waker();
  }

  /** Ends every process and proxy; `keep`: the folder with all logs and data stays. */
  async close(keep: boolean): Promise<void> {
    this.#ending = true;
    this.wake();
    for (const node of this.nodes) if (node.process !== null) this.#doomed.add(node.process);
    await this.harness.dispose({ keep });
    await this.net.close();
  }

  #watch(node: TestNode): void {
    const child = node.process;
    child?.once("exit", (code, signal) => {
      this.#paused.delete(node);
      const how = signal ?? `code ${code}`;
      if (this.#doomed.delete(child)) return;
      this.tell(node.name, `ended by itself: ${how}`);
      if (!this.#held.has(node)) this.unexpected.push(`${node.name} ended by itself with ${how}`);
    });
  }
}
