/** `aether backup …`, as data. */
import type { Argument, CommandSpec, Flag } from "../shell/command.ts";

const tableAndJson = ["table", "json"] as const;
const commit = (about: string): Argument => ({ name: "commit", about, optional: true, completion: "commit" });
const newest = "a commit of `aether backup list`; by default the newest";
const only: Flag = {
  name: "only",
  kind: "text",
  placeholder: "THINGS",
  about: "only these: setting/cpu_warning, setting/app/*, node; may be given again",
  many: true,
};
const yes: Flag = { name: "yes", short: "y", kind: "switch", about: "do not ask" };
const timeout = (about: string): Flag => ({ name: "timeout", kind: "duration", placeholder: "TIME", about });

const looks: readonly CommandSpec[] = [
  {
    path: ["backup", "list"],
    summary: "Show the commits that the cluster can be restored from, the newest first",
    examples: [
      { line: "aether backup list", about: "the newest twenty" },
      { line: "aether backup list --limit 500 -o json", about: "for programs" },
    ],
    args: [],
    flags: [{ name: "limit", kind: "integer", placeholder: "N", about: "at most so many (20)" }],
    outputs: ["table", "wide", "json"],
    load: () => import("./list.ts"),
  },
  {
    path: ["backup", "show"],
    summary: "Show one commit: of when it is, what it holds and what it changed",
    examples: [
      { line: "aether backup show", about: "the newest" },
      { line: "aether backup show 4f1c2ab9", about: "any" },
    ],
    args: [commit(newest)],
    flags: [],
    outputs: tableAndJson,
    load: () => import("./show.ts"),
  },
  {
    path: ["backup", "diff"],
    summary: "Show what differs between two commits, or between a commit and now",
    examples: [
      { line: "aether backup diff 4f1c2ab9", about: "what has changed since" },
      { line: "aether backup diff 4f1c2ab9 9d02e771 --only setting", about: "from one commit to another, settings only" },
    ],
    args: [
      { name: "commit", about: "from this commit on", completion: "commit" },
      { name: "to", about: "to this one; by default `now`, the cluster as it is", optional: true, completion: "commit" },
    ],
    flags: [only],
    outputs: tableAndJson,
    load: () => import("./diff.ts"),
  },
  {
    path: ["backup", "verify"],
    summary: "Prove that a commit is whole: every object, file and count, and its place in the log",
    about: "Exit code 1 and each damaged file by its name when it is not.",
    examples: [
      { line: "aether backup verify", about: "the newest" },
      { line: "aether backup verify 4f1c2ab9", about: "any" },
    ],
    args: [commit(newest)],
    flags: [timeout("how long it may take (10m)")],
    outputs: tableAndJson,
    load: () => import("./verify.ts"),
  },
];

const deeds: readonly CommandSpec[] = [
  {
    path: ["backup", "trigger"],
    summary: "Back up now, and follow it until enough members hold the commit",
    examples: [
      { line: "aether backup trigger", about: "before a large change, for instance" },
      { line: "aether backup trigger --detach", about: "only ask for it" },
    ],
    args: [],
    flags: [
      { name: "detach", kind: "switch", about: "return as soon as it is asked for; do not follow it" },
      timeout("how long to follow (5m)"),
    ],
    outputs: tableAndJson,
    load: () => import("./trigger.ts"),
  },
  {
    path: ["backup", "restore"],
    summary: "Bring back what was wanted at a commit, an index or a time, in one atomic step",
    about:
      "Shows what it will change and asks. What is observed, who the members are and the history stay as they are: what\n" +
      "was undone is still in the log, and a restore can be undone by another. Without COMMIT, --at-index or --at: the newest commit.",
    examples: [
      { line: "aether backup restore 4f1c2ab9 --dry-run", about: "only show what it would change" },
      { line: "aether backup restore 4f1c2ab9 --only setting/cpu_warning", about: "one thing, or a part" },
      { line: "aether backup restore --at '10m ago'", about: "any moment that the log still holds" },
    ],
    args: [commit(newest)],
    flags: [
      { name: "at-index", kind: "integer", placeholder: "N", about: "as it was after this entry of the log" },
      { name: "at", kind: "text", placeholder: "TIME", about: "as it was then: '2026-11-21 12:01:07' (UTC), '10m ago', 2h" },
      only,
      { name: "dry-run", kind: "switch", about: "show the plan and change nothing" },
      yes,
      timeout("how long it may take (10m)"),
    ],
    outputs: tableAndJson,
    load: () => import("./restore.ts"),
  },
  {
    path: ["backup", "push"],
    summary: "Push the commits to the remote of [backup] now",
    examples: [
      { line: "aether backup push", about: "after the remote could not be reached, for instance" },
      { line: "aether backup push --force", about: "put this line of commits in place of another one there" },
    ],
    args: [],
    flags: [
      {
        name: "force",
        kind: "switch",
        about: "also where the remote has commits that are not of this line; they are lost there",
      },
      timeout("how long it may take (10m)"),
    ],
    outputs: tableAndJson,
    load: () => import("./push.ts"),
  },
  {
    path: ["backup", "drill"],
    summary: "Restore the newest commit into a throw-away cluster here, and compare",
    about:
      "A cluster of one in a temporary folder, made as by `aether cluster bootstrap --from-backup`, is backed up in turn: both backups\n" +
      "must want the same, file by file. It is destroyed in the end, and the result is shown in `aether cluster status`.",
    examples: [
      { line: "aether backup drill", about: "the newest commit of the cluster" },
      { line: "aether backup drill --from /mnt/backup.git@4f1c2ab9", about: "a commit of another repository" },
      { line: "aether backup drill --every 24h", about: "again and again, until Ctrl-C" },
    ],
    args: [],
    flags: [
      {
        name: "from",
        kind: "text",
        placeholder: "SOURCE",
        about: "a commit of the cluster, or REPO[@COMMIT] (path or https URL)",
      },
      { name: "every", kind: "duration", placeholder: "TIME", about: "go on, a drill every so long" },
      timeout("longest wait in one step (60s)"),
    ],
    outputs: tableAndJson,
    load: () => import("./drill.ts"),
  },
];

export const backupCommands: readonly CommandSpec[] = [...deeds.slice(0, 1), ...looks, ...deeds.slice(1)];
