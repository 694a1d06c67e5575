import type { Api, EntryAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit, usage } from "../shell/failure.ts";
import { renderEntry } from "./render.ts";

const pageEntries = 1_000;
/** More than the server takes in one request. */
const limitMax = 100_000;

/** `aether events`: all that is held, from an index, about one thing, or as it comes. With -o json one entry a line. */
export const run: Run = async (call, shell) => {
  const thing = call.text("for");
  if (thing !== undefined && !/^[a-z]+\/.+$/.test(thing))
    throw usage(`--for ${thing} names no thing`, "for example --for node/n2");
  const connection = await connect(call, shell);
  const print = (entry: EntryAnswer): void =>
    shell.out(call.output === "json" ? `${JSON.stringify(shapeOf(entry))}\n` : renderEntry(entry, shell.paint, thing));
  const query: Query = { from: call.integer("from"), thing, limit: call.integer("limit") ?? Number.MAX_SAFE_INTEGER };
  if (call.switched("follow")) await followAll(connection.api, query, print);
  else await readPages(connection.api, query, print, () => shell.drained());
  connection.close();
  return exit.done;
};

interface Query {
  readonly from: number | undefined;
  readonly thing: string | undefined;
  readonly limit: number;
}

/** The part of an entry that is a contract; what else the server says goes along. */
const shapeOf = ({ index, at, actor, events, ...rest }: EntryAnswer): object => ({ index, at, actor, events, ...rest });

/** Index 0 stands for "not given": the first one held, or with --follow the next one to come. */
function pathOf(query: Query, from: number, limit: number, follow: boolean): string {
  const parameters = new URLSearchParams();
  if (from > 0) parameters.set("from", String(from));
  if (limit <= limitMax) parameters.set("limit", String(limit));
  if (query.thing !== undefined) parameters.set("for", query.thing);
  if (follow) parameters.set("follow", "true");
  return `/v1/events?${parameters.toString()}`;
}

async function readPages(
  api: Api,
  query: Query,
  print: (entry: EntryAnswer) => void,
  drained: () => Promise<void>,
): Promise<void> {
  let from = query.from ?? 0;
  for (let left = query.limit; left > 0;) {
    const wanted = Math.min(left, pageEntries);
    let got = 0;
    const onLine = (entry: EntryAnswer): boolean => {
      print(entry);
      from = entry.index + 1;
      got += 1;
      return got < wanted;
    };
    await api.lines({ path: (at) => pathOf(query, at, wanted, false), from, onLine });
    await drained();
    if (got < wanted) return;
    left -= got;
  }
}

/** Until the limit, Ctrl-C, or until no member has answered for some seconds. A server that ends the feed is asked again. */
async function followAll(api: Api, query: Query, print: (entry: EntryAnswer) => void): Promise<void> {
  const seen = { from: query.from ?? 0, left: query.limit };
  const onLine = (entry: EntryAnswer): boolean => {
    print(entry);
    Object.assign(seen, { from: entry.index + 1, left: seen.left - 1 });
    return seen.left > 0;
  };
  while (seen.left > 0) {
    await api.lines({ path: (at) => pathOf(query, at, seen.left, true), from: seen.from, onLine });
    if (seen.left > 0) await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
