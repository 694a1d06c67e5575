/** The daemon's configuration: JSON from `aetherd --config FILE` or the environment AETHER_NODE_CONFIG. */
import * as Effect from "effect/Effect";
import * as Result from "effect/Result";
import * as Schema from "effect/Schema";
import { faultsOf } from "../kernel/define.ts";
import { Address, between, ClusterId, ClusterName, MemberId, NodeName } from "../kernel/fields.ts";
import { backupDefaults, backupRanges, remoteGrammar, remoteUserGrammar } from "./backup-settings.ts";
import { keepDefault, keepRange, raftDefaults, raftRanges, timingFault } from "./raft-timing.ts";

const Seat = Schema.Struct({ name: NodeName, member: MemberId, address: Address });
const seedsMax = 64;

const matching = (pattern: RegExp, expected: string) => Schema.String.check(Schema.isPattern(pattern, { expected }));
const Pem = matching(/^(?:file:.+|-----BEGIN [\s\S]+)$/, 'PEM text, or "file:" and the path of a PEM file');
const Path = matching(/^[^\0]{1,4096}$/, "a path");
const Host = matching(/^[^\s/]{1,253}$/, "an IP address or a host name to listen on");
const orDefault = <S extends Schema.Top>(schema: S, value: S["Encoded"]) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)));
const ranged = ([low, high]: readonly [number, number], value: number) => orDefault(between(low, high), value);

const Raft = Schema.Struct({
  tickMs: ranged(raftRanges.tickMs, raftDefaults.tickMs),
  electionTicks: ranged(raftRanges.electionTicks, raftDefaults.electionTicks),
  heartbeatTicks: ranged(raftRanges.heartbeatTicks, raftDefaults.heartbeatTicks),
}).check(
  Schema.makeFilter((timing) => {
    const fault = timingFault(timing);
    return fault === null ? undefined : { path: ["electionTicks"], issue: `Expected ${fault}` };
  }),
);

const Backup = Schema.Struct({
  enabled: orDefault(Schema.Boolean, backupDefaults.enabled),
  intervalMs: ranged(backupRanges.intervalMs, backupDefaults.intervalMs),
  debounceMs: ranged(backupRanges.debounceMs, backupDefaults.debounceMs),
  path: orDefault(Schema.NullOr(Path), backupDefaults.path),
  remote: orDefault(Schema.NullOr(matching(remoteGrammar.pattern, remoteGrammar.expected)), backupDefaults.remote),
  remoteUser: orDefault(matching(remoteUserGrammar.pattern, remoteUserGrammar.expected), backupDefaults.remoteUser),
  /** The token itself is in no configuration. */
  remoteToken: orDefault(Schema.NullOr(matching(/^file:.+$/s, '"file:" and the path of the token\'s file')), null),
  keep: ranged(backupRanges.keep, backupDefaults.keep),
});

const SecretFile = matching(/^file:.+$/s, '"file:" and the path of a file that only the daemon may read');
/** What a member of a cluster in a cloud needs in order to make and end machines. */
const Fleet = Schema.Struct({
  clusterSecret: SecretFile,
  /** A JSON object of environment variables, e.g. HCLOUD_TOKEN; null where the machine's own identity is enough. */
  providerEnv: orDefault(Schema.NullOr(SecretFile), null),
});

export const NodeFile = Schema.Struct({
  cluster: Schema.Struct({ id: ClusterId, name: ClusterName }),
  /** `member` is the number minted for this node when it was decided; a folder that was replaced has another one since. */
  node: Schema.Struct({ name: NodeName, member: MemberId }),
  listen: Schema.Struct({ host: Host, port: between(1, 65_535) }),
  /** Where others reach this node. */
  advertise: Address,
  dataDir: Path,
  /** Whom to ask first; may include this node itself. */
  seeds: Schema.Array(Seat).check(Schema.isMaxLength(seedsMax, { expected: `at most ${seedsMax} seeds` })),
  /** Where this node dials instead of an address that a member advertises: behind NAT, or through a proxy. */
  routes: orDefault(Schema.Record(Address, Address).check(Schema.isMaxProperties(seedsMax)), {}),
  tls: Schema.Struct({ ca: Pem, certificate: Pem, key: Pem }),
  raft: orDefault(Raft, {}),
  history: orDefault(Schema.Struct({ keep: ranged(keepRange, keepDefault) }), {}),
  backup: orDefault(Backup, {}),
  fleet: orDefault(Schema.NullOr(Fleet), null),
});
export type NodeFile = typeof NodeFile.Type;

export type NodeFileParsed = { readonly ok: NodeFile } | { readonly errors: readonly string[] };

const decode = Schema.decodeUnknownResult(NodeFile, { errors: "all", onExcessProperty: "error" });

/** All faults at once, each naming its field and what is expected there. No value is repeated: one of them is a private key. */
export function parseNodeFile(text: string): NodeFileParsed {
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    return { errors: ["the text is not JSON"] };
  }
  const result = decode(input);
  return Result.isSuccess(result) ? { ok: result.success } : { errors: faultsOf(result.failure.issue) };
}
