import type { Api, EntryAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import { renderEntry } from "./render.ts";

const pageEntries = 1_000;
const retriesMax = 30;

/** `aether events`: all that is held, from an index, about one thing, or as it comes. With -o json one entry a line. */
export const run: Run = async (call, shell) => {
  const thing = call.text("for");
  if (thing !== undefined && !/^[a-z]+\/.+$/.test(thing))
    throw usage(`--for ${thing} names no thing`, "for example --for node/n2");
  const connection = await connect(call, shell);
  const print = (entry: EntryAnswer): void =>
    shell.out(call.output === "json" ? `${JSON.stringify(shapeOf(entry))}\n` : renderEntry(entry, shell.paint, thing));
  const query: Query = { from: call.integer("from"), thing, limit: call.integer("limit") ?? Number.MAX_SAFE_INTEGER };
  if (call.switched("follow")) await followAll(connection.api, query, print, (text) => shell.err(`${text}\n`));
  else await readPages(connection.api, query, print);
  await connection.close();
  return exit.done;
};

interface Query {
  readonly from: number | undefined;
  readonly thing: string | undefined;
  readonly limit: number;
}

/** The part of an entry that is a contract; what else the server says goes along. */
const shapeOf = ({ index, at, actor, events, ...rest }: EntryAnswer): object => ({ index, at, actor, events, ...rest });

function pathOf(query: Query, from: number | undefined, limit: number, follow: boolean): string {
  const parameters = new URLSearchParams();
  if (from !== undefined) parameters.set("from", String(from));
  if (limit <= 100_000) parameters.set("limit", String(limit));
  if (query.thing !== undefined) parameters.set("for", query.thing);
  if (follow) parameters.set("follow", "true");
  return `/v1/events?${parameters.toString()}`;
}

async function readPages(api: Api, query: Query, print: (entry: EntryAnswer) => void): Promise<void> {
  let { from } = query;
  for (let left = query.limit; left > 0;) {
    const wanted = Math.min(left, pageEntries);
    let got = 0;
    await api.lines(pathOf(query, from, wanted, false), (line) => {
      const entry = line as EntryAnswer;
      print(entry);
      from = entry.index + 1;
      got += 1;
      return true;
    });
    if (got < wanted) return;
    left -= got;
  }
}

/** Goes on at the next index when a member goes away; gives up when none has answered for half a minute. */
async function followAll(
  api: Api,
  query: Query,
  print: (entry: EntryAnswer) => void,
  note: (text: string) => void,
): Promise<void> {
  const seen = { from: query.from, left: query.limit, silent: 0 };
  const onLine = (line: unknown): boolean => {
    const entry = line as EntryAnswer;
    print(entry);
    Object.assign(seen, { from: entry.index + 1, left: seen.left - 1, silent: 0 });
    return seen.left > 0;
  };
  while (seen.left > 0) {
    try {
      await api.lines(pathOf(query, seen.from, seen.left, true), onLine);
    } catch (error) {
      const passing = error instanceof Failure && error.code === exit.notReady;
      if (!passing || ++seen.silent > retriesMax) throw error;
      if (seen.silent === 1) note(`${error.message}; going on${seen.from === undefined ? "" : ` at index ${seen.from}`}`);
    }
    if (seen.left > 0) await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}
