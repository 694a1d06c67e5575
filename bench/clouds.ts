/**
 * What clouds cost over their fakes: calls and time of five machines made side by side, alone and in turn, each call taking 100 ms; the same
 * creates by the vendors' own commands where they are installed; and what a look at 1,000 unchanged machines costs.
 */
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { minutes } from "effect/Duration";
import { runPromise } from "effect/Effect";
import type { InstanceId } from "@aether/cloud/provider";
import { fakeDefaults as awsDefaults } from "@aether/cloud/testing/aws/fake";
import type { CloudsData, CloudTimes, CloudVendorData, PeerData } from "./results.ts";
import {
  hetznerToken,
  openProvider,
  openVendor,
  vendorNames,
  vendors,
  type OpenVendor,
  type VendorName,
} from "./cloud-vendors.ts";
import { say, type Stage } from "./stage.ts";

const run = promisify(execFile);
const delayMs = 100;
const nodes = 5;
/** A machine runs two seconds after it was made; a vendor's operation takes half a second. */
const pace = { bootMs: 2_000, operationMs: 500, lagMs: 300 };
const atOnce = { bootMs: 0, operationMs: 0, lagMs: 0 };
const names = Array.from({ length: nodes }, (_, at) => `n${at + 1}`);

export async function measureClouds(stage: Stage): Promise<CloudsData> {
  const { quick } = stage.options;
  const all: CloudVendorData[] = [];
  for (const name of vendorNames) {
    const together = await madeBy(name, names, true);
    const alone = await madeBy(name, names.slice(0, 1), true);
    const inTurn = quick ? null : await madeBy(name, names, false);
    say(
      `${name}: ${nodes} machines in ${Math.round(together.runningMs)} ms with ${together.calls} calls, one in ${Math.round(alone.runningMs)}`,
    );
    const looks = [];
    for (const count of quick ? [100] : [100, 1_000]) looks.push(await lookAt(name, count, quick ? 3 : 10));
    say(`${name}: ${looks.map(({ machines, calls }) => `${machines} machines in ${calls} calls`).join(", ")}`);
    all.push({ name, pageSize: vendors[name].pageSize, together, alone, inTurn, peer: await peerOf(name), looks });
  }
  return { delayMs, nodes, bootMs: pace.bootMs, vendors: all };
}

/** Preflight, then machines until they run: side by side or one after the other. */
async function madeBy(name: VendorName, wanted: readonly string[], isTogether: boolean): Promise<CloudTimes> {
  const open = await openVendor(name, pace, delayMs);
  const { provider, close } = openProvider(name, open.url);
  const { compute } = provider;
  const began = performance.now();
  await runPromise(provider.preflight);
  const [preflightCalls, preflightMs] = [open.calls(), performance.now() - began];
  let acceptedMs = 0;
  const one = async (node: string): Promise<void> => {
    const { instance } = await runPromise(compute.ensure(vendors[name].spec(node)));
    acceptedMs = performance.now() - began - preflightMs;
    await runPromise(compute.awaitState(instance.id, ["running"], minutes(5)));
  };
  if (isTogether) await Promise.all(wanted.map(one));
  else for (const node of wanted) await one(node);
  const runningMs = performance.now() - began - preflightMs;
  const calls = open.calls() - preflightCalls;
  await close();
  await open.close();
  return { preflightCalls, preflightMs, calls, acceptedMs, runningMs };
}

/** Machines that nothing has happened to, listed again and again by a process of its own. */
async function lookAt(name: VendorName, machines: number, rounds: number): Promise<CloudVendorData["looks"][number]> {
  const open = await openVendor(name, atOnce, 0);
  await fillWith(name, open, machines);
  // What a process asks before its first look: a token, and a list of nothing.
  const before = open.calls();
  await read(name, open, 0);
  const beside = open.calls() - before;
  const seen = await read(name, open, rounds);
  const calls = (open.calls() - before - 2 * beside) / rounds;
  await open.close();
  if (seen.found !== machines) throw new Error(`${name}: ${seen.found} of ${machines} machines were listed`);
  return { machines, calls, ms: seen.ms, addedMiB: seen.highestMiB - seen.beforeMiB };
}

interface Reading {
  readonly found: number;
  readonly ms: readonly number[];
  readonly beforeMiB: number;
  readonly highestMiB: number;
}

async function read(name: VendorName, open: OpenVendor, rounds: number): Promise<Reading> {
  const reader = join(import.meta.dirname, "cloud-reader.ts");
  return JSON.parse((await run(process.execPath, [reader, name, open.url, String(rounds)])).stdout) as Reading;
}

/** Without the limits that a real account has. */
async function fillWith(name: VendorName, open: OpenVendor, machines: number): Promise<void> {
  const { makeUndiciTransport } = await import("@aether/cloud/http/undici-transport");
  const { systemClock } = await import("@aether/cloud/http/clock");
  const transport = makeUndiciTransport();
  const unlimited = { take: () => Promise.resolve("taken" as const), observe: () => undefined, holdUntil: () => undefined };
  const provider = vendors[name].provider(open.url, {
    transport,
    clock: systemClock,
    random: Math.random,
    limiterOf: () => unlimited,
  });
  const ids: InstanceId[] = [];
  for (let at = 0; at < machines; at += 20) {
    const some = Array.from({ length: Math.min(20, machines - at) }, (_, i) => vendors[name].spec(`m${at + i}`));
    ids.push(
      ...(await Promise.all(some.map((spec) => runPromise(provider.compute.ensure(spec))))).map(({ instance }) => instance.id),
    );
  }
  if (new Set(ids).size !== machines) throw new Error(`${name}: ${new Set(ids).size} of ${machines} machines were made`);
  await transport.close();
}

interface Peer {
  readonly program: string;
  readonly create: (node: string) => readonly string[];
  readonly env: (url: string) => Readonly<Record<string, string>>;
}

const peers: Readonly<Partial<Record<VendorName, Peer>>> = {
  hetzner: {
    program: "hcloud",
    create: (node) => [
      "server",
      "create",
      "--name",
      node,
      "--type",
      "cx22",
      "--image",
      "debian-12",
      "--location",
      "fsn1",
      "--label",
      "a=b",
    ],
    env: (url) => ({ HCLOUD_ENDPOINT: url, HCLOUD_TOKEN: hetznerToken }),
  },
  aws: {
    program: "aws",
    create: (node) => [
      ...["ec2", "run-instances", "--image-id", "ami-0123456789abcdef0", "--instance-type", "t4g.small", "--count", "1"],
      ...["--client-token", node, "--output", "json"],
    ],
    env: (url) => ({
      AWS_ENDPOINT_URL: url,
      AWS_DEFAULT_REGION: awsDefaults.region,
      AWS_ACCESS_KEY_ID: awsDefaults.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: awsDefaults.keys.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    }),
  },
};

/** The same creates as a script of the vendor's own command does them: one after the other. Null where it is not installed. */
async function peerOf(name: VendorName): Promise<PeerData | null> {
  const peer = peers[name];
  if (peer === undefined || spawnSync("which", [peer.program]).status !== 0) return null;
  const open = await openVendor(name, pace, delayMs);
  try {
    const env = { PATH: process.env["PATH"], HOME: "/nonexistent", ...peer.env(open.url) };
    const began = performance.now();
    for (const node of names) await run(peer.program, [...peer.create(node)], { env });
    return { program: peer.program, ms: performance.now() - began, calls: open.calls() };
  } catch (failure) {
    say(`${peer.program} is left out: ${String(failure)}`);
    return null;
  } finally {
    await open.close();
  }
}
