/** Which moment a command line means. */
import type { Invocation } from "../shell/command.ts";
import { usage } from "../shell/failure.ts";
import { commitName } from "./commit-text.ts";
import { parseMoment } from "./moment.ts";

/** Things of a plan that the API is asked for, for people and for programs. */
export const thingsShown = 50;
export const thingsMax = 10_000;

/** One of the three; `atTime` is Unix milliseconds. */
export type Source = { readonly commit: string } | { readonly atIndex: number } | { readonly atTime: number };

/** From COMMIT, --at-index or --at; at most one of them may be given, none means the newest commit. */
export function sourceOf(call: Invocation, nowMs: number): Source {
  const [commit, index, time] = [call.args["commit"], call.integer("at-index"), call.text("at")];
  const given = [
    ...(commit === undefined ? [] : [`COMMIT ${commit}`]),
    ...(index === undefined ? [] : [`--at-index ${index}`]),
    ...(time === undefined ? [] : [`--at ${time}`]),
  ];
  if (given.length > 1) throw usage(`${given.join(" and ")}: which one?`, "give a commit, an index or a time");
  if (index !== undefined) return { atIndex: index };
  if (time === undefined) return { commit: commitName(commit) };
  const at = parseMoment(time, nowMs);
  if (at === null) {
    throw usage(
      `--at ${JSON.stringify(time)}: a time is expected`,
      "for example --at '2026-11-21 12:01:07' (UTC), --at '10m ago'",
    );
  }
  if (at > nowMs) throw usage(`--at ${JSON.stringify(time)}: that is still to come`, "times without a zone are UTC");
  return { atTime: at };
}
