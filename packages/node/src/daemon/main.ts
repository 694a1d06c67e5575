/** From the command line to a running daemon and its exit code. */
import { loadConfiguration } from "./configuration.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { readFailpoints } from "./failpoints.ts";
import { version } from "./version.ts";

const usage = `aetherd: the daemon of an Aether node

Examples:
  aetherd --config /etc/aether/node.json
  AETHER_NODE_CONFIG="$(cat node.json)" aetherd
  aetherd --birth /etc/aether/birth.json

Options:
  --config FILE   the node's configuration (JSON); without it, AETHER_NODE_CONFIG holds the JSON itself
  --birth FILE    of a machine in a cloud: waits for its maker once, then runs with the configuration that it was given
  --help          this text
  --version       the version

Signals: SIGTERM and SIGINT hand over leadership, flush and end with 0; a second one ends at once.
Environment: AETHER_BIND, the address to listen on in place of the configuration's.
Exit codes: 0 as asked, 2 configuration, 70 disk or invariant, 71 differs from the quorum, 72 removed, 73 in use, 74 nobody came.
`;

/** Runs until the daemon has ended, then ends the process with its code. */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) return void process.stdout.write(usage);
  if (args.includes("--version")) return void process.stdout.write(`aetherd ${version}\n`);
  const born = await birth(args, env);
  if ("errors" in born) return refuse(born.errors, born.code);
  const loaded = await loadConfiguration(born.args, env);
  if ("errors" in loaded) return refuse(loaded.errors);
  const failpoints = readFailpoints(env);
  if (failpoints !== null && "errors" in failpoints) return refuse(failpoints.errors);
  // Everything else is loaded only by a daemon that runs.
  const { runDaemon } = await import("./run.ts");
  process.exit(await runDaemon(loaded, failpoints));
}

/** What to run with: the arguments as they stand or, after `--birth FILE`, the configuration that a maker has given. */
async function birth(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly args: readonly string[] } | { readonly code: ExitCode; readonly errors: readonly string[] }> {
  const [option, file, ...rest] = args;
  if (option !== "--birth" || file === undefined || rest.length > 0) return { args };
  const { beBorn } = await import("../enrolment/be-born.ts");
  const born = await beBorn(file, env);
  return "errors" in born ? born : { args: ["--config", born.configuration] };
}

function refuse(errors: readonly string[], code: ExitCode = exitCodes.usage): void {
  for (const line of errors) process.stderr.write(`error: ${line}\n`);
  process.exitCode = code;
}
