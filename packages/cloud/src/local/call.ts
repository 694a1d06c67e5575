/** The edge between the local provider's plain async code and effects. */
import { tryPromise, type Effect } from "effect/Effect";
import { CloudFailure } from "../failure.ts";
import type { CloudError } from "../provider.ts";
import { errnoOf } from "./durable-file.ts";
import { BadRecord } from "./registry.ts";

/** What the file system says becomes the typed failure; anything else that is thrown is a defect. */
export const call = <A>(op: string, run: () => Promise<A>): Effect<A, CloudError> =>
  tryPromise({ try: run, catch: (error) => asCloudError(op, error) });

function asCloudError(op: string, error: unknown): CloudError {
  if (error instanceof CloudFailure) return error.error;
  const context = { provider: "local", op, message: error instanceof Error ? error.message : String(error) } as const;
  const code = errnoOf(error);
  if (error instanceof BadRecord) return { _tag: "Protocol", ...context };
  if (code === undefined) throw error;
  if (code === "EACCES" || code === "EPERM") return { _tag: "Auth", kind: "forbidden", code, ...context };
  if (["ENOSPC", "EDQUOT", "EMFILE", "ENFILE"].includes(code)) return { _tag: "Capacity", code, ...context };
  return { _tag: "Transient", maybeApplied: true, code, ...context };
}
