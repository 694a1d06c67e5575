import type { CommandSpec } from "../shell/command.ts";

export const contextCommands: readonly CommandSpec[] = [
  {
    path: ["context", "list"],
    summary: "Show the known clusters",
    examples: [{ line: "aether context list", about: "the current one is marked" }],
    args: [],
    flags: [],
    outputs: ["table", "json"],
    load: () => import("./list.ts"),
  },
  {
    path: ["context", "use"],
    summary: "Choose the cluster that commands talk to",
    examples: [{ line: "aether context use production", about: "from now on" }],
    args: [{ name: "name", about: "a context of `aether context list`", completion: "context" }],
    flags: [],
    outputs: ["table", "json"],
    load: () => import("./use.ts"),
  },
];
