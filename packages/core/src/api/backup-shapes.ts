/** The bodies of the API about backups. A commit is named by its 40 hex digits in answers; times are Unix milliseconds. */
import * as Schema from "effect/Schema";
import { drill } from "../backup-job/events.ts";
import { between, Index, text } from "../kernel/fields.ts";

const Count = Schema.Number;
const Text = Schema.String;
const named = <S extends Schema.Top>(identifier: string, schema: S): S["Rebuild"] => schema.annotate({ identifier });
/** Where the log recorded it, and when. */
const entry = { index: Count, at: Count } as const;

export const listLimitMax = 1_000;
export const listLimitDefault = 50;
export const thingsLimitMax = 10_000;
export const thingsLimitDefault = 1_000;
export const changesMax = 1_000;
const onlyMax = 64;

/** One commit of the repository, newest first in lists. */
export const Backup = named(
  "Backup",
  Schema.Struct({
    commit: Text,
    /** It holds what was wanted at this index of the log. */
    index: Count,
    at: Count,
    things: Count,
    /** Things that differ from the commit before. */
    changed: Count,
    cause: Text,
    /** Its first line: what changed. */
    message: Text,
    pushed: Schema.Boolean,
    /** The log has its receipt, or that of a later commit. */
    recorded: Schema.Boolean,
  }),
);

const Request = Schema.Struct({ by: Text, cause: Text, ...entry });
const Receipt = Schema.Struct({
  commit: Text,
  upTo: Count,
  tookMs: Count,
  bytes: Count,
  things: Count,
  changed: Count,
  holders: Schema.Array(Text),
  note: Text,
  ...entry,
});
const Failure = Schema.Struct({ why: Text, hint: Text, request: Count, ...entry });
const Push = Schema.Struct({ commit: Text, remote: Text, ...entry });
const PushFailure = Schema.Struct({ commit: Text, remote: Text, why: Text, hint: Text, ...entry });
const Drill = Schema.Struct({
  commit: Text,
  sound: Schema.Boolean,
  things: Count,
  tookMs: Count,
  why: Text,
  by: Text,
  ...entry,
});

export const BackupsAnswer = named(
  "Backups",
  Schema.Struct({
    index: Count,
    /** The newest commit that the answering member holds. */
    head: Schema.NullOr(Text),
    /** On the answering member. */
    repository: Schema.Struct({ path: Text, bytes: Count }),
    schedule: Schema.Struct({
      enabled: Schema.Boolean,
      intervalMs: Count,
      debounceMs: Count,
      /** Commits that are kept. */
      keep: Count,
      remote: Schema.NullOr(Text),
    }),
    /** Asked for and without a receipt. */
    open: Schema.NullOr(Request),
    last: Schema.NullOr(Receipt),
    failed: Schema.NullOr(Failure),
    pushed: Schema.NullOr(Push),
    pushFailed: Schema.NullOr(PushFailure),
    drill: Schema.NullOr(Drill),
    backups: Schema.Array(Backup),
  }),
);

export const BackupTaken = named(
  "BackupTaken",
  Schema.Struct({
    commit: Text,
    index: Count,
    tookMs: Count,
    bytes: Count,
    things: Count,
    changed: Count,
    holders: Schema.Array(Text),
    note: Text,
    /** False when nothing had changed since the commit that was there. */
    new: Schema.Boolean,
  }),
);

const Kind = Schema.Literals(["created", "changed", "removed"]);

export const BackupAnswer = named(
  "BackupCommit",
  Schema.Struct({
    index: Count,
    commit: Text,
    manifest: Schema.Unknown,
    message: Text,
    at: Count,
    parent: Schema.NullOr(Text),
    /** Against the commit before: the first 1,000, by noun and id. */
    changes: Schema.Array(Schema.Struct({ noun: Text, id: Text, kind: Kind })),
    changesTotal: Count,
  }),
);

/** A side that is not there is left out. */
const Field = Schema.Struct({ field: Text, from: Schema.optionalKey(Schema.Unknown), to: Schema.optionalKey(Schema.Unknown) });

const plan = {
  index: Count,
  /** A commit, "now", or what was asked for. */
  from: Text,
  to: Text,
  created: Count,
  changed: Count,
  removed: Count,
  unchanged: Count,
  /** What stays as it is though the backup says something else. */
  kept: Schema.Array(Schema.Struct({ noun: Text, id: Text, why: Text })),
  things: Schema.Array(Schema.Struct({ noun: Text, id: Text, kind: Kind, fields: Schema.Array(Field) })),
  /** There are more things than are shown. */
  truncated: Schema.Boolean,
  /** Hex over the whole plan: a restore that names it is refused as `stale` when the plan is another by now. */
  digest: Text,
} as const;
/** What would change, field by field. */
export const BackupPlan = named("BackupPlan", Schema.Struct(plan));

/** What a restore brings back: a commit, or the state at an index of the log. */
const Source = Schema.Struct({ commit: Schema.optionalKey(Text), index: Count, at: Count });
export const RestorePlan = named("RestorePlan", Schema.Struct({ ...plan, source: Source }));

export const RestoreAnswer = named(
  "Restored",
  Schema.Struct({
    /** Its name, as in GET /v1/restorations/:id; "" when there was nothing to change. */
    restore: Text,
    /** The entry that made it so. */
    index: Count,
    /** `--at-index` of this undoes it. */
    before: Count,
    things: Count,
    kept: Schema.Array(Schema.Struct({ noun: Text, id: Text, why: Text })),
    source: Source,
  }),
);

export const VerifyAnswer = named(
  "BackupVerified",
  Schema.Struct({
    index: Count,
    sound: Schema.Boolean,
    commit: Text,
    objects: Count,
    files: Count,
    faults: Schema.Array(Schema.Struct({ path: Text, what: Text })),
    /** Whether the manifest was compared with this cluster's audit chain, and what came of it or why not. */
    audit: Schema.Struct({ checked: Schema.Boolean, why: Text }),
  }),
);

export const PushAnswer = named(
  "BackupPushed",
  Schema.Struct({ index: Count, commit: Text, remote: Text, forced: Schema.Boolean }),
);
export const RestorationAnswer = named("Restoration", Schema.Record(Text, Schema.Unknown));

// ---------------------------------------------------------------------------------------------------- requests

const shortCommit = { expected: "4 to 40 hex digits of a commit, HEAD or main" };
export const CommitName = Text.check(Schema.isPattern(/^(?:[0-9a-fA-F]{4,40}|HEAD|main)$/, shortCommit));
const Only = Schema.Array(text(512)).check(Schema.isMaxLength(onlyMax, { expected: `at most ${onlyMax} patterns` }));
const digest = Text.check(Schema.isPattern(/^[0-9a-f]{64}$/, { expected: "the digest of a plan, 64 hex digits" }));

const source = {
  commit: Schema.optionalKey(CommitName),
  atIndex: Schema.optionalKey(Index),
  atTime: Schema.optionalKey(Index),
  /** `setting/cpu_*`, `node/n1` or a noun; none: everything. */
  only: Schema.optionalKey(Only),
} as const;
export const BackupRequest = named("BackupRequest", Schema.Struct({ cause: Schema.optionalKey(text(128)) }));
export const VerifyRequest = named("VerifyRequest", Schema.Struct({ commit: Schema.optionalKey(CommitName) }));
/** One of commit, atIndex and atTime; none: the newest commit. */
export const PlanRequest = named(
  "PlanRequest",
  Schema.Struct({
    ...source,
    /** Things that are shown; the plan is of all of them. */
    limit: Schema.optionalKey(between(1, thingsLimitMax)),
  }),
);
export const RestoreRequest = named("RestoreRequest", Schema.Struct({ ...source, plan: Schema.optionalKey(digest) }));
export const PushRequest = named("PushRequest", Schema.Struct({ force: Schema.optionalKey(Schema.Boolean) }));
export const DrillRequest = named("DrillRequest", Schema.Struct(drill));
