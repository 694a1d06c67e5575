/**
 * `cluster.toml` as one Schema: what may stand in it, what each key means, and what holds when it is left out. The parser, the
 * error messages and docs/cluster-toml.md all come from here.
 */
import * as Schema from "effect/Schema";
import { between } from "../kernel/fields.ts";
import { clusterName } from "../kernel/grammar.ts";
import {
  backupDefaults,
  backupRanges,
  durationGrammar,
  durationText,
  parseDuration,
  remoteGrammar,
  remoteUserGrammar,
} from "./backup-settings.ts";
import { aws, azure, cloud, gcp, hetzner } from "./cloud-sections.ts";
import { key, keyAnnotation, orDefault, section, sectionAnnotation, word, type KeyDoc } from "./key-doc.ts";
import { beatsPerElectionMin, keepDefault, keepRange, raftDefaults, raftRanges } from "./raft-timing.ts";

const range = ([low, high]: readonly [number, number]): string => `${low} to ${high}`;
const ticks = (which: "tickMs" | "electionTicks" | "heartbeatTicks") => {
  const [low, high] = raftRanges[which];
  return orDefault(between(low, high), raftDefaults[which]);
};

const oddSize = "1, 3, 5 or 7: an even size survives no more failures than the odd one below it";
const path = "a path of at most 1024 characters";
const portRange = [1024, 65_529] as const;
const secret = "at least 8 and at most 4096 characters";

const cluster = Schema.Struct({
  name: key(word(clusterName.pattern, clusterName.expected), {
    type: "text",
    doc: "What the cluster is called. Part of its certificates, labels and instance names, so it stays.",
    rule: clusterName.expected,
    example: '"production"',
  }),
  size: key(orDefault(Schema.Number.check(Schema.makeFilter((n) => [1, 3, 5, 7].includes(n) || `Expected ${oddSize}`)), 3), {
    type: "whole number",
    doc: "How many members it starts with. Three survive the loss of one, five of two, seven of three.",
    rule: oddSize,
    example: "5",
    default: "3",
  }),
});

const security = Schema.Struct({
  cluster_secret: key(Schema.optionalKey(word(/^[^\0]{8,4096}$/s, secret)), {
    type: "text",
    doc:
      "The cluster's CA key is computed from it: who has it can issue certificates. Name it by `${secrets:…}` and make it of " +
      "32 random bytes.",
    rule: secret,
    example: '"${secrets:cluster/secret}"',
    default: "none; needed unless the provider is local, where one is generated once and kept with mode 0600",
    secret: true,
  }),
});

const local = Schema.Struct({
  base_port: key(Schema.optionalKey(between(...portRange)), {
    type: "whole number",
    doc: "Port of the first member on 127.0.0.1; the others follow on.",
    rule: range(portRange),
    example: "7401",
    default: "free ports are chosen",
  }),
  data_dir: key(Schema.optionalKey(word(/^[^\0]{1,1024}$/, path)), {
    type: "text",
    doc: "Folder for the members' data.",
    rule: path,
    example: '"/var/lib/aether"',
    default: "a folder of the cluster's own under AETHER_HOME",
  }),
});

const raft = Schema.Struct({
  tick_ms: key(ticks("tickMs"), {
    type: "whole number",
    doc: "Milliseconds of one tick, the unit of the two keys below.",
    rule: range(raftRanges.tickMs),
    example: "50",
    default: String(raftDefaults.tickMs),
  }),
  election_ticks: key(ticks("electionTicks"), {
    type: "whole number",
    doc: "Silence of the leader after which a member asks for an election, drawn from one to two times this.",
    rule: `${range(raftRanges.electionTicks)}, and at least ${beatsPerElectionMin} times heartbeat_ticks`,
    example: "20",
    default: String(raftDefaults.electionTicks),
  }),
  heartbeat_ticks: key(ticks("heartbeatTicks"), {
    type: "whole number",
    doc: "Ticks between the leader's heartbeats.",
    rule: range(raftRanges.heartbeatTicks),
    example: "2",
    default: String(raftDefaults.heartbeatTicks),
  }),
});

const history = Schema.Struct({
  keep: key(orDefault(between(...keepRange), keepDefault), {
    type: "whole number",
    doc: "Log entries kept behind the newest snapshot, for events, history and audit. Older ones are compacted.",
    rule: range(keepRange),
    example: "100000",
    default: String(keepDefault),
  }),
});

const durations = ([low, high]: readonly [number, number]): string =>
  `a duration from ${durationText(low)} to ${durationText(high)}, a number and its unit: ms, s, m, h or d`;
const duration = (which: "intervalMs" | "debounceMs") => {
  const [low, high] = backupRanges[which];
  const fits = (text: string): boolean => durationGrammar.test(text) && parseDuration(text) >= low && parseDuration(text) <= high;
  const rule = Schema.makeFilter((text: string) => fits(text) || `Expected ${durations([low, high])}`);
  return orDefault(Schema.String.check(rule), durationText(backupDefaults[which]));
};
const token = "at least 1 and at most 4096 characters, in one line";

const backup = Schema.Struct({
  enabled: key(orDefault(Schema.Boolean.annotate({ expected: "true or false" }), backupDefaults.enabled), {
    type: "true or false",
    doc: "Whether the cluster backs itself up. `aether backup trigger` does in any case.",
    rule: "true or false",
    example: "true",
    default: String(backupDefaults.enabled),
  }),
  interval: key(duration("intervalMs"), {
    type: "text",
    doc: "Between two backups when nothing that is wanted changes.",
    rule: durations(backupRanges.intervalMs),
    example: '"1h"',
    default: durationText(backupDefaults.intervalMs),
  }),
  debounce: key(duration("debounceMs"), {
    type: "text",
    doc: "Quiet after a change before it is backed up. Where it is never quiet, a backup is made after ten times this.",
    rule: durations(backupRanges.debounceMs),
    example: '"30s"',
    default: durationText(backupDefaults.debounceMs),
  }),
  path: key(Schema.optionalKey(word(/^[^\0]{1,1024}$/, path)), {
    type: "text",
    doc: "Folder in which every member keeps its repository, as `<node>.git`.",
    rule: path,
    example: '"/var/backups/aether"',
    default: "`backup.git` in the member's data folder",
  }),
  remote: key(Schema.optionalKey(word(remoteGrammar.pattern, remoteGrammar.expected)), {
    type: "text",
    doc: "A git repository that every backup is pushed to. Its branch main must be nobody else's: it is never overwritten unasked.",
    rule: remoteGrammar.expected,
    example: '"https://git.example.com/fleet/backup.git"',
    default: "nothing is pushed",
    unshown: true,
  }),
  remote_user: key(orDefault(word(remoteUserGrammar.pattern, remoteUserGrammar.expected), backupDefaults.remoteUser), {
    type: "text",
    doc: "Who pushes, at an https remote.",
    rule: remoteUserGrammar.expected,
    example: '"git"',
    default: backupDefaults.remoteUser,
  }),
  remote_token: key(Schema.optionalKey(word(/^[^\0\r\n]{1,4096}$/, token)), {
    type: "text",
    doc: "Password or access token of that user. Name it by `${secrets:…}`. Each member has it in a file with mode 0600.",
    rule: token,
    example: '"${secrets:backup/token}"',
    default: "none: the remote is a path, or needs no password",
    secret: true,
  }),
  keep: key(orDefault(between(...backupRanges.keep), backupDefaults.keep), {
    type: "whole number",
    doc: "Commits that are kept. Older ones are cut off.",
    rule: range(backupRanges.keep),
    example: "10000",
    default: String(backupDefaults.keep),
  }),
});

/** The whole file. Sections whose keys all have defaults may be left out. */
export const ClusterFile = Schema.Struct({
  cluster: section(cluster, "What is asked for, whatever the provider."),
  cloud: section(cloud, "Where it runs."),
  security: section(orDefault(security, {}), "What its members trust."),
  local: section(orDefault(local, {}), "Read only when the provider is local."),
  hetzner: section(orDefault(hetzner, {}), "Only with provider hetzner. Its API token is the environment variable HCLOUD_TOKEN."),
  aws: section(orDefault(aws, {}), "Only with provider aws. Credentials are found where the vendor's own tools find them."),
  gcp: section(orDefault(gcp, {}), "Only with provider gcp. Credentials are the application default ones."),
  azure: section(orDefault(azure, {}), "Only with provider azure. Credentials are AZURE_… variables or a managed identity."),
  raft: section(
    orDefault(raft, {}),
    "Raft's clockwork. The defaults suit one computer and one region; slower links want more ticks.",
  ),
  history: section(orDefault(history, {}), "How much of the past stays readable."),
  backup: section(orDefault(backup, {}), "Backups of all that is wanted, as commits of a git repository that every member has."),
});
export type ClusterFile = typeof ClusterFile.Type;

export interface SectionDoc {
  readonly name: string;
  readonly doc: string;
  readonly keys: ReadonlyMap<string, KeyDoc>;
}

const structs = { cluster, cloud, security, local, hetzner, aws, gcp, azure, raft, history, backup };

/** The Schema's sections and keys in their order, read from its annotations. Throws on one that is not documented. */
export const sections: ReadonlyMap<string, SectionDoc> = new Map(
  Object.entries(structs).map(([name, struct]): [string, SectionDoc] => {
    const doc = Schema.resolveAnnotations(ClusterFile.fields[name as keyof typeof structs])?.[sectionAnnotation];
    if (typeof doc !== "string") throw new Error(`section ${name} of the cluster file is not documented`);
    const keys = Object.entries(struct.fields as Record<string, Schema.Top>).map(([field, schema]): [string, KeyDoc] => {
      const found = Schema.resolveAnnotations(schema)?.[keyAnnotation] as KeyDoc | undefined;
      if (found === undefined) throw new Error(`${name}.${field} of the cluster file is not documented`);
      return [field, found];
    });
    return [name, { name, doc, keys: new Map(keys) }];
  }),
);
