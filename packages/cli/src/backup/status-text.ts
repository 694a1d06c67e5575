/** What `aether cluster status` says about backups. */
import type { BackupsAnswer } from "../context/api.ts";
import { counted } from "../shell/counted.ts";
import { printable } from "../shell/printable.ts";
import type { Paint } from "../shell/shell.ts";
import { humanDuration } from "../shell/table.ts";
import { shortCommit } from "./commit-text.ts";

export type BackupsView = Omit<BackupsAnswer, "backups">;

/** One line, and one more for a backup that failed; `nowMs`: Unix milliseconds that ages are counted from. */
export function renderBackups(view: BackupsView, nowMs: number, paint: Paint): string {
  const ago = (at: number): string => `${humanDuration(Math.max(0, nowMs - at))} ago`;
  const { last, failed, schedule } = view;
  const off = schedule.enabled ? "" : paint("yellow", "   backups by themselves are off");
  const newest =
    last === null
      ? paint("yellow", "no backup yet")
      : `backup ${shortCommit(last.commit)} of index ${last.upTo}, ${ago(last.at)}, ${counted(last.things, "thing")}`;
  const first = [newest, ...pushText(view, ago, paint), drillText(view, ago, paint)].join("   ");
  const warning = failed === null ? "" : paint("red", `BACKUP FAILED ${ago(failed.at)}: ${reasonText(failed)}`);
  return `${first}${off}\n${warning === "" ? "" : `${warning}\n`}`;
}

type Ago = (at: number) => string;

const reasonText = ({ why, hint }: { readonly why: string; readonly hint: string }): string =>
  printable(hint === "" ? why : `${why} (${hint})`);

function pushText({ last, pushed, pushFailed, schedule }: BackupsView, ago: Ago, paint: Paint): readonly string[] {
  if (schedule.remote === null) return [];
  if (pushFailed !== null) return [paint("red", `NOT PUSHED since ${ago(pushFailed.at)}: ${reasonText(pushFailed)}`)];
  if (pushed === null) return last === null ? [] : [paint("yellow", "not pushed yet")];
  return [
    pushed.commit === last?.commit ? `pushed ${ago(pushed.at)}` : paint("yellow", `pushed up to ${shortCommit(pushed.commit)}`),
  ];
}

function drillText({ drill }: BackupsView, ago: Ago, paint: Paint): string {
  if (drill === null) return paint("dim", "no drill yet");
  return drill.sound ? `drill ok, ${ago(drill.at)}` : paint("red", `DRILL FAILED ${ago(drill.at)}: ${printable(drill.why)}`);
}
