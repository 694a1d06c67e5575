/**
 * Secrets from environment variables, where a provider keeps none itself: `cluster/secret` is AETHER_SECRET_CLUSTER_SECRET.
 * Two paths that become one variable are refused, for one of them would get the other's value.
 */
import { make as redact } from "effect/Redacted";
import { asEffect, CloudFailure } from "../failure.ts";
import type { ProviderName, SecretRef, Secrets, SecretValue } from "../provider.ts";
import { fieldOf, secretPathGrammar } from "./secret-field.ts";

export const secretVariable = (path: string): string => `AETHER_SECRET_${path.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;

export function envSecrets(provider: ProviderName, env: Readonly<Record<string, string | undefined>>): Secrets {
  const resolveAll = (refs: readonly SecretRef[]): readonly SecretValue[] => {
    const collision = collidingPaths(refs);
    if (collision !== null) throw refuse(provider, { _tag: "Invalid" }, collision);
    const read = refs.map((ref) => readOne(env, ref));
    const faults = read.flatMap((one) => ("fault" in one ? [one.fault] : []));
    if (faults.length > 0) throw refuse(provider, { _tag: "NotFound", eventual: false }, [...new Set(faults)].join("; "));
    return read.flatMap((one) => ("value" in one ? [one] : []));
  };
  return {
    resolve: (ref) =>
      asEffect(async () => {
        const [only] = resolveAll([ref]);
        if (only === undefined) throw new Error("one secret asked for, none resolved");
        return only;
      }),
    resolveAll: (refs) => asEffect(async () => resolveAll(refs)),
  };
}

type Refusal = { readonly _tag: "Invalid" } | { readonly _tag: "NotFound"; readonly eventual: boolean };

const refuse = (provider: ProviderName, kind: Refusal, message: string): CloudFailure =>
  new CloudFailure({ ...kind, provider, op: "resolve secrets", message });

function collidingPaths(refs: readonly SecretRef[]): string | null {
  const paths = new Map<string, string>();
  for (const { path } of refs) {
    const variable = secretVariable(path);
    const other = paths.get(variable);
    if (other !== undefined && other !== path) return `${other} and ${path} would both be ${variable}; rename one`;
    paths.set(variable, path);
  }
  return null;
}

function readOne(env: Readonly<Record<string, string | undefined>>, ref: SecretRef): SecretValue | { readonly fault: string } {
  const variable = secretVariable(ref.path);
  if (!secretPathGrammar.test(ref.path)) return { fault: `${JSON.stringify(ref.path)} is no path of a secret` };
  if (ref.version !== undefined) return { fault: `${ref.path}@${ref.version}: variables have no versions` };
  const text = env[variable];
  if (text === undefined || text === "") return { fault: `${ref.path}: ${variable} is not set` };
  const value = ref.field === undefined ? text : fieldOf(text, ref.field);
  return value === null
    ? { fault: `${ref.path}#${ref.field ?? ""}: ${variable} is no JSON with that field` }
    : { value: redact(value) };
}
