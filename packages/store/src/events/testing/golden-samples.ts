/**
 * One event of every type in its current version, from which golden bytes are made when a type or version is new.
 * A new event type needs a line here; then `AETHER_GOLDEN=add vitest run golden` adds its file, and changes no other.
 */
import type { DomainEvent } from "@aether/core/kernel/event";

const hex = (digits: string, length: number): string => digits.repeat(length).slice(0, length);

export const goldenSamples: readonly DomainEvent[] = [
  {
    type: "ClusterInitialised",
    v: 1,
    id: "prod",
    clusterId: hex("0123456789abcdef", 32),
    size: 3,
    provider: "local",
    featureLevel: 1,
    nextMember: 4,
    configuration: { cluster: { name: "prod", size: 3 }, raft: { tick_ms: 50 }, secret: "${secrets:cluster/secret}" },
  },
  { type: "ArtifactRootCreated", v: 1, id: "prod", root: "artifacts/prod" },
  { type: "ClusterReady", v: 1, id: "prod" },
  { type: "ClusterScaled", v: 1, id: "prod", from: 3, size: 5, nextMember: 6 },
  { type: "MemberMinted", v: 1, id: "prod", member: 5_000_000_000, node: "n4" },
  {
    type: "AccessRefused",
    v: 1,
    id: "prod",
    what: "PUT /v1/settings/a",
    identity: "viewer:vera",
    address: "127.0.0.1:52114",
    count: 3,
  },
  {
    type: "CheckpointRecorded",
    v: 1,
    id: "prod",
    upTo: 2 ** 40,
    chain: hex("9f86d081884c7d65", 64),
    state: hex("2c26b46b68ffc68f", 64),
    signer: "n1",
    certificate: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    signature: "MEUCIQDx",
  },
  { type: "LeaderElected", v: 1, id: "prod", node: "n2", member: 2, term: 7 },
  { type: "NodeExpected", v: 1, id: "n4", member: 4 },
  { type: "NodeJoined", v: 1, id: "n4", member: 4, address: "127.0.0.1:7404" },
  { type: "NodeMemberReplaced", v: 1, id: "n4", old: 4, member: 6, address: "127.0.0.1:7404", why: "lost: belowFloor" },
  { type: "NodeAdmitted", v: 1, id: "n4", member: 6 },
  { type: "NodeDrainStarted", v: 1, id: "n4", reason: "kernel upgrade — Überwachung läuft" },
  { type: "NodeDrained", v: 1, id: "n4" },
  { type: "NodeDrainCancelled", v: 1, id: "n4" },
  { type: "NodeShutdownStarted", v: 1, id: "n4", forced: true, reason: "rack lost power" },
  { type: "NodeLeft", v: 1, id: "n4", member: 6 },
  { type: "NodeForgotten", v: 1, id: "n4" },
  { type: "NodeSuspected", v: 1, id: "n3" },
  { type: "NodeLost", v: 1, id: "n3" },
  { type: "NodeReturned", v: 1, id: "n3" },
  {
    type: "SettingChanged",
    v: 1,
    id: "cpu_warning",
    value: { share: 0.75, steps: [1, -2.5, 2 ** 40, true, null, "日本"], nested: { deep: {} } },
    description: "warn above this",
  },
  { type: "SettingRemoved", v: 1, id: "cpu_warning" },
];
