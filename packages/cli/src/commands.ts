/** Every command of `aether`, as data. What a command does is loaded only when it runs. */
import { backupCommands } from "./backup/commands.ts";
import { cloudCommands } from "./cloud/commands.ts";
import { contextCommands } from "./context/commands.ts";
import type { CommandSpec, Flag, Group } from "./shell/command.ts";

const timeout = (about: string): Flag => ({ name: "timeout", kind: "duration", placeholder: "TIME", about });
const detach: Flag = { name: "detach", kind: "switch", about: "return as soon as it is decided; do not follow it" };
const reason: Flag = { name: "reason", kind: "text", placeholder: "TEXT", about: "why, for the record" };
const from: Flag = { name: "from", kind: "integer", placeholder: "INDEX", about: "first index wanted" };
const nodeArgument = { name: "node", about: "the node's name, n2", completion: "node" } as const;
const tableAndJson = ["table", "json"] as const;
const allOutputs = ["table", "wide", "json"] as const;

export const groups: readonly Group[] = [
  { path: ["cluster"], summary: "Make, see, change and end clusters" },
  { path: ["context"], summary: "Which cluster the commands talk to" },
  { path: ["node"], summary: "The members of a cluster and their duty" },
  { path: ["settings"], summary: "Versioned values, replicated to every member" },
  { path: ["thresholds"], summary: "The settings that alerts are raised by" },
  { path: ["backup"], summary: "Copies of the cluster's state in git, and the way back to any of them" },
  { path: ["cloud"], summary: "Accounts at the clouds: what you may do there, and what lies there forgotten" },
  { path: ["audit"], summary: "Proof that the log is what was written" },
];

const clusterCommands: readonly CommandSpec[] = [
  {
    path: ["cluster", "bootstrap"],
    summary: "Make a cluster from one file, in twelve steps",
    about:
      "It may be interrupted at any step and run again: it goes on where it stood, provisions nothing twice and keeps\n" +
      "the same identity. On a cluster that is ready it verifies and changes nothing.\n" +
      "With --from-backup it has the state of that commit when it is ready, with an identity of its own: nodes of the old cluster are\n" +
      "refused. AETHER_BACKUP_TOKEN (and AETHER_BACKUP_USER) are what an https repository asks for; nothing is written there.",
    examples: [
      { line: "aether cluster bootstrap --config cluster.toml", about: "make it, or finish making it" },
      { line: "aether cluster bootstrap --config cluster.toml -o json", about: "… and print what was made as JSON" },
      { line: "aether cluster bootstrap --config cluster.toml --dry-run", about: "what it would make, and what that costs" },
      { line: "aether cluster bootstrap --config cluster.toml --from-backup /mnt/backup.git@4f1c2ab9", about: "with that state" },
    ],
    args: [],
    flags: [
      { name: "config", kind: "text", placeholder: "FILE", about: "the cluster's file", required: true, completion: "file" },
      {
        name: "from-backup",
        kind: "text",
        placeholder: "REPO[@COMMIT]",
        about: "begin with this backup's state: a path or https URL; by default its newest commit",
        completion: "file",
      },
      { name: "dry-run", kind: "switch", about: "print what would be made, and what of it bills; make nothing" },
      { name: "rollback", kind: "switch", about: "in a cloud: if it fails, delete the machines that this run made" },
      timeout("longest wait in one step (60s; 10m in a cloud)"),
    ],
    outputs: tableAndJson,
    load: () => import("./bootstrap/bootstrap.ts"),
  },
  {
    path: ["cluster", "status"],
    summary: "Show the members, the leader and whether a quorum stands",
    about: "Every member is asked by itself, so dead ones and members that disagree are seen. Works with no member up.",
    examples: [
      { line: "aether cluster status", about: "once" },
      { line: "aether cluster status --watch", about: "again and again" },
      { line: "aether cluster status -o json", about: "for programs" },
    ],
    args: [],
    flags: [
      { name: "watch", short: "w", kind: "switch", about: "again every --interval, until Ctrl-C" },
      { name: "interval", kind: "duration", placeholder: "TIME", about: "between looks of --watch (1s)" },
    ],
    outputs: allOutputs,
    load: () => import("./cluster/status.ts"),
  },
  {
    path: ["cluster", "scale"],
    summary: "Grow or shrink the cluster, one safe step at a time",
    about: "Shrinking drains and shuts down the highest names first; quorum is never given up. Run again, it goes on.",
    examples: [
      { line: "aether cluster scale --nodes 5", about: "to five members" },
      { line: "aether cluster scale --nodes 3", about: "back to three" },
    ],
    args: [],
    flags: [
      { name: "nodes", kind: "integer", placeholder: "N", about: "how many members: 1 to 7, better odd", required: true },
      timeout("longest wait for one node (2m; 10m in a cloud)"),
    ],
    outputs: tableAndJson,
    load: () => import("./cluster/scale.ts"),
  },
  {
    path: ["cluster", "start"],
    summary: "Start every member that is not running, and wait until all have caught up",
    examples: [{ line: "aether cluster start", about: "after a crash, a stop or a reboot" }],
    args: [],
    flags: [timeout("how long to wait (60s)")],
    outputs: tableAndJson,
    load: () => import("./cluster/start.ts"),
  },
  {
    path: ["cluster", "stop"],
    summary: "Stop every member gracefully; nothing is lost",
    examples: [{ line: "aether cluster stop", about: "aether cluster start brings it back" }],
    args: [],
    flags: [],
    outputs: tableAndJson,
    load: () => import("./cluster/stop.ts"),
  },
  {
    path: ["cluster", "recover"],
    summary: "Go on from the one disk that is left, when a quorum is lost for good",
    about:
      "The old cluster ends: the disk becomes that of the only member of a new one, with another id. Says first what is kept and\n" +
      "what may be lost, and refuses while a quorum of the old members answers. Killed anywhere, run it again: it finishes.",
    examples: [
      { line: "aether cluster recover --from-member n2", about: "asks for the cluster's name" },
      {
        line: "aether cluster recover --from-member n2 --data-dir /mnt/n2/data",
        about: "a disk that was brought from elsewhere",
      },
    ],
    args: [],
    flags: [
      { name: "from-member", kind: "text", placeholder: "NODE", about: "whose disk it is", required: true, completion: "node" },
      {
        name: "data-dir",
        kind: "text",
        placeholder: "PATH",
        about: "its data folder, if it is not where this computer has it",
        completion: "file",
      },
      { name: "yes", short: "y", kind: "switch", about: "do not ask" },
      timeout("how long to wait for the member (60s)"),
    ],
    outputs: tableAndJson,
    load: () => import("./cluster/recover.ts"),
  },
  {
    path: ["cluster", "destroy"],
    summary: "End every instance and remove the cluster's data, keys and context",
    about:
      "In a cloud it works with credentials and either journal or file, also when no node answers: instances are found by their labels,\n" +
      "deleted, and looked for until two lists are empty. More than two above what the cluster has are refused: a person must look first.",
    examples: [
      { line: "aether cluster destroy", about: "asks for the cluster's name" },
      { line: "aether cluster destroy staging --yes", about: "asks nothing" },
      { line: "aether cluster destroy --config cluster.toml", about: "in a cloud, also where its journal is lost or damaged" },
      { line: "aether cluster destroy --dry-run", about: "what it would delete" },
    ],
    args: [{ name: "name", about: "the cluster; by default the context's", optional: true, completion: "context" }],
    flags: [
      { name: "yes", short: "y", kind: "switch", about: "do not ask" },
      { name: "dry-run", kind: "switch", about: "print what would be deleted; delete nothing" },
      {
        name: "config",
        kind: "text",
        placeholder: "FILE",
        about: "the cluster's file, in place of its journal",
        completion: "file",
      },
      {
        name: "at-most",
        kind: "integer",
        placeholder: "N",
        about: "so many instances are surely its own (as many as it has nodes)",
      },
    ],
    outputs: tableAndJson,
    load: () => import("./cluster/destroy.ts"),
  },
];

const nodeCommands: readonly CommandSpec[] = [
  {
    path: ["node", "list"],
    summary: "Show the nodes, their duty and contact",
    examples: [{ line: "aether node list -o wide", about: "with the version and index of each row" }],
    args: [],
    flags: [],
    outputs: allOutputs,
    load: () => import("./node/list.ts"),
  },
  {
    path: ["node", "show"],
    summary: "Show one node and what happened to it last",
    examples: [{ line: "aether node show n2", about: "row, version and last events" }],
    args: [nodeArgument],
    flags: [],
    outputs: tableAndJson,
    load: () => import("./node/show.ts"),
  },
  {
    path: ["node", "drain"],
    summary: "Take a node off duty; admitted only while a quorum stays on duty without it",
    examples: [
      { line: "aether node drain n2", about: "and follow it until it carries nothing" },
      { line: "aether node drain n2 --reason 'disk swap' --detach", about: "do not wait" },
    ],
    args: [nodeArgument],
    flags: [reason, detach, timeout("how long to follow (60s)")],
    outputs: tableAndJson,
    load: () => import("./node/drain.ts"),
  },
  {
    path: ["node", "undrain"],
    summary: "Put a drained or draining node back on duty",
    examples: [{ line: "aether node undrain n2", about: "" }],
    args: [nodeArgument],
    flags: [],
    outputs: tableAndJson,
    load: () => import("./node/undrain.ts"),
  },
  {
    path: ["node", "shutdown"],
    summary: "Take a drained node out of the cluster and end its process",
    examples: [
      { line: "aether node shutdown n2", about: "after aether node drain n2" },
      { line: "aether node shutdown n2 --force --reason 'host is lost'", about: "from any duty" },
    ],
    args: [nodeArgument],
    flags: [
      {
        name: "force",
        kind: "switch",
        about: "also from joining, on-duty or draining, and if quorum is at risk; needs --reason",
      },
      reason,
      detach,
      timeout("how long to follow (60s)"),
    ],
    outputs: tableAndJson,
    load: () => import("./node/shutdown.ts"),
  },
];

const settingCommands: readonly CommandSpec[] = [
  {
    path: ["settings", "list"],
    summary: "Show all settings",
    examples: [{ line: "aether settings list", about: "" }],
    args: [],
    flags: [],
    outputs: allOutputs,
    load: () => import("./settings/list.ts"),
  },
  {
    path: ["settings", "get"],
    summary: "Show one setting",
    examples: [
      { line: "aether settings get cpu_warning", about: "the value" },
      { line: "aether settings get cpu_warning -o json", about: "key, value, version, index" },
    ],
    args: [{ name: "key", about: "the setting's key", completion: "setting" }],
    flags: [],
    outputs: tableAndJson,
    load: () => import("./settings/get.ts"),
  },
  {
    path: ["settings", "set"],
    summary: "Write one setting",
    about: "VALUE is JSON; what is not JSON is taken as text.",
    examples: [
      { line: "aether settings set cpu_warning 0.8", about: "whatever it was before" },
      { line: "aether settings set cpu_warning 0.8 --if-version 3", about: "only if nobody wrote in between" },
    ],
    args: [
      { name: "key", about: "the setting's key", completion: "setting" },
      { name: "value", about: "JSON, or text" },
    ],
    flags: [
      { name: "if-version", kind: "integer", placeholder: "N", about: "refuse unless this is its version (0: unless it is new)" },
    ],
    outputs: tableAndJson,
    load: () => import("./settings/set.ts"),
  },
  {
    path: ["thresholds", "list"],
    summary: "Show the thresholds",
    examples: [{ line: "aether thresholds list", about: "" }],
    args: [],
    flags: [],
    outputs: allOutputs,
    load: () => import("./settings/thresholds-list.ts"),
  },
  {
    path: ["thresholds", "set"],
    summary: "Set one threshold, a share from 0 to 1",
    examples: [{ line: "aether thresholds set cpu_warning 0.8", about: "warn at four fifths" }],
    args: [
      { name: "metric", about: "cpu_warning, cpu_critical, memory_warning, …", completion: "setting" },
      { name: "value", about: "from 0 to 1" },
    ],
    flags: [{ name: "if-version", kind: "integer", placeholder: "N", about: "refuse unless this is its version" }],
    outputs: tableAndJson,
    load: () => import("./settings/thresholds-set.ts"),
  },
];

const logCommands: readonly CommandSpec[] = [
  {
    path: ["events"],
    summary: "Show what happened, entry by entry",
    examples: [
      { line: "aether events", about: "all that the log holds" },
      { line: "aether events --follow", about: "… and all that comes" },
      { line: "aether events --from 1 --for node/n2 -o json", about: "one entry a line, about one thing" },
    ],
    args: [],
    flags: [
      from,
      { name: "follow", short: "f", kind: "switch", about: "go on as entries commit, until Ctrl-C" },
      { name: "for", kind: "text", placeholder: "THING", about: "only about this thing, node/n2" },
      { name: "limit", kind: "integer", placeholder: "N", about: "at most so many entries, the oldest first" },
    ],
    outputs: tableAndJson,
    load: () => import("./log/events.ts"),
  },
  {
    path: ["history"],
    summary: "Show all that happened to one thing",
    examples: [
      { line: "aether history node/n2", about: "its whole life" },
      { line: "aether history setting/cpu_warning -o json", about: "one entry a line" },
    ],
    args: [{ name: "thing", about: "NOUN/ID: node/n2, setting/cpu_warning, cluster/local" }],
    flags: [from, { name: "limit", kind: "integer", placeholder: "N", about: "at most so many entries, the oldest first" }],
    outputs: tableAndJson,
    load: () => import("./log/history.ts"),
  },
  {
    path: ["audit", "verify"],
    summary: "Prove that the log is unbroken and was signed by members",
    about: "The entries are fetched and their digests computed here; a signed checkpoint is checked against the cluster's CA.",
    examples: [
      { line: "aether audit verify", about: "everything that is still held" },
      { line: "aether audit verify --from 1 --to 500 --member n2", about: "a range, as one member holds it" },
    ],
    args: [],
    flags: [
      from,
      { name: "to", kind: "integer", placeholder: "INDEX", about: "last index wanted" },
      { name: "member", kind: "text", placeholder: "NODE", about: "ask this member for its copy", completion: "node" },
    ],
    outputs: tableAndJson,
    load: () => import("./log/audit.ts"),
  },
];

const otherCommands: readonly CommandSpec[] = [
  {
    path: ["completion"],
    summary: "Print a script that completes commands, flags, nodes, settings and commits",
    examples: [
      { line: "source <(aether completion bash)", about: "bash" },
      { line: "source <(aether completion zsh)", about: "zsh" },
      { line: "aether completion fish | source", about: "fish" },
    ],
    args: [{ name: "shell", about: "bash, zsh or fish", completion: ["bash", "zsh", "fish"] }],
    flags: [],
    outputs: ["table"],
    load: () => import("./completion/script.ts"),
  },
  {
    path: ["__complete"],
    summary: "Print what may stand for a value; for the completion scripts",
    examples: [],
    args: [{ name: "kind", about: "node, setting, context or commit" }],
    flags: [],
    outputs: ["table"],
    hidden: true,
    load: () => import("./completion/values.ts"),
  },
  {
    path: ["version"],
    summary: "Show the version",
    examples: [{ line: "aether version", about: "" }],
    args: [],
    flags: [],
    outputs: tableAndJson,
    load: () => import("./version.ts"),
  },
];

export const commands: readonly CommandSpec[] = [
  ...clusterCommands,
  ...cloudCommands,
  ...contextCommands,
  ...nodeCommands,
  ...settingCommands,
  ...backupCommands,
  ...logCommands,
  ...otherCommands,
];
