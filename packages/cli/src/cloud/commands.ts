import type { CommandSpec } from "../shell/command.ts";

export const cloudCommands: readonly CommandSpec[] = [
  {
    path: ["cloud", "check"],
    summary: "Ask the cloud whether the cluster of a file could be made there",
    about:
      "Who you are, what you may do (by dry runs), whether image, size, zones and bundle are there, whether the clocks agree. It makes\n" +
      "nothing. Ends with 0 when all is well and with 1 when something is not.",
    examples: [
      { line: "aether cloud check --config cluster.toml", about: "a table, with a hint for each thing that is wrong" },
      { line: "aether cloud check --config cluster.toml -o json", about: "for programs" },
    ],
    args: [],
    flags: [
      { name: "config", kind: "text", placeholder: "FILE", about: "the cluster's file", required: true, completion: "file" },
    ],
    outputs: ["table", "json"],
    load: () => import("./check.ts"),
  },
  {
    path: ["cloud", "orphans"],
    summary: "Show instances that carry Aether's labels and belong to no cluster known here",
    about:
      "Known are the clusters of which this computer has a journal or a context. Others in the same account may belong to other\n" +
      "people: look before you delete. With --delete each cluster's name is asked for.",
    examples: [
      { line: "aether cloud orphans --config cluster.toml", about: "in the account and region of that file" },
      { line: "aether cloud orphans --config cluster.toml --delete", about: "… and delete them, cluster by cluster" },
    ],
    args: [],
    flags: [
      {
        name: "config",
        kind: "text",
        placeholder: "FILE",
        about: "says which account and region; by default those of all clusters known here",
        completion: "file",
      },
      { name: "delete", kind: "switch", about: "delete what is found" },
      { name: "yes", short: "y", kind: "switch", about: "do not ask" },
    ],
    outputs: ["table", "json"],
    load: () => import("./orphans.ts"),
  },
  {
    path: ["cloud", "bundle"],
    summary: "Make the file from which new machines get Aether",
    about:
      "Node, aetherd and what it needs of compiled modules, for machines of this computer's platform: one .tar.gz of some 45 MiB, the\n" +
      "same bytes for the same version. Put it where new machines can fetch it over https, and give cluster.toml the line that is printed.",
    examples: [
      { line: "aether cloud bundle aether.tar.gz", about: "prints size, digest and the line bundle_url = … for [cloud]" },
    ],
    args: [{ name: "file", about: "what to write; replaced when it is there", completion: "file" }],
    flags: [],
    outputs: ["table", "json"],
    load: () => import("./bundle.ts"),
  },
  {
    path: ["node", "retry"],
    summary: "Have the leader try again to make a node's machine in a cloud",
    about:
      "For one that the vendor has refused (a quota, a request it does not like) or that thrice came to nothing: the leader waits for\n" +
      "this. aether cluster status tells why it waits.",
    examples: [{ line: "aether node retry n4", about: "after the quota was raised" }],
    args: [{ name: "node", about: "the node's name, n2", completion: "node" }],
    flags: [],
    outputs: ["table", "json"],
    load: () => import("../node/retry.ts"),
  },
];
