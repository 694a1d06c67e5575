/**
 * `${secrets:path@version#field}` where a vendor keeps secrets under names that are poorer than paths: some characters of the path become
 * others, and two paths that become one name are refused, for one of them would get the other's value.
 */
import { make as redact, value as reveal } from "effect/Redacted";
import { asEffect, CloudFailure, type Without } from "../failure.ts";
import { inTurns } from "../in-turns.ts";
import type { CloudError, ProviderName, SecretRef, Secrets, SecretValue } from "../provider.ts";
import { fieldOf, secretPathGrammar } from "./secret-field.ts";

export interface NamedVault {
  readonly provider: ProviderName;
  /** For people: "in the vault". */
  readonly where: string;
  readonly nameOf: (path: string) => string;
  readonly nameGrammar: RegExp;
  /** What names are made of, for people: "letters, digits, - and / only". */
  readonly alphabet: string;
  /** Null: the newest version. Throws NotFound, Invalid or Auth for what is wrong with this one secret. */
  readonly read: (name: string, version: string | null, signal: AbortSignal) => Promise<SecretValue>;
}

const op = "resolve secrets";
const atOnce = 4;
/** What one configuration may name; a limit, no goal. */
const refsMax = 1000;

export function namedSecrets(vault: NamedVault): Secrets {
  return {
    resolve: (ref) =>
      asEffect(async (signal) => {
        const [only] = await resolveAll(vault, [ref], signal);
        if (only === undefined) throw new Error("one secret asked for, none resolved");
        return only;
      }),
    resolveAll: (refs) => asEffect((signal) => resolveAll(vault, refs, signal)),
  };
}

/** What could not be had, and why; the text names the secret and never its value. */
interface Missing {
  readonly error: CloudError;
  readonly text: string;
}

const failure = (vault: NamedVault, error: Without<"provider" | "op">): CloudFailure =>
  new CloudFailure({ ...error, provider: vault.provider, op });

/** A version that is asked for several times is read once, so that all see the same. */
async function resolveAll(vault: NamedVault, refs: readonly SecretRef[], signal: AbortSignal): Promise<readonly SecretValue[]> {
  const wrong = refs.length > refsMax ? `${refs.length} secrets, at most ${refsMax} at once` : pathFault(vault, refs);
  if (wrong !== null) throw failure(vault, { _tag: "Invalid", message: wrong });
  const wanted = [...new Map(refs.map((ref) => [keyOf(ref), ref])).values()];
  const read = await inTurns(
    wanted.map((ref) => () => readOne(vault, ref, signal)),
    atOnce,
  );
  const found = new Map(wanted.map((ref, at) => [keyOf(ref), read[at]]));
  const values = refs.map((ref) => valueOf(vault, ref, found.get(keyOf(ref))));
  const missing = values.flatMap((one) => ("error" in one ? [one] : []));
  const [first] = missing.toSorted((a, b) => order.indexOf(a.error._tag) - order.indexOf(b.error._tag));
  if (first === undefined) return values.flatMap((one) => ("error" in one ? [] : [one]));
  throw new CloudFailure({ ...first.error, op, message: [...new Set(missing.map(({ text }) => text))].join("; ") });
}

/** A missing permission is told before a missing secret, for it may be the reason. */
const order: readonly CloudError["_tag"][] = ["Auth", "Invalid", "NotFound"];
const keyOf = ({ path, version }: SecretRef): string => (version === undefined ? path : `${path}@${version}`);

function pathFault({ nameOf, nameGrammar, where, alphabet }: NamedVault, refs: readonly SecretRef[]): string | null {
  const paths = new Map<string, string>();
  const strange: string[] = [];
  for (const { path } of refs) {
    const name = nameOf(path);
    const other = paths.get(name);
    if (other !== undefined && other !== path) return `${other} and ${path} would both be ${name} ${where}; rename one`;
    paths.set(name, path);
    if (!secretPathGrammar.test(path) || !nameGrammar.test(name)) strange.push(JSON.stringify(path));
  }
  return strange.length === 0 ? null : `no name ${where}, which has ${alphabet}: ${strange.join(", ")}`;
}

/** What is wrong with one secret is told with what is wrong with the others; anything else ends the whole. */
async function readOne(vault: NamedVault, ref: SecretRef, signal: AbortSignal): Promise<SecretValue | Missing> {
  const name = vault.nameOf(ref.path);
  try {
    return await vault.read(name, ref.version ?? null, signal);
  } catch (thrown) {
    if (!(thrown instanceof CloudFailure) || !order.includes(thrown.error._tag)) throw thrown;
    return { error: thrown.error, text: `${keyOf(ref)} (${name} ${vault.where}): ${thrown.error.message}` };
  }
}

function valueOf(vault: NamedVault, ref: SecretRef, secret: SecretValue | Missing | undefined): SecretValue | Missing {
  if (secret === undefined) throw new Error("every secret asked for was read");
  if ("error" in secret || ref.field === undefined) return secret;
  const value = fieldOf(reveal(secret.value), ref.field);
  if (value !== null) return { ...secret, value: redact(value) };
  const text = `${keyOf(ref)}#${ref.field}: it is no JSON with that field`;
  return { error: failure(vault, { _tag: "NotFound", eventual: false, message: text }).error, text };
}
