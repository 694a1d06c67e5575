import type { HistoryAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import { renderEntry } from "./render.ts";

const pageEntries = 1_000;

/** `aether history NOUN/ID`. */
export const run: Run = async (call, shell) => {
  const thing = call.arg("thing");
  const slash = thing.indexOf("/");
  if (slash < 1 || slash === thing.length - 1)
    throw usage(`${JSON.stringify(thing)} names no thing`, "NOUN/ID, for example node/n2");
  const noun = encodeURIComponent(thing.slice(0, slash));
  const id = thing
    .slice(slash + 1)
    .split("/")
    .map(encodeURIComponent)
    .join("/");
  const connection = await connect(call, shell);
  let from = call.integer("from") ?? 1;
  let shown = 0;
  for (let left = call.integer("limit") ?? Number.MAX_SAFE_INTEGER; left > 0;) {
    const wanted = Math.min(left, pageEntries);
    const page = await connection.api.call<HistoryAnswer>("GET", `/v1/history/${noun}/${id}?from=${from}&limit=${wanted}`);
    for (const entry of page.entries)
      shell.out(call.output === "json" ? `${JSON.stringify(entry)}\n` : renderEntry(entry, shell.paint, thing));
    await shell.drained();
    shown += page.entries.length;
    left -= page.entries.length;
    const last = page.entries.at(-1);
    if (last === undefined || page.entries.length < wanted) break;
    from = last.index + 1;
  }
  connection.close();
  if (shown === 0) throw new Failure(exit.notFound, `nothing is recorded of ${thing}`, "aether events shows everything");
  return exit.done;
};
