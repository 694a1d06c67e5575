/** What can be asked of backups, and what the leader and drills report. The id is the cluster's name. */
import { defineCommand } from "../kernel/define.ts";
import { ClusterName, text } from "../kernel/fields.ts";
import * as rules from "./decide.ts";
import { drill, failed, pushed, pushFailed, recorded } from "./events.ts";

const member = { roles: ["member"], id: ClusterName } as const;

export const backupCommands = [
  /** A backup of all that is there when this is committed; the leader writes it. */
  defineCommand({
    roles: ["operator", "member"],
    id: ClusterName,
    type: "RequestBackup",
    fields: { cause: text(128) },
    decide: rules.decideRequest,
  }),
  /** Refused: `conflict` when one of a later index is recorded. */
  defineCommand({ ...member, type: "RecordBackup", fields: recorded, decide: rules.decideRecord }),
  defineCommand({ ...member, type: "FailBackup", fields: failed, decide: rules.decideFail }),
  defineCommand({ ...member, type: "RecordPush", fields: pushed, decide: rules.decidePushed }),
  defineCommand({ ...member, type: "FailPush", fields: pushFailed, decide: rules.decidePushFailed }),
  defineCommand({ roles: ["operator"], id: ClusterName, type: "RecordDrill", fields: drill, decide: rules.decideDrill }),
];
