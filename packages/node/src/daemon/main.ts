/** From the command line to a running daemon and its exit code. */
import { setTimeout as sleep } from "node:timers/promises";
import { openFace } from "../server/face.ts";
import { prepareAetherd, type Aetherd } from "./aetherd-process.ts";
import { loadConfiguration } from "./configuration.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { standardLog, type Log } from "./log.ts";
import { watchStalls } from "./stalls.ts";
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

/** A stall longer than this is worth a line: heartbeats were late. */
const stallLogMs = 200;
/** An orderly end that takes longer is given up. */
const endingMs = 10_000;

/** Runs until the daemon has ended, then ends the process with its code. */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) return void process.stdout.write(usage);
  if (args.includes("--version")) return void process.stdout.write(`aetherd ${version}\n`);
  const loaded = await loadConfiguration(args, env);
  if ("errors" in loaded) {
    for (const line of loaded.errors) process.stderr.write(`error: ${line}\n`);
    process.exitCode = exitCodes.usage;
    return;
  }
  const log = standardLog({ node: loaded.configuration.node.name });
  log.info("starting", { version, pid: process.pid, node_version: process.version, data: loaded.configuration.dataDir });
  process.exit(await run(await prepareAetherd({ ...loaded, log, exit }), log));
}

const exit = (code: ExitCode): never => process.exit(code);

async function run(daemon: Aetherd, log: Log): Promise<ExitCode> {
  process.on("uncaughtException", (error) => daemon.fatal(error));
  process.on("unhandledRejection", (cause) => daemon.fatal(cause instanceof Error ? cause : new Error(String(cause))));
  obeySignals(daemon, log);
  const stalls = watchStalls(
    stallLogMs,
    () => performance.now(),
    (ms) => log.warn("stall", { ms }),
  );
  const face = await openFace(daemon).catch((error: Error) => error);
  if (face instanceof Error) {
    log.error("fatal", {
      message: `cannot listen on ${daemon.configuration.listen.host}:${daemon.configuration.listen.port}: ${face.message}`,
    });
    return exitCodes.inUse;
  }
  log.info("listening", { address: daemon.configuration.advertise, port: face.port });
  daemon.live().catch((error: Error) => {
    if (error.name !== "FolderBusy") daemon.fatal(error);
    void daemon.end(exitCodes.inUse, error.message);
  });
  const { code, why } = await daemon.ended;
  await Promise.race([face.close(), sleep(endingMs)]);
  stalls.stop();
  log.info("ended", { code, why });
  return code;
}

/** The first signal ends in order, within a limit; the second one ends now. */
function obeySignals(daemon: Aetherd, log: Log): void {
  let asked = false;
  const obey = (signal: NodeJS.Signals): void => {
    if (asked) {
      log.warn("ended", { why: `second ${signal}` });
      exit(exitCodes.done);
    }
    asked = true;
    void daemon.end(exitCodes.done, signal);
    setTimeout(() => {
      log.warn("ended", { why: `not in order within ${endingMs} ms of ${signal}` });
      exit(exitCodes.done);
    }, endingMs).unref();
  };
  process.on("SIGTERM", obey);
  process.on("SIGINT", obey);
}
