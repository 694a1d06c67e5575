import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import type { Api } from "../context/api.ts";
import { askDuty, followNode } from "./row.ts";

const followMs = 60_000;

/** `aether node drain NODE`: on duty → draining → decommissioned. A node that is drained already is done. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const name = call.arg("node");
  const progress = follow(shell);
  const detached = call.switched("detach");
  const duty = await drain(connection.api, name, {
    reason: call.text("reason") ?? "",
    detached,
    withinMs: call.duration("timeout") ?? followMs,
    say: (text) => progress.say(text),
  });
  connection.close();
  progress.end();
  const next =
    duty === "decommissioned" ? `${name} is drained; next: aether node shutdown ${name}, or undrain` : `${name} is ${duty}`;
  printResult(call, shell, { name, duty }, next);
  return exit.done;
};

export interface DrainWish {
  readonly reason: string;
  readonly detached: boolean;
  readonly withinMs: number;
  readonly say: (text: string) => void;
}

/** Resolves with the duty reached: decommissioned, or draining when detached. */
export async function drain(api: Api, name: string, wish: DrainWish): Promise<string> {
  await askDuty(api, name, "drain", { reason: wish.reason });
  if (wish.detached) return "draining";
  const wait = { api, name, what: `${name} is drained`, withinMs: wish.withinMs, say: wish.say };
  return followNode(wait, (node) => {
    if (node === null) throw new Failure(exit.notFound, `${name} is gone`, `aether history node/${name}`);
    if (node.duty === "decommissioned" || node.duty === "draining") {
      return node.duty === "draining" ? { waiting: `${name} is draining` } : { ready: node.duty };
    }
    throw new Failure(exit.rejected, `${name} is ${node.duty}: someone cancelled the drain`, `aether history node/${name}`);
  });
}
