/**
 * Somebody with root on one machine rewrites history there, and repairs every checksum, the guard and the snapshots'
 * traces on the way: the folder opens clean. Only the audit chain can tell, and it must.
 */
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeEntry, decodeEntry } from "@aether/store/events/entry-codec";
import { formatLog, openLog } from "@aether/store/log/open";
import type { ClusterView } from "../cluster/members.ts";
import { exit } from "../shell/failure.ts";
import { Operator } from "../testing/operator.ts";

const toml = readFileSync(join(import.meta.dirname, "../../../../fixtures/clusters/local.toml"), "utf8");
const megabytes = 64 * 1024 * 1024;

/** Makes a log of the same identity with one setting's value replaced in every entry that set it. Returns the first such index. */
async function rewriteHistory(dataDir: string, key: string, value: unknown): Promise<number> {
  const identity = JSON.parse(readFileSync(join(dataDir, "identity.json"), "utf8")) as { clusterId: string; nodeId: number };
  const genuine = await openLog(dataDir, identity);
  if (genuine.storage === undefined || genuine.verdict.v !== "clean") throw new Error(`the log is ${genuine.verdict.v}`);
  const { boot } = genuine.verdict;
  const { view } = genuine.storage;
  const entries = [];
  let first = 0;
  for (let index = 2; index <= boot.last.index;) {
    const page = view.read(index, boot.last.index + 1, megabytes);
    if (page === "compacted") throw new Error("the log was compacted");
    for (const entry of page) {
      const altered = alter(entry.kind === 0 ? entry.data : null, key, value);
      if (altered !== null && first === 0) first = entry.index;
      entries.push({ ...entry, data: altered ?? Uint8Array.from(entry.data) });
    }
    index += page.length;
  }
  await genuine.storage.close();

  for (const name of ["log", "guard", "identity.json", "state"])
    renameSync(join(dataDir, name), join(dataDir, `genuine-${name}`));
  await formatLog(dataDir, identity, [1, 2, 3]);
  const forged = await openLog(dataDir, identity);
  if (forged.storage === undefined) throw new Error(`the forged log is ${forged.verdict.v}`);
  const slice = { leaderTerm: boot.hard.term, prev: { term: 1, index: 1 }, entries };
  const batch = { token: 1, term: boot.hard.term, hard: boot.hard, slice, snap: null, last: boot.last, sync: true, thenSend: [] };
  await forged.storage.append([batch]);
  await forged.storage.close();
  return first;
}

function alter(data: Uint8Array | null, key: string, value: unknown): Uint8Array | null {
  const payload = data === null || data.length === 0 ? null : decodeEntry(data);
  if (payload === null || !payload.events.some((event) => event.type === "SettingChanged" && event.id === key)) return null;
  const events = payload.events.map((event) => (event.id === key ? { ...event, value } : event));
  return encodeEntry({ ...payload, events });
}

describe("a log that was rewritten on one machine, with all its checksums repaired", () => {
  const operator = new Operator("tampered", toml.replace(/^name = .*$/m, `name = "tampered"`));
  let victim = { name: "", dataDir: "" };
  let first = 0;

  beforeAll(async () => {
    const made = await operator.bootstrap();
    if (made.code !== 0) throw new Error(made.stderr);
    for (const value of ["100", "200"]) await operator.json("settings", "set", "limits/payments", value);
    const view = await operator.json<ClusterView>("cluster", "status");
    const follower = view.members.find((one) => one.name !== view.leader);
    if (follower?.dataDir == null) throw new Error("there is no follower with a folder");
    victim = { name: follower.name, dataDir: follower.dataDir };
    const stopped = await operator.run("cluster", "stop");
    if (stopped.code !== 0) throw new Error(stopped.stderr);
    first = await rewriteHistory(victim.dataDir, "limits/payments", 1_000_000);
  });
  afterAll(() => operator.dispose());

  it("fails the proof where the member's own records do not fit its entries", async () => {
    // The forger left the state folder as it was: it still knows the digests of what was really written.
    renameSync(join(victim.dataDir, "genuine-state"), join(victim.dataDir, "state"));
    const started = await operator.run("cluster", "start");
    expect(started.stderr).not.toContain("error");
    const proof = await operator.run("audit", "verify", "--member", victim.name);
    expect(proof.code).toBe(exit.failed);
    expect(proof.stderr).toContain(`the log of ${victim.name} is NOT what was written`);
    expect(first).toBeGreaterThan(1);
  });

  it("passes on the members that were left alone", async () => {
    const view = await operator.json<ClusterView>("cluster", "status");
    const honest = view.members.find((one) => one.name !== victim.name && one.answers);
    const whole = await operator.json<ClusterView>("cluster", "status");
    const upTo = String(Math.min(...whole.members.map((one) => one.applied ?? Number.MAX_SAFE_INTEGER), first - 1));
    const proof = await operator.run("audit", "verify", "--member", honest?.name ?? "", "--to", upTo);
    expect(proof.stderr).not.toContain("NOT what was written");
    expect(proof.code).toBe(exit.done);
  });

  it("fails it as well when the state was thrown away, so that all of it was derived from the forged entries", async () => {
    expect((await operator.run("cluster", "stop")).code).toBe(exit.done);
    expect(existsSync(join(victim.dataDir, "state"))).toBe(true);
    rmSync(join(victim.dataDir, "state"), { recursive: true });
    const starting = operator.begin(["cluster", "start"]);
    await starting.ended;
    const proof = await operator.run("audit", "verify");
    expect(proof.code).toBe(exit.failed);
    expect(proof.stderr).toMatch(/NOT what was written|recorded another digest/);
  });
});
