/** What a recovery would keep and what may be lost, in words. */
import type { FolderReport } from "@aether/node/recovery/recover-folder";
import { humanDuration } from "../shell/table.ts";

/** Entries of the uncommitted end that are told of one by one. */
const shownMax = 10;
const range = (from: number, to: number): string => (from === to ? `entry ${from}` : `entries ${from} to ${to}`);

/** The two ends of what is surely lost, or null. */
export const surelyLost = (r: FolderReport): { readonly from: number; readonly to: number } | null =>
  r.committedAnywhere > r.upTo ? { from: r.upTo + 1, to: r.committedAnywhere } : null;

/** Several lines, each with its own beginning; `now` in Unix milliseconds. */
export function reportText(r: FolderReport, now: number): string {
  const lines: (readonly [string, string])[] = [
    [
      "kept",
      `${range(r.first, r.upTo)}; the newest was written ${ago(r.at, now)}${r.verdict === "clean" ? "" : ", a torn end was dropped"}`,
    ],
    ["committed", `known to be, up to entry ${r.committed}`],
    ["may not be", tailText(r)],
    ["lost", lostText(r)],
    ["goes on", `${r.node} alone, as member ${r.member.id} of cluster ${r.cluster.id}`],
    ["ends", othersText(r)],
  ];
  const room = Math.max(...lines.map(([title]) => title.length));
  return lines.map(([title, text]) => `  ${title.padEnd(room)}  ${text}\n`).join("");
}

function ago(at: number, now: number): string {
  const time = `${new Date(at).toISOString().slice(0, 19)}Z`;
  return now > at ? `${time}, ${humanDuration(now - at)} ago` : time;
}

/** Where others had committed entries of these numbers, they are these as a rule; a leader that was cut off may have held others. */
function tailText({ committed, committedAnywhere, upTo, tail }: FolderReport): string {
  if (upTo === committed) return "nothing: all that is kept was committed";
  const shown = tail.slice(-shownMax).map(({ index, cause, things, actor }) => {
    const about = things.length === 0 ? "" : ` ${things.join(" ")}`;
    return `${index} ${cause}${about}${actor === "" ? "" : ` by ${actor}`}`;
  });
  const more = upTo - committed - shown.length;
  const earlier = more === 0 ? "" : `${more} earlier; `;
  const known = Math.min(committedAnywhere, upTo);
  const elsewhere =
    known > committed
      ? `; entries of the numbers up to ${known} were committed, and this disk cannot tell whether they were these`
      : "";
  return `${range(committed + 1, upTo)}: this disk was never told that they were, and they are kept: ${earlier}${shown.join("; ")}${elsewhere}`;
}

function lostText(r: FolderReport): string {
  const lost = surelyLost(r);
  const above = `whatever the old cluster committed above entry ${r.upTo}`;
  if (lost === null) return `${above}: nothing on this disk says that there was anything, or that there was not`;
  return `${range(lost.from, lost.to)}: they were committed, and are not on this disk; and ${above}`;
}

function othersText({ cluster, others }: FolderReport): string {
  const names = others.map(({ name, member }) => `${name} (member ${member})`).join(", ");
  return `cluster ${cluster.old}; ${names === "" ? "no other node is in it" : `${names} cannot come back`}`;
}
