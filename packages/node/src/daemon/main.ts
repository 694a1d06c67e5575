/** From the command line to a running daemon and its exit code. */
import { loadConfiguration } from "./configuration.ts";
import { exitCodes } from "./exit-codes.ts";
import { readFailpoints } from "./failpoints.ts";
import { version } from "./version.ts";

const usage = `aetherd: the daemon of an Aether node

Examples:
  aetherd --config /etc/aether/node.json
  AETHER_NODE_CONFIG="$(cat node.json)" aetherd

Options:
  --config FILE   the node's configuration (JSON); without it, AETHER_NODE_CONFIG holds the JSON itself
  --help          this text
  --version       the version

Signals: SIGTERM and SIGINT hand over leadership, flush and end with 0; a second one ends at once.
Exit codes: 0 as asked, 2 configuration, 70 disk or invariant, 71 differs from the quorum, 72 removed, 73 in use.
`;

/** Runs until the daemon has ended, then ends the process with its code. */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) return void process.stdout.write(usage);
  if (args.includes("--version")) return void process.stdout.write(`aetherd ${version}\n`);
  const loaded = await loadConfiguration(args, env);
  if ("errors" in loaded) return refuse(loaded.errors);
  const failpoints = readFailpoints(env);
  if (failpoints !== null && "errors" in failpoints) return refuse(failpoints.errors);
  // Everything else is loaded only by a daemon that runs.
  const { runDaemon } = await import("./run.ts");
  process.exit(await runDaemon(loaded, failpoints));
}

function refuse(errors: readonly string[]): void {
  for (const line of errors) process.stderr.write(`error: ${line}\n`);
  process.exitCode = exitCodes.usage;
}
