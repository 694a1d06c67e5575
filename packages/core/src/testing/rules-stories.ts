/** What anybody might ask for, in any order: for tests of what holds whatever is asked. */
import * as fc from "fast-check";
import type { Command } from "../kernel/command.ts";
import type { Identity } from "../kernel/event.ts";
import { registry } from "../registry.ts";
import { admittedJson } from "./admitted-json.ts";
import { clusterId, firstMembers, memberOf, operator } from "./rules-bench.ts";

/** Restorations are of two names, in few parts, of few things: now and then one is whole. */
const restoration = fc.constantFrom("r1", "r2");
const few = fc.integer({ min: 1, max: 2 });
const version = fc.integer({ min: 0, max: 5 });
const wish = fc.oneof(
  fc.record({
    noun: fc.constant("setting"),
    id: fc.constantFrom("cpu_warning", "app/x", "app/y"),
    version,
    wanted: fc.record({ value: fc.double({ min: 0, max: 1, noNaN: true }), description: fc.constant("") }),
  }),
  fc.record({ noun: fc.constant("setting"), id: fc.constantFrom("app/x"), version, absent: fc.constant(true) }),
  fc.record({
    noun: fc.constant("node"),
    id: fc.constantFrom("n1", "n2", "n3"),
    version,
    wanted: fc.constantFrom<unknown>({ duty: "on-duty" }, { duty: "drained", reason: "r" }),
  }),
);

/** Commands of every type over few things, so that they meet; most parse, and whether they are wise is not asked. */
const nodeId = fc.constantFrom("n1", "n2", "n3", "n4", "n5", "n9");
const member = fc.integer({ min: 1, max: 9 });
const address = fc.integer({ min: 7401, max: 7404 }).map((port) => `127.0.0.1:${port}`);
const size = fc.integer({ min: 1, max: 7 });
const home = fc.constantFrom("home", "home", "home", "away");
const key = fc.constantFrom("cpu_warning", "cpu_critical", "disk_warning", "app/x", "app/y");
const digest = fc.constantFrom("a".repeat(64), "b".repeat(64));
const some = (
  type: string,
  id: fc.Arbitrary<string>,
  fields: Record<string, fc.Arbitrary<unknown>> = {},
): fc.Arbitrary<Command> => fc.record({ type: fc.constant(type), id, ...fields });
const reason = fc.constantFrom("", "test");
const commit = fc.constantFrom("a".repeat(40), "b".repeat(40));
const counts = { tookMs: member, bytes: member, things: member, changed: member };
const attempt = fc.integer({ min: 1, max: 3 });
const machine = fc.constantFrom("i-1", "i-2");
const place = { zone: fc.constantFrom("a", "b"), size: fc.constant("small") };
const said = { code: reason, requestId: reason, message: reason };
const area = fc.constantFrom("credentials", "instances", "load_balancer");
const target = fc.record({ node: nodeId, instance: machine });
const anyCommand = fc.oneof(
  some("InitialiseCluster", home, {
    clusterId: fc.constantFrom(clusterId, "cd".repeat(16)),
    size,
    provider: fc.constantFrom("local", "aws"),
    configuration: fc.constant({}),
    members: size.map(firstMembers),
  }),
  some("MarkClusterReady", home),
  some("ScaleCluster", home, { size }),
  some("RecordRefusals", home, { refusals: fc.constant([{ what: "w", identity: "", address: "a", count: 2 }]) }),
  some("RecordCheckpoint", home, {
    upTo: member,
    chain: digest,
    state: digest,
    signer: nodeId,
    certificate: fc.constant("c"),
    signature: fc.constant("s"),
  }),
  some("RecordLeader", home, { node: nodeId, member, term: member }),
  some("JoinNode", nodeId, { address }),
  some("RejoinNode", nodeId, { member, verdict: fc.constant("wiped"), address }),
  some("AdmitNode", nodeId, { member }),
  some("DrainNode", nodeId, { reason }),
  some("CompleteDrain", nodeId),
  some("UndrainNode", nodeId),
  some("ShutDownNode", nodeId, { force: fc.boolean(), reason }),
  some("RecordNodeLeft", nodeId, { member }),
  some("ForgetNode", nodeId),
  some("RecordContact", nodeId, { contact: fc.constantFrom("reachable", "suspected", "lost") }),
  some("SetSetting", key, { value: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), admittedJson) }),
  some("RemoveSetting", key),
  some("BeginRestore", restoration, { source: fc.constant({ commit: null, index: 3, at: 1_000 }), things: few, parts: few }),
  some(
    "StageRestorePart",
    fc.tuple(restoration, few).map(([id, part]) => `${id}/${part}`),
    { things: fc.array(wish, { minLength: 1, maxLength: 3 }) },
  ),
  some("ApplyRestore", restoration),
  some("DropRestore", restoration),
  some("RequestBackup", home, { cause: reason }),
  some("RecordBackup", home, { commit, upTo: member, ...counts, holders: fc.constant(["n1"]), note: reason }),
  some("FailBackup", home, { why: reason, hint: reason }),
  some("RecordPush", home, { commit, remote: reason }),
  some("FailPush", home, { commit, remote: reason, why: reason, hint: reason }),
  some("WantInstance", nodeId, { attempt, ...place, spec: reason, why: reason }),
  some("AdoptInstance", nodeId, { attempt, ...place, instance: machine, address }),
  some("RecordInstance", nodeId, {
    attempt,
    step: fc.constantFrom("accepted", "running", "enrolled"),
    instance: machine,
    address,
  }),
  some("RefuseInstance", nodeId, { attempt, tag: fc.constantFrom("Capacity", "Quota"), ...said }),
  some("RetryInstance", nodeId),
  some("StopInstance", nodeId, { attempt, why: reason }),
  some("RecordStopped", nodeId, { attempt }),
  some("RemoveInstance", nodeId, { attempt, instance: machine, why: reason }),
  some("RecordGone", nodeId, { attempt, how: reason }),
  some("RecordTrouble", home, { area, tag: fc.constant("Auth"), ...said }),
  some("MendTrouble", home, { area }),
  some("WantTargets", home, { balancer: fc.constant("lb"), targets: fc.array(target, { maxLength: 2 }) }),
  some("RecordTargets", home, { request: version, added: version, removed: version }),
  some("RecordDrill", home, { commit, sound: fc.boolean(), things: member, tookMs: member, why: reason }),
);
/** Up to 60 commands of any kind. */
export const story = fc.array(anyCommand, { minLength: 1, maxLength: 60 });

/** Who would say it: members for themselves where the rule asks for that. */
export function actorOf(command: Command): Identity {
  if (registry.command(command.type)?.roles.includes("operator") === true) return operator;
  const named = [command["signer"], command["node"]].find((name) => typeof name === "string");
  return memberOf(named ?? command.id);
}
