/**
 * Where the time of a commit goes when one writer waits for each answer:
 *
 *   node bench/timeline.ts [aetherd.js [COMMITS [SHARE]]]
 *
 * Three members of a build that writes down when each step happened (stamped-build.ts), and one client in this process. Times are
 * medians over the commits, counted from the moment at which the client asked. SHARE (default 1) looks at the quickest commits alone:
 * on a machine that others use as well, the quicker half are those that nobody stood in the way of.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStreamClient } from "@aether/node/client/stream-client";
import { clientTls } from "@aether/node/identity/tls";
import { type ClusterHarness, makeClusterHarness } from "@aether/node/testing/cluster-harness";
import { machineLine } from "./machine.ts";
import { readStamps, type Stamp, stampedBuild, type Step } from "./stamped-build.ts";
import { pause } from "./stage.ts";
import { median, quantile } from "./statistics.ts";

const program = process.argv[2] ?? join(import.meta.dirname, "../packages/node/dist/aetherd.js");
const commits = Number(process.argv[3] ?? 3_000);
const share = Number(process.argv[4] ?? 1);
const warm = 1_000;
const keys = 2_000;
const raft = { tickMs: 50, electionTicks: 20, heartbeatTicks: 2 };
const stampsMaxMs = 5_000;

interface Commit {
  readonly index: number;
  readonly askedUs: number;
  readonly sentUs: number;
  readonly answeredUs: number;
}

const tookUs = ({ askedUs, answeredUs }: Commit): number => answeredUs - askedUs;
const nowUs = (): number => Number(process.hrtime.bigint()) / 1e3;

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "aether-timeline-"));
  const harness = await makeClusterHarness({ size: 3, raft, program: stampedBuild(program, folder) });
  try {
    await harness.form();
    const done = await write(harness);
    report(done, await stampsOf(harness, folder));
  } finally {
    await harness.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function write(harness: ClusterHarness): Promise<Commit[]> {
  const endpoints = harness.nodes.map(({ address }) => address);
  const tls = clientTls(await harness.material("operator", "bench"), { clusterId: harness.clusterId });
  const client = openStreamClient({ endpoints, tls, deadlineMs: 30_000 });
  const one = (n: number): Promise<Commit> =>
    new Promise((resolve, reject) => {
      const askedUs = nowUs();
      let sentUs = 0;
      const command = { type: "SetSetting", id: `bench/k${n % keys}`, value: `${n} ${"x".repeat(250)}` };
      client.submit(command, `timeline-${n}`, (answer) => {
        if (answer.ok) resolve({ index: answer.index, askedUs, sentUs, answeredUs: nowUs() });
        else reject(new Error(`write ${n} was refused: ${JSON.stringify(answer)}`));
      });
      // Behind the client's own flush, which stands in this queue already.
      queueMicrotask(() => (sentUs = nowUs()));
    });
  try {
    const done: Commit[] = [];
    for (let n = 0; n < warm + commits; n++) done.push(await one(n));
    return done.slice(warm);
  } finally {
    client.close();
  }
}

async function stampsOf(harness: ClusterHarness, folder: string): Promise<Member[]> {
  const members: Member[] = [];
  for (const { process: child } of harness.nodes) {
    if (child?.pid === undefined) throw new Error("a member has ended");
    const file = join(folder, `${child.pid}.stamps`);
    child.kill("SIGUSR2");
    for (const until = performance.now() + stampsMaxMs; !existsSync(file); await pause(20))
      if (performance.now() > until) throw new Error("a member does not tell its stamps");
    members.push(new Member(readStamps(file)));
  }
  return members;
}

/** When the steps of one member happened. A step that does not know its entry is found beside one that does. */
class Member {
  readonly #byEntry = new Map<string, number[]>();
  readonly #byStep = new Map<Step, number[]>();

  constructor(stamps: readonly Stamp[]) {
    for (const { step, index, us } of stamps) {
      push(this.#byEntry, `${step} ${index}`, us);
      push(this.#byStep, step, us);
    }
  }

  /** NaN when it did not happen `nth + 1` times. */
  at(step: Step, index: number, nth = 0): number {
    return this.#byEntry.get(`${step} ${index}`)?.[nth] ?? Number.NaN;
  }

  before(step: Step, us: number): number {
    return this.#byStep.get(step)?.findLast((each) => each <= us) ?? Number.NaN;
  }

  after(step: Step, us: number): number {
    return this.#byStep.get(step)?.find((each) => each >= us) ?? Number.NaN;
  }

  get decides(): boolean {
    return this.#byStep.has("decided");
  }
}

function push<K>(map: Map<K, number[]>, key: K, value: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

type Row = readonly [name: string, us: number];

function rowsOf({ index, sentUs, answeredUs }: Commit, leader: Member, followers: readonly Member[]): Row[] {
  const [first, second] = followers.toSorted((a, b) => a.at("sent", index) - b.at("sent", index)) as [Member, Member];
  const decided = leader.at("decided", index);
  const answering = leader.after("answering", leader.at("committed", index));
  return [
    ["client: request is sent", sentUs],
    ["leader: request is read", leader.before("asked", decided)],
    ["leader: decided and proposed", decided],
    ["leader: turn begins", leader.before("turn", leader.at("writing", index))],
    ["leader: log write begins", leader.at("writing", index)],
    ["leader: log write is with the thread pool", leader.after("handed", leader.at("writing", index))],
    ["leader: first append is being sent", leader.at("sending", index)],
    ["leader: both appends are sent", leader.at("sent", index)],
    ["leader: log write is durable", leader.at("durable", index)],
    ...followerRows("first follower", first, index),
    ["leader: first ack is read", leader.at("received", index)],
    ["leader: committed", leader.at("committed", index)],
    ["leader: applied", leader.at("applied", index)],
    ["leader: answer is being sent", answering],
    ["leader: answer is sent", leader.after("answered", answering)],
    ["client: answer is read", answeredUs],
    ...followerRows("second follower", second, index),
    ["leader: second ack is read", leader.at("received", index, 1)],
  ];
}

function followerRows(name: string, follower: Member, index: number): Row[] {
  return [
    [`${name}: append is read`, follower.at("received", index)],
    [`${name}: log write begins`, follower.at("writing", index)],
    [`${name}: log write is with the thread pool`, follower.after("handed", follower.at("writing", index))],
    [`${name}: log write is durable`, follower.at("durable", index)],
    [`${name}: ack is being sent`, follower.at("sending", index)],
    [`${name}: ack is sent`, follower.at("sent", index)],
  ];
}

function report(done: readonly Commit[], members: readonly Member[]): void {
  const leader = members.find((each) => each.decides);
  if (leader === undefined) throw new Error("no member decided anything");
  const followers = members.filter((each) => each !== leader);
  const quickest = done.toSorted((a, b) => tookUs(a) - tookUs(b)).slice(0, Math.ceil(done.length * share));
  const times = new Map<string, number[]>();
  let whole = 0;
  let ownLast = 0;
  for (const commit of quickest) {
    const rows = rowsOf(commit, leader, followers);
    // One that a change of roles or a full ring fell into.
    if (rows.some(([, us]) => Number.isNaN(us))) continue;
    whole++;
    if (leader.at("durable", commit.index) > leader.at("received", commit.index)) ownLast++;
    for (const [name, us] of rows) push(times, name, us - commit.askedUs);
  }
  const all = done.map(tookUs);
  const mean = all.reduce((total, us) => total + us, 0) / all.length;
  console.log(`Machine: ${machineLine()}`);
  console.log(
    `All ${done.length} commits: p50 ${median(all).toFixed(0)}, mean ${mean.toFixed(0)}, p99 ${quantile(all, 0.99).toFixed(0)} µs.`,
  );
  console.log(
    `Below: ${whole} of the quickest ${quickest.length}. In ${ownLast} the leader's own write came after the first ack.\n`,
  );
  console.log("| step | median µs | after the line above | p90 µs |\n| --- | ---: | ---: | ---: |");
  let last = 0;
  for (const [name, us, p90] of [...times]
    .map(([step, list]) => [step, median(list), quantile(list, 0.9)] as const)
    .toSorted((a, b) => a[1] - b[1])) {
    console.log(`| ${name} | ${us.toFixed(0)} | ${(us - last).toFixed(0)} | ${p90.toFixed(0)} |`);
    last = us;
  }
}

await main();
