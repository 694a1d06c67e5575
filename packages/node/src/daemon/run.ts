/** A configured daemon as a process: its face, its signals, its end. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redacted } from "effect/Redacted";
import type { NodeFile } from "@aether/core/config/node-file";
import { failpoints } from "@aether/core/kernel/failpoint";
import type { TlsMaterial } from "../identity/tls.ts";
import { openFace } from "../server/face.ts";
import { prepareAetherd, type Aetherd } from "./aetherd-process.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { reportFatal } from "./fatal-report.ts";
import { makeFailpoints, type FailpointPlan } from "./failpoints.ts";
import { standardLog, type Log } from "./log.ts";
import { watchStalls } from "./stalls.ts";
import { version } from "./version.ts";

/** A stall longer than this is worth a line: heartbeats were late. */
const stallLogMs = 200;
/** An orderly end that takes longer is given up. */
const endingMs = 10_000;

/** Its configuration, and what stands in the files that it names. */
export interface DaemonGiven {
  readonly configuration: NodeFile;
  readonly tls: TlsMaterial;
  readonly remoteToken: Redacted | null;
}

/** Runs until the daemon has ended. Resolves with the process's exit code. `plan`: failpoints to arm, for tests. */
export async function runDaemon(given: DaemonGiven, plan: FailpointPlan | null): Promise<ExitCode> {
  const { configuration } = given;
  const log = standardLog({ node: configuration.node.name });
  log.info("starting", { version, pid: process.pid, node_version: process.version, data: configuration.dataDir });
  if (plan !== null) {
    const armed = plan.rules.map((rule) => rule.text).join(";");
    log.warn("failpoints", { armed, seed: plan.seed, meaning: "this daemon harms itself on purpose: for tests only" });
    Object.assign(failpoints, makeFailpoints(plan, log));
  }
  const daemon = await prepareAetherd({ ...given, log, exit }).catch((error: Error) => error);
  if (!(daemon instanceof Error)) return run(daemon, log);
  const { error, message, next } = reportFatal(daemon, configuration.dataDir);
  log.error("fatal", { error, message: `the data folder cannot be read: ${message}`, next });
  return exitCodes.fatal;
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
