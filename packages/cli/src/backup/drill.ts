import { randomUUID } from "node:crypto";
import { connect } from "../context/connection.ts";
import type { Invocation, Run } from "../shell/command.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import { printable } from "../shell/printable.ts";
import { printResult } from "../shell/result.ts";
import type { Shell } from "../shell/shell.ts";
import { humanDuration } from "../shell/table.ts";
import { commitPattern, shortCommit } from "./commit-text.ts";
import { DrillCluster, sweepDrills, type DrillSource, type Drilled } from "./drill-cluster.ts";
import { parsePlace } from "./place.ts";

const waitMs = 60_000;
const whyCharsMax = 1_000;

/** `aether backup drill`. Exit code 1 when what came back is not what was backed up; with --every it goes on until Ctrl-C. */
export const run: Run = async (call, shell) => {
  const source = sourceOf(call.text("from"));
  const everyMs = call.duration("every");
  if (everyMs === 0) throw usage("--every 0: a time is expected", "for example --every 24h");
  const running: Running = { drill: null };
  const onInterrupt = (): void => {
    const end = (): never => process.exit(exit.interrupted);
    if (running.drill === null) end();
    shell.err("\ninterrupted: removing the throw-away cluster\n");
    running.drill?.interrupt().then(end, end);
  };
  process.once("SIGINT", onInterrupt).once("SIGTERM", onInterrupt);
  try {
    for (;;) {
      const began = performance.now();
      if (everyMs === undefined) return await once(call, shell, source, running);
      await onceOfMany(call, shell, source, running);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, everyMs - (performance.now() - began))));
    }
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt);
  }
};

/** What an interruption has to remove. */
interface Running {
  drill: DrillCluster | null;
}

function sourceOf(given: string | undefined): DrillSource {
  if (given === undefined) return { cluster: "HEAD" };
  return commitPattern.test(given) ? { cluster: given } : { place: parsePlace(given) };
}

/** A cluster that cannot be asked now may be asked the next time. */
async function onceOfMany(call: Invocation, shell: Shell, source: DrillSource, running: Running): Promise<void> {
  try {
    await once(call, shell, source, running);
  } catch (error) {
    if (!(error instanceof Failure) || error.code === exit.usage) throw error;
    shell.err(`error: ${error.message}\n`);
  }
}

async function once(call: Invocation, shell: Shell, source: DrillSource, running: Running): Promise<number> {
  await sweepDrills();
  const drilled = await inCluster(call, shell, source, running);
  const recorded = await record(call, shell, source, drilled);
  printResult(call, shell, { ...drilled, recorded }, drilledText(drilled, recorded));
  return drilled.sound ? exit.done : exit.failed;
}

/** Made, compared and removed again. */
async function inCluster(call: Invocation, shell: Shell, source: DrillSource, running: Running): Promise<Drilled> {
  const connection = "cluster" in source ? await connect(call, shell) : null;
  const drill = await DrillCluster.begin(shell, call.duration("timeout") ?? waitMs);
  running.drill = drill;
  try {
    return await drill.run(source, connection);
  } finally {
    connection?.close();
    await drill.remove();
    running.drill = null;
  }
}

/** Whether the cluster knows it now. A drill of another repository is recorded too when it is of a commit that the cluster has. */
async function record(call: Invocation, shell: Shell, source: DrillSource, drilled: Drilled): Promise<boolean> {
  const { commit, sound, things, tookMs } = drilled;
  const body = { commit, sound, things, tookMs: Math.round(tookMs), why: drilled.why.slice(0, whyCharsMax) };
  try {
    const connection = await connect(call, shell);
    try {
      if ("place" in source) await connection.api.call("GET", `/v1/backups/${commit}`);
      await connection.api.call("POST", "/v1/backups/drills", { body, idempotencyKey: randomUUID() });
      return true;
    } finally {
      connection.close();
    }
  } catch (error) {
    if (!(error instanceof Failure) || "cluster" in source) throw error;
    return false;
  }
}

function drilledText(drilled: Drilled, recorded: boolean): string {
  const of = `drill of commit ${shortCommit(drilled.commit)}`;
  const how = recorded ? "recorded" : "not recorded: it is of no cluster that is known here";
  const took = `in ${humanDuration(drilled.tookMs)}`;
  if (drilled.sound) return `${of} ok: ${counted(drilled.things, "thing")} came back as they were, ${took}; ${how}`;
  return `${of} FAILED: ${printable(drilled.why)}, ${took}; ${how}`;
}
