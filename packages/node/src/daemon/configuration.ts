/** Finds the daemon's configuration, parses it, and reads the files it names. */
import { readFile } from "node:fs/promises";
import { make as redact, type Redacted } from "effect/Redacted";
import { parseNodeFile, type NodeFile } from "@aether/core/config/node-file";
import type { TlsMaterial } from "../identity/tls.ts";

export type Loaded =
  | {
      readonly configuration: NodeFile;
      readonly tls: TlsMaterial;
      /** Of the backups' remote. */
      readonly remoteToken: Redacted | null;
    }
  | { readonly errors: readonly string[] };

const variable = "AETHER_NODE_CONFIG";
/** An address of this machine to listen on in place of the configuration's: many machines of a test share one computer. */
const bindVariable = "AETHER_BIND";

/** `--config FILE` comes before the environment. Every error is a line that names the key and what was expected. */
export async function loadConfiguration(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Loaded> {
  const found = await findText(args, env);
  if ("errors" in found) return found;
  const parsed = parseNodeFile(found.text);
  if ("errors" in parsed) return { errors: parsed.errors.map((error) => `${found.from}: ${error}`) };
  const [tls, token] = [await readTls(parsed.ok.tls), await readToken(parsed.ok.backup.remoteToken)];
  if ("errors" in tls) return "errors" in token ? { errors: [...tls.errors, ...token.errors] } : tls;
  if ("errors" in token) return token;
  const { listen } = parsed.ok;
  const configuration = { ...parsed.ok, listen: { ...listen, host: env[bindVariable] ?? listen.host } };
  return { configuration, tls, remoteToken: token.ok };
}

type Text = { readonly text: string; readonly from: string } | { readonly errors: readonly string[] };

async function findText(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Text> {
  const [option, path, ...rest] = args;
  if (option === undefined) {
    const text = env[variable];
    if (text !== undefined && text !== "") return { text, from: variable };
    return { errors: [`no configuration: give --config FILE, or the JSON in ${variable}`] };
  }
  if (option !== "--config" || path === undefined || rest.length > 0) {
    return { errors: [`unknown arguments: ${args.join(" ")}; expected --config FILE or --birth FILE (see --help)`] };
  }
  return readFile(path, "utf8").then(
    (text) => ({ text, from: path }),
    (error: Error) => ({ errors: [`--config ${path} cannot be read: ${error.message}`] }),
  );
}

async function readToken(
  reference: string | null,
): Promise<{ readonly ok: Redacted | null } | { readonly errors: readonly string[] }> {
  if (reference === null) return { ok: null };
  return readFile(reference.slice("file:".length), "utf8").then(
    (text) => ({ ok: redact(text.replace(/\r?\n$/, "")) }),
    (error: Error) => ({ errors: [`backup.remoteToken: expected a readable file: ${error.message}`] }),
  );
}

async function readTls(tls: NodeFile["tls"]): Promise<TlsMaterial | { readonly errors: readonly string[] }> {
  const errors: string[] = [];
  const read = async (key: keyof NodeFile["tls"]): Promise<string> => {
    const value = tls[key];
    if (!value.startsWith("file:")) return value;
    return readFile(value.slice("file:".length), "utf8").catch((error: Error) => {
      errors.push(`tls.${key}: expected a readable PEM file: ${error.message}`);
      return "";
    });
  };
  const [ca, certificate, key] = await Promise.all([read("ca"), read("certificate"), read("key")]);
  return errors.length > 0 ? { errors } : { ca, certificate, key };
}
