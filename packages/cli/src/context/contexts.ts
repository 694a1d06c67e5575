/** Contexts: which cluster a command talks to, at which endpoints, as whom. Kept in `$AETHER_HOME/config.toml`, mode 0600. */
import { readIfThere, writeDurably } from "@aether/cloud/local/durable-file";
import { parse, stringify } from "smol-toml";
import { exit, Failure } from "../shell/failure.ts";
import { suggest } from "../shell/suggest.ts";
import { contextsFile } from "./home.ts";

export interface Context {
  readonly name: string;
  readonly cluster: { readonly id: string; readonly name: string };
  /** "host:port", any number of members. */
  readonly endpoints: readonly string[];
  /** Paths of PEM files. A context without a certificate is refused by every server. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface Contexts {
  readonly current: string | null;
  readonly contexts: readonly Context[];
}

/** All contexts, in the file's order; none when there is no file yet. */
export async function readContexts(home: string): Promise<Contexts> {
  const path = contextsFile(home);
  const text = await readIfThere(path);
  if (text === null) return { current: null, contexts: [] };
  try {
    return decode(parse(text));
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new Failure(
      exit.failed,
      `${path} cannot be read: ${why}`,
      "mend it by hand, or remove it and bootstrap again: that finds the cluster",
    );
  }
}

function decode(root: Record<string, unknown>): Contexts {
  const tables = Object.entries(asTable(root["contexts"] ?? {}, "contexts"));
  const contexts = tables.map(([name, value]): Context => {
    const table = asTable(value, `contexts.${name}`);
    const text = (key: string): string => {
      const found = table[key];
      if (typeof found !== "string") throw new Error(`contexts.${name}.${key} must be a text`);
      return found;
    };
    const endpoints = table["endpoints"];
    if (!Array.isArray(endpoints) || !endpoints.every((one) => typeof one === "string")) {
      throw new Error(`contexts.${name}.endpoints must be a list of "host:port"`);
    }
    return {
      name,
      cluster: { id: text("cluster_id"), name: text("cluster") },
      endpoints,
      ca: text("ca"),
      certificate: text("certificate"),
      key: text("key"),
    };
  });
  const current = root["current"];
  return { current: typeof current === "string" ? current : null, contexts };
}

function asTable(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${name} must be a table`);
  return value as Record<string, unknown>;
}

export async function writeContexts(home: string, all: Contexts): Promise<void> {
  const tables = all.contexts.map((context) => [
    context.name,
    {
      cluster: context.cluster.name,
      cluster_id: context.cluster.id,
      endpoints: [...context.endpoints],
      ca: context.ca,
      certificate: context.certificate,
      key: context.key,
    },
  ]);
  const root = { ...(all.current === null ? {} : { current: all.current }), contexts: Object.fromEntries(tables) };
  await writeDurably(contextsFile(home), `${stringify(root)}\n`, 0o600);
}

/** Adds or replaces a context and, if wanted or if none is chosen, makes it the current one. Says whether anything changed. */
export async function saveContext(home: string, context: Context, makeCurrent: boolean): Promise<boolean> {
  const all = await readContexts(home);
  const current = makeCurrent || all.current === null ? context.name : all.current;
  const known = all.contexts.find(({ name }) => name === context.name);
  if (all.current === current && JSON.stringify(known) === JSON.stringify(context)) return false;
  const others = all.contexts.filter(({ name }) => name !== context.name);
  await writeContexts(home, { current, contexts: [...others, context] });
  return true;
}

/** Removes a context; another one becomes current if it was. */
export async function forgetContext(home: string, name: string): Promise<void> {
  const all = await readContexts(home);
  if (!all.contexts.some((context) => context.name === name)) return;
  const rest = all.contexts.filter((context) => context.name !== name);
  const current = all.current === name ? (rest[0]?.name ?? null) : all.current;
  await writeContexts(home, { current, contexts: rest });
}

/** The context that is meant: the flag, or else AETHER_CONTEXT, or else the current one. */
export function chooseContext(all: Contexts, flag: string | undefined, env: string | undefined): Context {
  const wanted = flag ?? (env === undefined || env === "" ? all.current : env);
  if (wanted === null) {
    const hint =
      all.contexts.length === 0
        ? "make a cluster: aether cluster bootstrap --config fixtures/clusters/local.toml"
        : "choose one: aether context use NAME (aether context list shows them)";
    throw new Failure(exit.notFound, "no cluster is chosen", hint);
  }
  const found = all.contexts.find((context) => context.name === wanted);
  if (found !== undefined) return found;
  const names = all.contexts.map((context) => context.name);
  const near = suggest(wanted, names);
  const known = names.length === 0 ? "none is known" : `known: ${names.join(", ")}`;
  throw new Failure(
    exit.notFound,
    `there is no context ${JSON.stringify(wanted)}`,
    near === undefined ? known : `did you mean: --context ${near}`,
  );
}
