/** `${secrets:path@version#field}` from Secrets Manager: the path is the secret's name, the version its VersionId or its stage. */
import { make as redact, value as reveal } from "effect/Redacted";
import { asEffect, CloudFailure } from "../failure.ts";
import { inTurns } from "../in-turns.ts";
import type { CloudError, SecretRef, Secrets, SecretValue } from "../provider.ts";
import { fieldOf, secretPathGrammar } from "../secrets/secret-field.ts";
import { meaningOfCode } from "./errors.ts";
import { fault } from "./failure.ts";
import { batchMax, type SecretsManager, type StoredSecret } from "./secrets-manager.ts";

const op = "resolve secrets";
/** Secrets read one by one (those with a version), and batches, at the same time. */
const atOnce = 4;
/** What one configuration may name; a limit, no goal. */
const refsMax = 1000;

export function makeSecrets(manager: SecretsManager): Secrets {
  return {
    resolve: (ref) =>
      asEffect(async (signal) => {
        const [only] = await resolveAll(manager, [ref], signal);
        if (only === undefined) throw new Error("one secret asked for, none resolved");
        return only;
      }),
    resolveAll: (refs) => asEffect((signal) => resolveAll(manager, refs, signal)),
  };
}

/** What could not be had, and why; the text names the secret and never its value. */
interface Missing {
  readonly error: CloudError;
  readonly text: string;
}

type Found = ReadonlyMap<string, StoredSecret | Missing>;

async function resolveAll(
  manager: SecretsManager,
  refs: readonly SecretRef[],
  signal: AbortSignal,
): Promise<readonly SecretValue[]> {
  if (refs.length > refsMax) throw fault({ _tag: "Invalid", op, message: `${refs.length} secrets, at most ${refsMax} at once` });
  const strange = refs.filter(({ path }) => !secretPathGrammar.test(path)).map(({ path }) => JSON.stringify(path));
  if (strange.length > 0) throw fault({ _tag: "Invalid", op, message: `no path of a secret: ${strange.join(", ")}` });
  const found = await readAll(manager, refs, signal);
  const read = refs.map((ref) => valueOf(ref, found.get(keyOf(ref))));
  const missing = read.flatMap((one) => ("error" in one ? [one] : []));
  if (missing.length > 0) throw new CloudFailure(worstOf(missing));
  return read.flatMap((one) => ("error" in one ? [] : [one]));
}

const keyOf = ({ path, version }: SecretRef): string => (version === undefined ? path : `${path}@${version}`);

/** Current versions in batches; a single one, and those of a given version, each by itself. */
async function readAll(manager: SecretsManager, refs: readonly SecretRef[], signal: AbortSignal): Promise<Found> {
  const found = new Map<string, StoredSecret | Missing>();
  const current = [...new Set(refs.filter(({ version }) => version === undefined).map(({ path }) => path))];
  const versioned = [...new Map(refs.filter(({ version }) => version !== undefined).map((ref) => [keyOf(ref), ref])).values()];
  const single = [...versioned, ...(current.length === 1 ? current.map((path): SecretRef => ({ path })) : [])];
  const works: (() => Promise<void>)[] = single.map((ref) => async () => {
    found.set(keyOf(ref), await readOne(manager, ref, signal));
  });
  for (let from = 0; current.length > 1 && from < current.length; from += batchMax) {
    const paths = current.slice(from, from + batchMax);
    works.push(async () => (await readBatch(manager, paths, signal)).forEach((one, path) => found.set(path, one)));
  }
  await inTurns(works, atOnce);
  return found;
}

/** What is wrong with one secret is told with what is wrong with the others; anything else ends the whole. */
async function readOne(manager: SecretsManager, ref: SecretRef, signal: AbortSignal): Promise<StoredSecret | Missing> {
  try {
    return await manager.get(ref.path, ref.version ?? null, signal);
  } catch (failure) {
    if (!(failure instanceof CloudFailure) || !isOfOne(failure.error)) throw failure;
    return { error: failure.error, text: `${keyOf(ref)}: ${failure.error.message}` };
  }
}

const isOfOne = ({ _tag: tag, code }: CloudError): boolean =>
  code !== undefined && (tag === "NotFound" || tag === "Invalid" || (tag === "Auth" && code !== "UnrecognizedClientException"));

async function readBatch(manager: SecretsManager, paths: readonly string[], signal: AbortSignal): Promise<Found> {
  const { found, refused } = await manager.batch(paths, signal);
  const result = new Map<string, StoredSecret | Missing>();
  for (const path of paths) {
    const secret = found.find(({ names }) => names.includes(path));
    const refusal = refused.find(({ id }) => id === path || id.includes(`:secret:${path}`));
    if (secret !== undefined) result.set(path, secret);
    else if (refusal !== undefined) {
      const { code, message } = refusal;
      const { error } = fault({ ...meaningOfCode(code), op, code, message });
      result.set(path, { error, text: `${path}: ${message}` });
    }
  }
  return result;
}

function valueOf(ref: SecretRef, secret: StoredSecret | Missing | undefined): SecretValue | Missing {
  const missing = (error: Parameters<typeof fault>[0], text: string): Missing => ({ error: fault(error).error, text });
  const name = keyOf(ref);
  if (secret === undefined) {
    const message = `${name}: the vendor's answer does not say whether there is such a secret`;
    return missing({ _tag: "Protocol", op, message }, message);
  }
  if ("error" in secret) return secret;
  if (secret.text === null) {
    const message = `${name} is bytes that are no text`;
    return missing({ _tag: "Invalid", op, message }, message);
  }
  const version = secret.versionId;
  if (ref.field === undefined) return { value: secret.text, version };
  const value = fieldOf(reveal(secret.text), ref.field);
  if (value !== null) return { value: redact(value), version };
  const message = `${name}#${ref.field}: it is no JSON with that field`;
  return missing({ _tag: "NotFound", eventual: false, op, message }, message);
}

/** One failure for all: a missing permission or a broken answer first, for it may be the reason of the others. */
function worstOf(missing: readonly Missing[]): CloudError {
  const order: readonly CloudError["_tag"][] = ["Protocol", "Auth", "Transient", "Throttled", "Invalid", "NotFound"];
  const [first] = missing.toSorted((a, b) => order.indexOf(a.error._tag) - order.indexOf(b.error._tag));
  if (first === undefined) throw new Error("nothing is missing");
  return { ...first.error, op, message: [...new Set(missing.map(({ text }) => text))].join("; ") };
}
