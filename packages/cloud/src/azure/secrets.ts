/**
 * `${secrets:path@version#field}` from Key Vault. Its names have letters, digits and hyphens only: a slash of the path becomes a
 * hyphen, and two paths that become one name are refused, for one of them would get the other's value.
 */
import { make as redact, value as reveal } from "effect/Redacted";
import { asEffect, CloudFailure } from "../failure.ts";
import { inTurns } from "../in-turns.ts";
import type { CloudError, SecretRef, Secrets, SecretValue } from "../provider.ts";
import { fieldOf, secretPathGrammar } from "../secrets/secret-field.ts";
import { fault } from "./failure.ts";
import { vaultNameGrammar, type Vault } from "./vault.ts";

const op = "resolve secrets";
const atOnce = 4;
/** What one configuration may name; a limit, no goal. */
const refsMax = 1000;

export const vaultNameOf = (path: string): string => path.replaceAll("/", "-");

export function makeSecrets(vault: Vault): Secrets {
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

async function resolveAll(vault: Vault, refs: readonly SecretRef[], signal: AbortSignal): Promise<readonly SecretValue[]> {
  if (refs.length > refsMax) throw fault({ _tag: "Invalid", op, message: `${refs.length} secrets, at most ${refsMax} at once` });
  const wrong = pathFault(refs);
  if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
  const wanted = [...new Map(refs.map((ref) => [keyOf(ref), ref])).values()];
  const read = await inTurns(
    wanted.map((ref) => () => readOne(vault, ref, signal)),
    atOnce,
  );
  const found = new Map(wanted.map((ref, at) => [keyOf(ref), read[at]]));
  const values = refs.map((ref) => valueOf(ref, found.get(keyOf(ref))));
  const missing = values.flatMap((one) => ("error" in one ? [one] : []));
  const [first] = missing.toSorted((a, b) => order.indexOf(a.error._tag) - order.indexOf(b.error._tag));
  if (first === undefined) return values.flatMap((one) => ("error" in one ? [] : [one]));
  throw new CloudFailure({ ...first.error, op, message: [...new Set(missing.map(({ text }) => text))].join("; ") });
}

/** A missing permission is told before a missing secret, for it may be the reason. */
const order: readonly CloudError["_tag"][] = ["Auth", "Invalid", "NotFound"];
const keyOf = ({ path, version }: SecretRef): string => (version === undefined ? path : `${path}@${version}`);

function pathFault(refs: readonly SecretRef[]): string | null {
  const paths = new Map<string, string>();
  const strange: string[] = [];
  for (const { path } of refs) {
    const name = vaultNameOf(path);
    const other = paths.get(name);
    if (other !== undefined && other !== path) return `${other} and ${path} would both be ${name} in the vault; rename one`;
    paths.set(name, path);
    if (!secretPathGrammar.test(path) || !vaultNameGrammar.test(name)) strange.push(JSON.stringify(path));
  }
  return strange.length === 0 ? null : `no name in a vault, which has letters, digits, - and / only: ${strange.join(", ")}`;
}

/** What is wrong with one secret is told with what is wrong with the others; anything else ends the whole. */
async function readOne(vault: Vault, ref: SecretRef, signal: AbortSignal): Promise<SecretValue | Missing> {
  const name = vaultNameOf(ref.path);
  try {
    return await vault.secret(name, ref.version ?? null, signal);
  } catch (failure) {
    if (!(failure instanceof CloudFailure) || !order.includes(failure.error._tag)) throw failure;
    return { error: failure.error, text: `${keyOf(ref)} (${name} in the vault): ${failure.error.message}` };
  }
}

function valueOf(ref: SecretRef, secret: SecretValue | Missing | undefined): SecretValue | Missing {
  if (secret === undefined) throw new Error("every secret asked for was read");
  if ("error" in secret || ref.field === undefined) return secret;
  const value = fieldOf(reveal(secret.value), ref.field);
  if (value !== null) return { ...secret, value: redact(value) };
  const text = `${keyOf(ref)}#${ref.field}: it is no JSON with that field`;
  return { error: fault({ _tag: "NotFound", eventual: false, op, message: text }).error, text };
}
