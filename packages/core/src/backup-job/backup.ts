/** The noun `backup`: one row, whose id is the cluster's name. It is in no backup itself: a restore must not undo what is known of backups. */
import type { Noun } from "../kernel/noun.ts";
import { backupCommands } from "./commands.ts";
import { backupEvents } from "./events.ts";
import { evolveBackup, type BackupRow } from "./state.ts";

export const backup: Noun<BackupRow> = {
  name: "backup",
  events: backupEvents,
  commands: backupCommands,
  evolve: evolveBackup,
};
