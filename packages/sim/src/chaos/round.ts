/**
 * One round: a cluster of real daemons is formed and put under load, things go wrong by a schedule, everything is healed, and what
 * clients, watchers and the log say is judged.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { memberFacts } from "@aether/node/testing/cluster-facts";
import { eventually } from "@aether/node/testing/cluster-harness";
import { clientTls } from "@aether/node/identity/tls";
import { makeStream, type Stream } from "../world/stream.ts";
import type { KeyState } from "../checks/key-model.ts";
import { Daemons } from "./chaos-cluster.ts";
import type { Disaster } from "./disaster.ts";
import type { Evidence } from "./evidence.ts";
import { Faults } from "./faults.ts";
import { FeedWatcher } from "./feed-watcher.ts";
import { judge, type Finding } from "./judge.ts";
import { readLogs } from "./log-reading.ts";
import { RecordedClient } from "./recorded-client.ts";
import { drawSchedule, type Happening } from "./schedule.ts";

export interface RoundOptions {
  readonly seed: number;
  readonly members: number;
  /** How long faults begin, ms. */
  readonly forMs: number;
  /** Operations a second that must be acknowledged before the first fault, or the round says nothing. */
  readonly floorPerS: number;
  /** Windows of load that may pass until one reaches the floor. */
  readonly warmups: number;
  readonly rate?: number | undefined;
  readonly without: readonly string[];
  readonly disasters: readonly Disaster[];
  /** Keeps logs, folders and evidence also when nothing was wrong. */
  readonly keep?: boolean;
  /** In place of the clients' reads: for tests that want wrong reads to be found. */
  readonly read?: (cluster: Daemons) => (key: string, stream: Stream) => Promise<KeyState | null>;
  /** Told of the cluster before anything of it runs, for whoever may have to end it early. */
  readonly opened?: (cluster: Daemons) => void;
  /** A line for whoever waits. */
  readonly say?: (text: string) => void;
}

export type Verdict = "sound" | "broken" | "inconclusive";

export interface RoundReport {
  readonly seed: number;
  readonly members: number;
  readonly verdict: Verdict;
  readonly findings: readonly Finding[];
  /** Acknowledged operations a second before the first fault. */
  readonly warmPerS: number;
  /** What was done and what came of it, by name. */
  readonly counts: Readonly<Record<string, number>>;
  readonly tookMs: number;
  /** Where logs, data, evidence and schedule lie, when there were findings; null when they were thrown away. */
  readonly kept: string | null;
  readonly evidence: Evidence | null;
}

const clients = 8;
const watchers = 2;
const keys = ["chaos/a", "chaos/b", "chaos/c", "chaos/d"];
const thinkMs = 4;
const warmupMs = 2_000;
/** After the last fault: until everybody takes part again, everybody agrees, and watchers have seen the end. */
const limits = { whole: 120_000, write: 60_000, agree: 60_000, watch: 60_000 };
const watchersMoveMs = 4_000;

export async function runRound(o: RoundOptions): Promise<RoundReport> {
  const began = performance.now();
  const schedule = drawSchedule({ ...o, disasters: o.disasters.map(({ name }) => name) });
  const cluster = await Daemons.prepare(o.members, o.seed);
  o.opened?.(cluster);
  const round = new Round(o, cluster, schedule);
  let kept: string | null = null;
  let result: Outcome | null = null;
  try {
    result = await round.run();
    if (result.findings.length > 0 || o.keep === true) kept = await leaveBehind(cluster, schedule, result);
  } finally {
    await round.end();
    await cluster.close(kept !== null || result === null);
  }
  const { seed, members } = o;
  return { seed, members, ...result, counts: round.counts(), tookMs: performance.now() - began, kept };
}

type Outcome = Pick<RoundReport, "verdict" | "findings" | "warmPerS" | "evidence">;

class Round {
  readonly #o: RoundOptions;
  readonly #cluster: Daemons;
  readonly #faults: Faults;
  readonly #clients: RecordedClient[] = [];
  readonly #watchers: FeedWatcher[] = [];
  #mover: NodeJS.Timeout | null = null;

  constructor(o: RoundOptions, cluster: Daemons, schedule: readonly Happening[]) {
    this.#o = o;
    this.#cluster = cluster;
    this.#faults = new Faults(cluster, schedule, o.disasters, o.seed);
  }

  async run(): Promise<Outcome> {
    const say = this.#o.say ?? (() => undefined);
    try {
      await this.#cluster.form();
    } catch (error) {
      // Other tests look at how clusters form. Here nothing has been learnt yet.
      const finding = { rule: "the cluster forms", detail: messageOf(error) };
      return { verdict: "inconclusive", findings: [finding], warmPerS: 0, evidence: null };
    }
    await this.#startLoad();
    const warmPerS = await this.#warmUp();
    if (warmPerS < this.#o.floorPerS) return { verdict: "inconclusive", findings: [], warmPerS, evidence: null };
    this.#cluster.tell("round", `faults begin, ${warmPerS.toFixed(0)} operations/s`);
    say(`${this.#o.members} members, seed ${this.#o.seed}: ${warmPerS.toFixed(0)} operations/s, faults begin`);
    await this.#faults.run(this.#o.forMs);
    this.#cluster.tell("round", "faults are over");
    say("faults are over, everybody comes back");
    try {
      await this.#recover();
    } catch (error) {
      const finding = { rule: "a healed cluster works again", detail: messageOf(error) };
      return { verdict: "broken", findings: [finding, ...this.#incidents().map(asFinding)], warmPerS, evidence: null };
    }
    const evidence = await this.#gather();
    say(`judging ${evidence.operations.length} operations, ${evidence.log.length} entries`);
    const findings = judge(evidence);
    return { verdict: findings.length === 0 ? "sound" : "broken", findings, warmPerS, evidence };
  }

  /** Ends clients and watchers, whatever happened. */
  async end(): Promise<void> {
    if (this.#mover !== null) clearInterval(this.#mover);
    await Promise.all([...this.#clients, ...this.#watchers].map((one) => one.stop()));
  }

  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    const add = (prefix: string, of: Iterable<readonly [string, number]>): void => {
      for (const [name, value] of of) counts[`${prefix}.${name}`] = (counts[`${prefix}.${name}`] ?? 0) + value;
    };
    add("faults", this.#faults.counts);
    for (const client of this.#clients) add("clients", Object.entries(client.counts));
    for (const watcher of this.#watchers) add("watch", Object.entries(watcher.counts));
    add("links", Object.entries(this.#cluster.net.counts()));
    return counts;
  }

  async #startLoad(): Promise<void> {
    const { seed, read } = this.#o;
    const { harness } = this.#cluster;
    const endpoints = harness.nodes.map((node) => node.address);
    for (let number = 1; number <= clients; number++) {
      const name = `c${number}`;
      const tls = clientTls(await harness.material("operator", name), { clusterId: harness.clusterId });
      const stream = makeStream(seed, `load/${name}`);
      const parts = { name, number, endpoints, tls, stream, keys, thinkMs };
      this.#clients.push(new RecordedClient(read === undefined ? parts : { ...parts, read: read(this.#cluster) }));
    }
    for (let number = 1; number <= watchers; number++) {
      const name = `w${number}`;
      const tls = clientTls(await harness.material("viewer", name), { clusterId: harness.clusterId });
      this.#watchers.push(new FeedWatcher({ name, endpoints, tls, stream: makeStream(seed, `watch/${name}`) }));
    }
    // One that reads at a member that is cut off would wait for the end of that.
    const chance = makeStream(seed, "watch/moves");
    this.#mover = setInterval(() => chance.pick(this.#watchers).move(), watchersMoveMs);
  }

  /** Operations a second in the best window so far; ends with the first that reaches the floor. */
  async #warmUp(): Promise<number> {
    let best = 0;
    for (let window = 0; window < this.#o.warmups && best < this.#o.floorPerS; window++) {
      const before = this.#acknowledged();
      await this.#cluster.pause(warmupMs);
      best = Math.max(best, ((this.#acknowledged() - before) * 1_000) / warmupMs);
    }
    return best;
  }

  #acknowledged(): number {
    return this.#clients.reduce((sum, { counts }) => sum + counts.acknowledged, 0);
  }

  /** Everybody takes part, and a write of each client is taken, within the limits. */
  async #recover(): Promise<void> {
    for (const node of this.#cluster.nodes) await this.#cluster.takesPart(node, limits.whole);
    const before = this.#acknowledged();
    await eventually("an operation is acknowledged", limits.write, () => (this.#acknowledged() > before ? true : undefined));
    await Promise.all(this.#clients.map((client) => client.stop()));
  }

  async #gather(): Promise<Evidence> {
    const { log, members, readAt } = await readLogs(this.#cluster, limits.agree);
    const last = log.length;
    await eventually("watchers see the end", limits.watch, () =>
      this.#watchers.every(({ next }) => next > last) ? true : undefined,
    )
      // What is missing is told by the judge.
      .catch(() => undefined);
    const watched = this.#watchers.map(({ name, seen, refusals }) => ({
      name,
      refusals: [...refusals],
      seen: seen.filter(({ index }) => index <= last),
    }));
    const operations = this.#clients.flatMap((client) => client.operations);
    return { operations, log, readAt, members, watched, incidents: this.#incidents() };
  }

  #incidents(): readonly string[] {
    return [...this.#cluster.unexpected, ...this.#faults.incidents, ...this.#clients.flatMap(({ incidents }) => incidents)];
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const asFinding = (detail: string): Finding => ({ rule: "no incident", detail });

/** Writes schedule, timeline and evidence beside the daemons' logs and data, and gives the folder. */
async function leaveBehind(cluster: Daemons, schedule: readonly Happening[], { findings, evidence }: Outcome): Promise<string> {
  const folder = join(cluster.harness.folder, "chaos");
  await mkdir(folder, { recursive: true });
  const facts = await Promise.all(
    cluster.nodes.map((node) => memberFacts(cluster.operator, node).catch((error: Error) => error.message)),
  );
  const write = (name: string, content: unknown): Promise<void> =>
    writeFile(join(folder, name), `${JSON.stringify(content, null, 1)}\n`);
  await write("findings.json", findings);
  await write("schedule.json", schedule);
  await write("members.json", facts);
  await writeFile(join(folder, "timeline.txt"), `${cluster.timeline.join("\n")}\n`);
  if (evidence !== null) await write("evidence.json", evidence);
  return cluster.harness.folder;
}
