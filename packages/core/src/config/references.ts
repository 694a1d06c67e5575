/**
 * `${env:NAME}` and `${secrets:path@version#field}` in configuration values: found and replaced on the parsed tree, so that no value can
 * change the text's structure and a comment is only a comment. `$${` is a plain `${`. What is put in is not looked at again.
 */

export interface ReferenceSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The secret's text under the secrets folder, or undefined when there is none. Only asked for paths that cannot climb. */
  readonly readSecret: (path: string) => string | undefined;
  /** For messages: where readSecret looks. */
  readonly secretsFolder?: string;
  /** The provider's own, asked for what neither the environment nor the folder has. Its value is taken as it is. */
  readonly fromProvider?: (ref: SecretReference) => string | undefined;
}

/** `${secrets:path@version#field}`, taken apart. `field` is a dotted path into a value that is JSON. */
export interface SecretReference {
  readonly path: string;
  readonly version?: string;
  readonly field?: string;
}

/** Words for a person: what is wrong with one reference, and what would be right. Neither holds a value. */
export interface ReferenceFault {
  readonly message: string;
  readonly expected: string;
}

export interface Replaced {
  readonly text: string;
  /** It had references of this kind. */
  readonly secret: boolean;
  readonly env: boolean;
  readonly faults: readonly ReferenceFault[];
}

const pathGrammar = /^[A-Za-z0-9][A-Za-z0-9_./-]*$/;
const nameGrammar = /^[A-Za-z_][A-Za-z0-9_]*$/;
const pathCharsMax = 256;
const referencesMax = 16;
/** Escaped opening, a whole reference, or an opening without its end. */
const pieces = /\$\$\{|\$\{([^{}]*)\}|\$\{/g;

/** Replaces all references in one value. With faults the text is of no use. */
export function replaceReferences(value: string, sources: ReferenceSources): Replaced {
  const faults: ReferenceFault[] = [];
  let secret = false;
  let env = false;
  let count = 0;
  const text = value.replace(pieces, (piece: string, inner: string | undefined) => {
    if (piece === "$${") return "${";
    if (++count > referencesMax) return "";
    if (inner === undefined) {
      faults.push({
        message: "a reference begins with ${ and does not end",
        expected: "} after its name, or $${ for a plain ${",
      });
      return "";
    }
    secret ||= inner.startsWith("secrets:");
    env ||= inner.startsWith("env:");
    const found = lookUp(inner, sources);
    if (typeof found === "string") return found;
    faults.push(found);
    return "";
  });
  if (count > referencesMax) {
    faults.push({ message: `${count} references in one value`, expected: `at most ${referencesMax}` });
  }
  return { text, secret, env, faults };
}

function lookUp(inner: string, sources: ReferenceSources): string | ReferenceFault {
  const colon = inner.indexOf(":");
  const kind = inner.slice(0, Math.max(0, colon));
  const name = inner.slice(colon + 1);
  if (kind === "env") return fromEnvironment(name, sources);
  if (kind === "secrets") return fromSecrets(name, sources);
  return {
    message: `\${${inner}} is no kind of reference that is known`,
    expected: "${env:NAME}, ${secrets:path}, or $${ for a plain ${",
  };
}

function fromEnvironment(name: string, sources: ReferenceSources): string | ReferenceFault {
  if (!nameGrammar.test(name)) {
    return { message: `\${env:${name}} names no variable`, expected: "letters, digits and _ after env:, no digit first" };
  }
  return own(sources.env, name) ?? { message: `\${env:${name}} is not set`, expected: `the environment variable ${name}` };
}

const versionGrammar = /^[A-Za-z0-9_.-]{1,128}$/;
const fieldGrammar = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,15}$/;

/** Takes `path@version#field` apart; null when it is none. */
export function parseSecretReference(text: string): SecretReference | null {
  const [, path = "", version, field] = /^([^@#]*)(?:@([^@#]*))?(?:#([^@#]*))?$/.exec(text) ?? [];
  const climbs = path.split("/").some((part) => part === "" || part === "." || part === "..");
  if (!pathGrammar.test(path) || climbs || path.length > pathCharsMax) return null;
  if (version !== undefined && !versionGrammar.test(version)) return null;
  if (field !== undefined && (field.length > pathCharsMax || !fieldGrammar.test(field))) return null;
  return { path, ...(version === undefined ? {} : { version }), ...(field === undefined ? {} : { field }) };
}

function fromSecrets(text: string, sources: ReferenceSources): string | ReferenceFault {
  const ref = parseSecretReference(text);
  if (ref === null) {
    const expected =
      "a letter or digit, then letters, digits and _ . / -, with no empty, . or .. part; then @version and #field, if at all";
    return { message: `\${secrets:${text}} is no path of a secret`, expected };
  }
  const variable = secretVariable(ref.path);
  const kept = ref.version === undefined ? keptHere(ref, sources) : undefined;
  const value = kept === undefined ? sources.fromProvider?.(ref) : kept;
  const folder = sources.secretsFolder === undefined ? "the secrets folder" : sources.secretsFolder;
  const here = `the environment variable ${variable}, or the file ${ref.path} under ${folder}`;
  const places = ref.version === undefined ? here : "a provider that keeps versions of secrets; the environment has none";
  if (value === undefined) return { message: `\${secrets:${text}} was not found`, expected: places };
  if (value === null)
    return { message: `\${secrets:${text}} is not there: its secret is no JSON with that field`, expected: here };
  return value === "" ? { message: `\${secrets:${text}} is empty`, expected: `a value in ${places}` } : value;
}

/** Null when the secret is there and has no such field. */
function keptHere({ path, field }: SecretReference, sources: ReferenceSources): string | null | undefined {
  const text = own(sources.env, secretVariable(path)) ?? sources.readSecret(path)?.replace(/\r?\n$/, "");
  return text === undefined || field === undefined ? text : fieldOf(text, field);
}

/** A text, or a number or truth as text, at a dotted path in JSON. */
function fieldOf(text: string, field: string): string | null {
  let at: unknown;
  try {
    at = JSON.parse(text);
  } catch {
    return null;
  }
  for (const name of field.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return null;
    at = (at as Record<string, unknown>)[name];
  }
  return typeof at === "string" || typeof at === "number" || typeof at === "boolean" ? String(at) : null;
}

const own = (env: ReferenceSources["env"], name: string): string | undefined =>
  Object.hasOwn(env, name) ? env[name] : undefined;

/** `cluster/secret` → `AETHER_SECRET_CLUSTER_SECRET`. */
export const secretVariable = (path: string): string => `AETHER_SECRET_${path.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
