/** The bodies of the API. JSON; times are Unix milliseconds; `index` is the log index that an answer was read or committed at. */
import * as Schema from "effect/Schema";
import { Address, ClusterId, ClusterName, Json, MemberId, NodeName, Size, text } from "../kernel/fields.ts";
import { contacts, duties } from "../node/transitions.ts";

const Count = Schema.Number;
const Members = Schema.Array(Count);
const named = <S extends Schema.Top>(identifier: string, schema: S): S["Rebuild"] => schema.annotate({ identifier });

export const Leader = named("Leader", Schema.Struct({ node: Schema.String, member: Count, address: Schema.String }));

export const Health = named("Health", Schema.Struct({ ok: Schema.Literal(true) }));

/** This member as it sees itself. Never waits for others, so it may be behind. */
export const MemberAnswer = named(
  "Member",
  Schema.Struct({
    node: Schema.String,
    /** 0 while it has no data folder. */
    member: Count,
    cluster: Schema.Struct({ id: Schema.String, name: Schema.String }),
    /** leader, follower, candidate, …; or what it waits for before it takes part. */
    role: Schema.String,
    leader: Schema.NullOr(Leader),
    term: Count,
    commit: Count,
    applied: Count,
    first: Count,
    last: Count,
    digest: Schema.NullOr(Schema.Struct({ index: Count, digest: Schema.String })),
    audit: Schema.NullOr(Schema.Struct({ index: Count, chain: Schema.String })),
    version: Schema.String,
    pid: Count,
    voters: Members,
    learners: Members,
    index: Count,
  }),
);

const RefusalRow = Schema.Struct({ what: Schema.String, identity: Schema.String, address: Schema.String, count: Count });
const CheckpointRow = Schema.Struct({
  upTo: Count,
  chain: Schema.String,
  state: Schema.String,
  signer: Schema.String,
  index: Count,
});
const RecoveryRow = Schema.Struct({ clusterId: Schema.String, node: Schema.String, upTo: Count, chain: Schema.String });

export const ClusterAnswer = named(
  "Cluster",
  Schema.Struct({
    clusterId: Schema.String,
    name: Schema.String,
    size: Count,
    provider: Schema.String,
    featureLevel: Count,
    nextMember: Count,
    state: Schema.Literals(["forming", "ready"]),
    artifacts: Schema.NullOr(Schema.Struct({ root: Schema.String })),
    configuration: Schema.Unknown,
    refusals: Schema.Struct({ total: Count, last: Schema.NullOr(RefusalRow) }),
    checkpoint: Schema.NullOr(CheckpointRow),
    /** As last recorded in the log. */
    leader: Schema.NullOr(Schema.Struct({ node: Schema.String, member: Count, term: Count })),
    /** The clusters that it was before a quorum was lost for good, oldest first; not there when it was never recovered. */
    recoveries: Schema.optional(Schema.Array(RecoveryRow)),
    membership: Schema.Struct({ voters: Members, outgoing: Members, learners: Members }),
    index: Count,
  }),
);

export const NodeAnswer = named(
  "Node",
  Schema.Struct({
    name: Schema.String,
    member: Count,
    address: Schema.NullOr(Schema.String),
    duty: Schema.Literals(duties),
    contact: Schema.Literals(contacts),
    left: Schema.Boolean,
    retired: Schema.Array(Schema.Struct({ member: Count, why: Schema.String })),
    reason: Schema.String,
    version: Count,
    index: Count,
    at: Count,
  }),
);
export const NodesAnswer = named("Nodes", Schema.Struct({ index: Count, nodes: Schema.Array(NodeAnswer) }));

export const SettingAnswer = named(
  "Setting",
  Schema.Struct({
    key: Schema.String,
    value: Schema.Unknown,
    description: Schema.String,
    version: Count,
    index: Count,
    at: Count,
  }),
);
export const SettingsAnswer = named("Settings", Schema.Struct({ index: Count, settings: Schema.Array(SettingAnswer) }));

const written = {
  /** Where it committed; when nothing had to change, where it was decided. */
  index: Count,
  /** Of the thing that the command is about. */
  version: Count,
  changed: Schema.Boolean,
  /** The answer to an earlier request with this Idempotency-Key. */
  replayed: Schema.Boolean,
  answer: Schema.optionalKey(Schema.Unknown),
};
export const Written = named("Written", Schema.Struct(written));
export const SettingWritten = named("SettingWritten", Schema.Struct({ key: Schema.String, value: Schema.Unknown, ...written }));

/** One entry of the log; also one line of GET /v1/events. */
export const EntryAnswer = named(
  "Entry",
  Schema.Struct({
    index: Count,
    term: Count,
    kind: Schema.Literals(["events", "noop", "config"]),
    at: Count,
    /** "role:name". */
    actor: Schema.String,
    cause: Schema.String,
    /** What happened: objects with type, v, id and the fields of the type. */
    events: Schema.Array(Schema.Unknown),
  }),
);
export const HistoryAnswer = named("History", Schema.Struct({ index: Count, first: Count, entries: Schema.Array(EntryAnswer) }));

/** Raw entries (base64) and the chain digests around them: enough to prove the range. */
export const AuditAnswer = named(
  "AuditRange",
  Schema.Struct({
    index: Count,
    from: Count,
    to: Count,
    before: Schema.String,
    after: Schema.String,
    entries: Schema.Array(Schema.Struct({ index: Count, term: Count, kind: Count, data: Schema.String })),
  }),
);

// ---------------------------------------------------------------------------------------------------- requests

export const DrainRequest = named("DrainRequest", Schema.Struct({ reason: Schema.optionalKey(text(512)) }));
export const ShutdownRequest = named(
  "ShutdownRequest",
  Schema.Struct({ force: Schema.optionalKey(Schema.Boolean), reason: Schema.optionalKey(text(512)) }),
);
export const ScaleRequest = named("ScaleRequest", Schema.Struct({ size: Size }));
export const SettingRequest = named("SettingRequest", Schema.Struct({ value: Json, description: Schema.optionalKey(text(512)) }));
/** Any registered command: `type`, `id` and its fields. Its own rules and roles apply. */
export const CommandRequest = named("Command", Schema.Record(Schema.String, Schema.Unknown));
export const BootstrapRequest = named(
  "BootstrapRequest",
  Schema.Struct({
    cluster: Schema.Struct({ id: ClusterId, name: ClusterName }),
    members: Schema.Array(Schema.Struct({ name: NodeName, member: MemberId, address: Address })),
  }),
);
export const BootstrapAnswer = named("Bootstrapped", Schema.Struct({ member: Count, created: Schema.Boolean, index: Count }));
