/**
 * Reads `cluster.toml`. Pure: the environment and the secrets come in. All errors of a file are reported at once, each with its
 * place, its key, what is wrong and what would be right. No error repeats a value that came from a reference or may be a secret.
 */
import * as Redacted from "effect/Redacted";
import * as Result from "effect/Result";
import * as Schema from "effect/Schema";
import * as SchemaIssue from "effect/SchemaIssue";
import { parse as parseToml, TomlError } from "smol-toml";
import type { Provider } from "../kernel/grammar.ts";
import { nearest } from "../kernel/nearest.ts";
import { durationText, parseDuration, type BackupSettings } from "./backup-settings.ts";
import { cloudFaults, withEnvironment } from "./cloud-rules.ts";
import { cloudNames, settingsOf, storedSections, type CloudSettings } from "./cloud-settings.ts";
import { ClusterFile, sections } from "./cluster-schema.ts";
import type { KeyDoc } from "./key-doc.ts";
import { scanPositions, type Path, type Position, type Positions } from "./positions.ts";
import { timingFault, type RaftTiming } from "./raft-timing.ts";
import { replaceReferences, type ReferenceSources } from "./references.ts";

export interface ConfigError extends Position {
  /** "cloud.region"; "" when it is about the file as a whole. */
  readonly key: string;
  /** What is wrong. */
  readonly message: string;
  /** What would be right. */
  readonly expected: string;
}

export interface ClusterConfiguration {
  readonly cluster: { readonly name: string; readonly size: number };
  readonly cloud: { readonly provider: Provider; readonly region: string | null; readonly instanceType: string | null };
  /** All that the file says about machines in a cloud; null for the local provider. */
  readonly machines: CloudSettings | null;
  /** Null only for the local provider: one is generated. */
  readonly security: { readonly clusterSecret: Redacted.Redacted | null };
  readonly local: { readonly basePort: number | null; readonly dataDir: string | null };
  readonly raft: RaftTiming;
  readonly history: { readonly keep: number };
  readonly backup: BackupSettings & { readonly remoteToken: Redacted.Redacted | null };
  /** The text of every value that had references, by key, as it stood in the file. */
  readonly references: Readonly<Record<string, string>>;
}

export type ClusterFileParsed = { readonly ok: ClusterConfiguration } | { readonly errors: readonly ConfigError[] };

const fileCharsMax = 256 * 1024;
const errorsMax = 100;
type Tree = Record<string, unknown>;

export function parseClusterFile(text: string, sources: ReferenceSources): ClusterFileParsed {
  if (text.length > fileCharsMax) {
    return failed([
      { line: 1, column: 1, key: "", message: "the file is too long", expected: `at most ${fileCharsMax} characters` },
    ]);
  }
  const parsed = parseText(text);
  if ("line" in parsed) return failed([parsed]);
  const { tree } = parsed;
  const reader = new Reader(scanPositions(text), sources);
  const resolved = withEnvironment(reader.resolve(tree, []) as Tree, sources.env);
  const decoded = decode(resolved);
  if (Result.isFailure(decoded)) reader.issues(describe(decoded.failure.issue).issues, tree);
  reader.provider(resolved);
  reader.timing(resolved);
  if (reader.errors.length > 0 || Result.isFailure(decoded)) return failed(reader.errors);
  return { ok: configurationOf(decoded.success, reader.references) };
}

const decode = Schema.decodeUnknownResult(ClusterFile, { errors: "all", onExcessProperty: "error" });
const describe = SchemaIssue.makeFormatterStandardSchemaV1();

const failed = (errors: readonly ConfigError[]): ClusterFileParsed => ({
  errors: errors.toSorted((a, b) => a.line - b.line || a.column - b.column).slice(0, errorsMax),
});

/** The parser's own message shows the lines around the fault, which may hold a secret: only its first line is used. */
function parseText(text: string): { readonly tree: Tree } | ConfigError {
  try {
    return { tree: parseToml(text, { unsafeKeyBehaviour: "throw", maxDepth: 32 }) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = ""] = error.message.split("\n");
    const message = first.replace(/^Invalid TOML document: /, "not TOML: ");
    return { line: error.line, column: error.column, key: "", message, expected: "TOML 1.0, for example: size = 3" };
  }
}

type Part = PropertyKey | { readonly key: PropertyKey };
interface Issue {
  readonly message: string;
  readonly path?: readonly Part[] | undefined;
}

const partOf = (part: Part): string | number => {
  const name = typeof part === "object" ? part.key : part;
  return typeof name === "number" ? name : String(name);
};

class Reader {
  readonly errors: ConfigError[] = [];
  readonly references: Record<string, string> = {};
  /** Keys whose references are at fault: what the Schema thinks of them does not matter. */
  private readonly broken = new Set<string>();
  /** Keys that an unknown key was most likely meant to be. */
  private readonly meant = new Set<string>();
  private readonly positions: Positions;
  private readonly sources: ReferenceSources;

  constructor(positions: Positions, sources: ReferenceSources) {
    this.positions = positions;
    this.sources = sources;
  }

  private error(path: Path, message: string, expected: string): void {
    this.errors.push({ ...this.positions.of(path), key: path.join("."), message, expected });
  }

  /** A copy of the tree with every reference replaced. */
  resolve(value: unknown, path: Path): unknown {
    if (typeof value === "string") return this.text(value, path);
    if (Array.isArray(value)) return value.map((item, at) => this.resolve(item, [...path, at]));
    if (!isTable(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.resolve(item, [...path, name])]));
  }

  private text(value: string, path: Path): string {
    const { text, secret, env, faults } = replaceReferences(value, this.sources);
    const key = path.join(".");
    for (const { message, expected } of faults) this.error(path, message, expected);
    const known = docOf(path) ?? docOf(keyPathOf(path));
    if (secret && known !== undefined && known.secret !== true) {
      this.error(path, `${key} is stored and shown, so it cannot hold a secret`, "plain text or ${env:NAME}");
    }
    if (secret || env) this.references[key] = value;
    if (faults.length > 0 || (secret && known?.secret !== true)) this.broken.add(key);
    return text;
  }

  /** The Schema's findings in the words of the file. A misspelt key is not also reported as missing under its right name. */
  issues(found: readonly Issue[], tree: Tree): void {
    const paths = found.map(({ path = [] }) => path.map(partOf));
    const isUnknown = (at: number): boolean => found[at]?.message === "Expected no excess property";
    paths.forEach((path, at) => isUnknown(at) && this.unknown(path));
    paths.forEach((path, at) => isUnknown(at) || this.issue(path, found[at]?.message ?? "", tree));
  }

  private issue(at: Path, message: string, tree: Tree): void {
    const path = keyPathOf(at);
    const key = path.join(".");
    if (this.broken.has(key)) return;
    if (this.errors.some((error) => error.key === key)) return;
    const known = docOf(path);
    const found = valueAt(tree, path);
    if (message === "Missing key" || found === undefined) {
      if (this.meant.has(key)) return;
      const where = path.length === 1 || !this.positions.has(path.slice(0, 1)) ? "" : ` in [${path[0]}]`;
      const section = path.length === 1 ? sections.get(String(path[0])) : undefined;
      if (section !== undefined) return this.missingSection(section.name);
      return this.error(path, `${path.at(-1)} is missing${where}`, lineOf(path, known));
    }
    if (known === undefined)
      return this.error(path, `[${path[0]}] is ${kindOf(found)}`, `a section: [${path[0]}] and its keys below`);
    const wrongType = !ofType[known.type](found);
    const what = wrongType ? `is ${kindOf(found)}` : `does not fit${this.shown(path, found, known)}`;
    this.error(
      path,
      `${path.at(-1)} ${what}`,
      wrongType ? `${known.type}, ${lineOf(path, known)}` : message.replace(/^Expected /, ""),
    );
  }

  /** A required section that is not there at all: its required keys are what is missing. */
  private missingSection(name: string): void {
    for (const [key, doc] of sections.get(name)?.keys ?? []) {
      if (doc.default === undefined)
        this.error([name, key], `${key} is missing, and so is its section [${name}]`, lineOf([name, key], doc));
    }
  }

  /** Short plain values may be repeated; what came from a reference, or may be a secret, never is. */
  private shown(path: Path, found: unknown, known: KeyDoc): string {
    if (known.secret === true || known.unshown === true || Object.hasOwn(this.references, path.join("."))) return "";
    const text = JSON.stringify(found);
    return text.length <= 64 ? `: ${text}` : "";
  }

  private unknown(path: Path): void {
    const [section = "", name] = path.map(String);
    const known = name === undefined ? sections : sections.get(section)?.keys;
    if (known === undefined || path.length > 2) return this.error(path, `${path.join(".")} is not known`, "nothing there");
    const word = name ?? section;
    const home = [...sections.values()].find((other) => other.keys.has(word));
    const near = home === undefined ? nearest(word, known.keys()) : undefined;
    if (near !== undefined) this.meant.add(name === undefined ? near : `${section}.${near}`);
    if (home !== undefined) this.meant.add(`${home.name}.${word}`);
    const meant = near === undefined ? "" : `: did you mean ${name === undefined ? `[${near}]` : near}?`;
    const moved = home === undefined ? "" : `: it belongs in [${home.name}]`;
    const where = name === undefined ? "" : ` in [${section}]`;
    this.error(path, `${word} is not known${where}${meant}${moved}`, `one of ${[...known.keys()].join(", ")}`);
  }

  /** Clouds need to know where and what; a cluster that outlives this computer needs a secret that does. */
  provider(tree: Tree): void {
    const provider = valueAt(tree, ["cloud", "provider"]);
    if (typeof provider !== "string" || this.errors.some(({ key }) => key === "cloud.provider")) return;
    for (const { path, message, expected } of cloudFaults(tree)) this.error(path, message, expected);
    if (provider === "local") return;
    for (const path of [
      ["cloud", "region"],
      ["cloud", "instance_type"],
      ["security", "cluster_secret"],
    ]) {
      if (valueAt(tree, path) !== undefined || this.meant.has(path.join("."))) continue;
      this.error(path, `${path.at(-1)} is missing, and provider ${provider} needs it`, lineOf(path, docOf(path)));
    }
  }

  timing(tree: Tree): void {
    const of = (name: string): number | undefined => {
      const value = valueAt(tree, ["raft", name]) ?? Number(docOf(["raft", name])?.default);
      return typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;
    };
    const [electionTicks, heartbeatTicks] = [of("election_ticks"), of("heartbeat_ticks")];
    if (electionTicks === undefined || heartbeatTicks === undefined) return;
    if (this.errors.some(({ key }) => key === "raft.election_ticks" || key === "raft.heartbeat_ticks")) return;
    const fault = timingFault({ electionTicks, heartbeatTicks });
    if (fault !== null) this.error(["raft", "election_ticks"], `election_ticks is too small: ${electionTicks}`, fault);
  }
}

const ofType: Readonly<Record<KeyDoc["type"], (value: unknown) => boolean>> = {
  text: (value) => typeof value === "string",
  "whole number": Number.isSafeInteger,
  "true or false": (value) => typeof value === "boolean",
  "list of texts": (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
};
const isTable = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
const docOf = (path: Path): KeyDoc | undefined =>
  path.length === 2 ? sections.get(String(path[0]))?.keys.get(String(path[1])) : undefined;
/** The path of the list that this is an item of, or the path itself. */
const keyPathOf = (path: Path): Path =>
  path.length === 3 && docOf(path.slice(0, 2))?.type === "list of texts" ? path.slice(0, 2) : path;
/** How the key's line could read. */
const lineOf = (path: Path, doc: KeyDoc | undefined): string =>
  doc === undefined ? "" : `for example: ${path.at(-1)} = ${doc.example}`;

function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

function kindOf(value: unknown): string {
  if (typeof value === "string") return "text";
  if (typeof value === "boolean") return "true or false";
  if (typeof value === "number") return Number.isInteger(value) ? "a whole number" : "a number";
  if (Array.isArray(value)) return "a list";
  return value instanceof Date ? "a date" : "a table";
}

function configurationOf(file: ClusterFile, references: Readonly<Record<string, string>>): ClusterConfiguration {
  const secret = file.security.cluster_secret;
  return {
    cluster: file.cluster,
    cloud: { provider: file.cloud.provider, region: file.cloud.region ?? null, instanceType: file.cloud.instance_type ?? null },
    security: { clusterSecret: secret === undefined ? null : Redacted.make(secret, { label: "cluster_secret" }) },
    machines: settingsOf(file),
    local: { basePort: file.local.base_port ?? null, dataDir: file.local.data_dir ?? null },
    raft: {
      tickMs: file.raft.tick_ms,
      electionTicks: file.raft.election_ticks,
      heartbeatTicks: file.raft.heartbeat_ticks,
    },
    history: file.history,
    backup: backupOf(file.backup),
    references,
  };
}

function backupOf(file: ClusterFile["backup"]): ClusterConfiguration["backup"] {
  const token = file.remote_token;
  return {
    enabled: file.enabled,
    intervalMs: parseDuration(file.interval),
    debounceMs: parseDuration(file.debounce),
    path: file.path ?? null,
    remote: file.remote ?? null,
    remoteUser: file.remote_user,
    remoteToken: token === undefined ? null : Redacted.make(token, { label: "remote_token" }),
    keep: file.keep,
  };
}

type Plain = string | number | boolean | readonly string[];

/**
 * What may be stored: the file's sections and keys, defaults filled in, with its references as they stood in the file in place
 * of what they gave. A secret that was written into the file itself is left out. Sections about clouds, which can hold no secret,
 * are stored as resolved: a leader makes machines from them, and it has another environment.
 */
export function redactConfiguration(c: ClusterConfiguration): Readonly<Record<string, Readonly<Record<string, Plain>>>> {
  const { enabled, intervalMs, debounceMs, path, remote, remoteUser, keep } = c.backup;
  const resolved: readonly string[] = ["cloud", ...cloudNames];
  const plain: Record<string, Readonly<Record<string, Plain | null>>> = {
    cluster: c.cluster,
    ...(c.machines === null ? { cloud: localCloud(c) } : storedSections(c.machines)),
    security: { cluster_secret: null },
    local: { base_port: c.local.basePort, data_dir: c.local.dataDir },
    raft: { tick_ms: c.raft.tickMs, election_ticks: c.raft.electionTicks, heartbeat_ticks: c.raft.heartbeatTicks },
    history: c.history,
    backup: {
      enabled,
      interval: durationText(intervalMs),
      debounce: durationText(debounceMs),
      path,
      remote,
      remote_user: remoteUser,
      remote_token: null,
      keep,
    },
  };
  const entries = Object.entries(plain).map(([section, keys]) => {
    const kept = Object.entries(keys).flatMap(([name, value]): [string, Plain][] => {
      const reference = c.machines !== null && resolved.includes(section) ? undefined : c.references[`${section}.${name}`];
      const stored = reference ?? value;
      return stored === null ? [] : [[name, stored]];
    });
    return [section, Object.fromEntries(kept)];
  });
  return Object.fromEntries(entries);
}

const localCloud = ({ cloud: { provider, region, instanceType } }: ClusterConfiguration) =>
  ({ provider, region, instance_type: instanceType }) as const;

/** `file:line:column key: what is wrong; right is: what would be right`, one line. */
export const renderConfigError = (file: string, e: ConfigError): string =>
  `${file}:${e.line}:${e.column}${e.key === "" ? "" : ` ${e.key}`}: ${e.message}; right is: ${e.expected}`;
