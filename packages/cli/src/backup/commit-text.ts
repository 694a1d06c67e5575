/** Commits as they are shown and given. */
import { usage } from "../shell/failure.ts";

/** The first ten digits: enough to be given back to any command. */
export const shortCommit = (commit: string): string => commit.slice(0, 10);

/** What the API takes for a commit. */
export const commitPattern = /^(?:[0-9a-f]{4,40}|HEAD|main)$/;

/** What may stand for a commit on a command line, in the form that the API takes. Without one: the newest, HEAD. */
export function commitName(given: string | undefined): string {
  if (given === undefined) return "HEAD";
  const name = /^[0-9a-f]+$/i.test(given) ? given.toLowerCase() : given;
  if (commitPattern.test(name)) return name;
  throw usage(`${JSON.stringify(given)} is no commit: 4 to 40 hex digits are expected`, "aether backup list shows them");
}
