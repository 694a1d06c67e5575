import { randomUUID } from "node:crypto";
import type { RestorePlan, RestoreAnswer } from "../context/api.ts";
import { connect, type Connection } from "../context/connection.ts";
import { confirm } from "../shell/confirm.ts";
import { counted } from "../shell/counted.ts";
import type { Invocation, Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import type { Shell } from "../shell/shell.ts";
import { humanDuration } from "../shell/table.ts";
import { shortCommit } from "./commit-text.ts";
import { momentText } from "./moment.ts";
import { isEmpty, renderPlan } from "./plan-text.ts";
import { sourceOf, thingsMax, thingsShown, type Source } from "./source.ts";
import { watchRestore } from "./watch-restore.ts";

const waitMs = 600_000;
/** Others may write while the plan is read; after so many plans they write too much for it. */
const plansMax = 5;

/** `aether backup restore`: plan, ask, do what was shown. */
export const run: Run = async (call, shell) => {
  const source = sourceOf(call, Date.now());
  if (!call.switched("dry-run") && !call.switched("yes") && !shell.inIsTerminal) {
    const hint = "look with --dry-run, then add --yes";
    throw new Failure(exit.rejected, "a restore changes the cluster, and there is no terminal to confirm it on", hint);
  }
  const connection = await connect(call, shell);
  try {
    return await restore(call, shell, connection, source);
  } finally {
    connection.close();
  }
};

async function restore(call: Invocation, shell: Shell, connection: Connection, asked: Source): Promise<number> {
  let source = asked;
  for (let plans = 1; ; plans++) {
    const plan = await planOf(call, connection, source);
    // HEAD and a time are looked up once: what is asked about next is what was shown.
    source = plan.source.commit === undefined ? { atIndex: plan.source.index } : { commit: plan.source.commit };
    const json = call.output === "json";
    if (call.switched("dry-run")) {
      shell.out(json ? `${JSON.stringify(plan)}\n` : `${headOf(plan)}${renderPlan(plan, shell.paint)}nothing was changed\n`);
      return exit.done;
    }
    if (isEmpty(plan)) {
      const nothing = { restore: "", index: plan.index, before: plan.index, things: 0, kept: plan.kept, source: plan.source };
      shell.out(json ? `${JSON.stringify(nothing)}\n` : `${headOf(plan)}${renderPlan(plan, shell.paint)}nothing to do\n`);
      return exit.done;
    }
    const shown = `${headOf(plan)}${renderPlan(plan, shell.paint)}`;
    // With -o json stdout has one line, what came of it; the plan is for the person who is asked.
    if (json) shell.err(shown);
    else shell.out(shown);
    await confirm(shell, `this changes ${counted(countOf(plan), "thing")}`, call.switched("yes"));
    try {
      const done = await apply(call, shell, connection, source, plan);
      shell.out(json ? `${JSON.stringify(done)}\n` : doneText(done, call));
      return exit.done;
    } catch (error) {
      if (!(error instanceof Failure) || error.reason !== "stale" || plans >= plansMax) throw error;
      shell.err("the cluster has changed since this was planned; the plan is now:\n");
    }
  }
}

function planOf(call: Invocation, connection: Connection, source: Source): Promise<RestorePlan> {
  const limit = call.output === "json" ? thingsMax : thingsShown;
  const body = { ...source, only: call.texts("only"), limit };
  return connection.api.call<RestorePlan>("POST", "/v1/backups/plan", { body, timeoutMs: call.duration("timeout") ?? waitMs });
}

/** Sends the plan's digest along: only what was shown is done. */
async function apply(call: Invocation, shell: Shell, connection: Connection, source: Source, plan: RestorePlan) {
  const progress = follow(shell);
  const watching = await watchRestore(connection.context, plan.index, (text) => progress.say(text));
  try {
    const body = { ...source, only: call.texts("only"), plan: plan.digest };
    const timeoutMs = call.duration("timeout") ?? waitMs;
    const idempotencyKey = randomUUID();
    return await connection.api.call<RestoreAnswer>("POST", "/v1/backups/restore", { body, idempotencyKey, timeoutMs });
  } finally {
    watching.stop();
    progress.end();
  }
}

const countOf = ({ created, changed, removed }: RestorePlan): number => created + changed + removed;

function headOf({ source }: RestorePlan): string {
  const of = source.commit === undefined ? "the log" : `commit ${shortCommit(source.commit)}`;
  return `back to index ${source.index}, ${momentText(source.at)} (${humanDuration(Math.max(0, Date.now() - source.at))} ago), from ${of}:\n`;
}

function doneText(done: RestoreAnswer, call: Invocation): string {
  const kept = done.kept.length === 0 ? "" : `, ${done.kept.length} kept`;
  const same = call.text("context") === undefined ? "" : ` --context ${call.text("context")}`;
  return (
    `restored ${counted(done.things, "thing")} at index ${done.index}${kept}\n` +
    `undo: aether backup restore --at-index ${done.before}${same}\n`
  );
}
