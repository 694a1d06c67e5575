/** One node's row: reading it, asking for a change of its duty, and following that to its end. */
import { randomUUID } from "node:crypto";
import type { Api, NodeAnswer, Written } from "../context/api.ts";
import { exit, Failure } from "../shell/failure.ts";
import { waitFor, type Probed } from "../shell/wait.ts";

export const readNode = (api: Api, name: string): Promise<NodeAnswer> =>
  api.call<NodeAnswer>("GET", `/v1/nodes/${encodeURIComponent(name)}`);

/** The row, or null when the node is not (or no longer) known. */
export async function findNode(api: Api, name: string): Promise<NodeAnswer | null> {
  try {
    return await readNode(api, name);
  } catch (error) {
    if (error instanceof Failure && error.code === exit.notFound) return null;
    throw error;
  }
}

/** Asks for a change of duty. The request key makes it one request however often the connection breaks. */
export const askDuty = (api: Api, name: string, verb: "drain" | "undrain" | "shutdown", body: object): Promise<Written> =>
  api.call<Written>("POST", `/v1/nodes/${encodeURIComponent(name)}/${verb}`, { body, idempotencyKey: randomUUID() });

export interface DutyWait {
  readonly api: Api;
  readonly name: string;
  readonly what: string;
  readonly withinMs: number;
  readonly say: (text: string) => void;
}

/** Probes the row until `judge` is content. A leader change on the way is waited out. */
export function followNode<A>(w: DutyWait, judge: (node: NodeAnswer | null) => Probed<A>): Promise<A> {
  const hint = `it goes on without you: aether node show ${w.name}`;
  return waitFor({ what: w.what, withinMs: w.withinMs, everyMs: 100, say: w.say, hint }, async () => {
    try {
      return judge(await findNode(w.api, w.name));
    } catch (error) {
      if (error instanceof Failure && error.code === exit.notReady) return { waiting: error.message };
      throw error;
    }
  });
}
