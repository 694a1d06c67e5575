/** Steps 1 and 2: the cluster file, read and judged, and the secret that it names or does not. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { make as redact, type Redacted, value as reveal } from "effect/Redacted";
import { readIfThere, writeDurably } from "@aether/cloud/local/durable-file";
import {
  parseClusterFile,
  redactConfiguration,
  renderConfigError,
  type ClusterConfiguration,
  type ClusterFileParsed,
  type ConfigError,
} from "@aether/core/config/cluster-file";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { replaceReferences, type ReferenceSources, type SecretReference } from "@aether/core/config/references";
import type { KnownRemote } from "../backup/place.ts";
import { provider, providerFor } from "../cluster/provider-call.ts";
import { secretsFolder, type ClusterFolder } from "../context/home.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import type { Journal, NodeSettings } from "./journal.ts";
import type { Did } from "./steps.ts";

/** What the file asks for. */
export interface ClusterPlan {
  readonly name: string;
  readonly size: number;
  /** With references in place of secrets: what may be stored. */
  readonly configuration: unknown;
  readonly settings: NodeSettings;
  /** Null for a local cluster. */
  readonly cloud: CloudSettings | null;
  /** The path of the file, and its text as it was validated. */
  readonly file: string;
  readonly text: string;
}

/** Stands in for secrets while the rest of the file is judged; it is never used for anything else. */
const standIn = "a-secret-to-be-resolved";

/** All faults of the file at once. Secrets that are missing are left to step 2 when they are all that is wrong. */
export async function readClusterFile(file: string, shell: Shell): Promise<Did<ClusterPlan>> {
  const text = await readText(file);
  const parsed = parseClusterFile(text, sourcesOf(shell));
  const plain =
    "ok" in parsed
      ? parsed
      : parseClusterFile(text, { env: shell.env, readSecret: () => undefined, fromProvider: () => standIn });
  if ("errors" in plain) throw invalid(file, faultsOf(parsed));
  const plan = planOf(file, text, plain.ok);
  return { result: plan, detail: `${plan.name}: ${counted(plan.size, "node")}, provider ${plain.ok.cloud.provider}` };
}

const faultsOf = (parsed: ClusterFileParsed): readonly ConfigError[] => ("errors" in parsed ? parsed.errors : []);

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw usage(`cannot read the cluster file ${file}: ${why}`, "fixtures/clusters/local.toml is one to begin with");
  }
}

function invalid(file: string, errors: readonly ConfigError[]): Failure {
  const lines = errors.map((error) => `  ${renderConfigError(file, error)}`);
  const count = counted(errors.length, "fault");
  return usage(`${count} in ${file}:\n${lines.join("\n")}`, "docs/cluster-toml.md has every key; nothing was made");
}

const planOf = (file: string, text: string, c: ClusterConfiguration): ClusterPlan => ({
  name: c.cluster.name,
  size: c.cluster.size,
  configuration: redactConfiguration(c),
  settings: {
    raft: c.raft,
    history: c.history,
    backup: {
      ...c.backup,
      path: c.backup.path === null ? null : resolve(c.backup.path),
      remoteToken: c.backup.remoteToken !== null,
    },
    basePort: c.local.basePort,
    dataDir: c.local.dataDir === null ? null : resolve(c.local.dataDir),
  },
  cloud: c.machines,
  file,
  text,
});

/** The environment, and files under `$AETHER_HOME/secrets/`. */
function sourcesOf(shell: Pick<Shell, "env" | "home">): ReferenceSources {
  const folder = secretsFolder(shell.home);
  const readSecret = (path: string): string | undefined => {
    try {
      return readFileSync(join(folder, path), "utf8");
    } catch {
      return undefined;
    }
  };
  return { env: shell.env, readSecret, secretsFolder: folder };
}

/**
 * Keeps the token of the backups' remote for the nodes. The file's secret or, for a local cluster that names none, one of 32 random bytes
 * made once and kept with mode 0600. In a cloud what is in neither environment nor folder is asked of the provider.
 */
export async function resolveSecret(plan: ClusterPlan, folder: ClusterFolder, shell: Shell): Promise<Did<Redacted>> {
  const parsed = parseClusterFile(plan.text, await resolvedSources(plan, folder, shell));
  if ("errors" in parsed) throw invalid(plan.file, parsed.errors);
  const { remoteToken } = parsed.ok.backup;
  if (remoteToken !== null) await writeDurably(folder.backupToken, `${reveal(remoteToken)}\n`, 0o600);
  const { clusterSecret } = parsed.ok.security;
  if (clusterSecret !== null) return { result: clusterSecret, detail: "the cluster secret is given by the file" };
  const kept = await keptSecret(folder);
  if (kept !== null) return { result: kept, detail: "already there: the cluster secret" };
  const secret = randomBytes(32).toString("base64url");
  await writeDurably(folder.secret, `${secret}\n`, 0o600);
  return { result: redact(secret), detail: `cluster secret made, kept in ${folder.secret}` };
}

/** What of the file's references is found nowhere, the provider included; all of them. */
export async function missingSecrets(plan: ClusterPlan, folder: ClusterFolder, shell: Shell): Promise<readonly ConfigError[]> {
  return faultsOf(parseClusterFile(plan.text, await resolvedSources(plan, folder, shell)));
}

/** The remote that the file names, with its token; in a step after the secrets were found to be there. */
export async function remoteOf(plan: ClusterPlan, folder: ClusterFolder, shell: Shell): Promise<KnownRemote | null> {
  const parsed = parseClusterFile(plan.text, await resolvedSources(plan, folder, shell));
  return "ok" in parsed ? parsed.ok.backup : null;
}

/** With what the provider keeps of what is found nowhere else; its refusal names every one that is missing. */
async function resolvedSources(plan: ClusterPlan, folder: ClusterFolder, shell: Shell): Promise<ReferenceSources> {
  const sources = sourcesOf(shell);
  if (plan.cloud === null) return sources;
  const wanted = new Map<string, SecretReference>();
  const note = (ref: SecretReference): string => {
    wanted.set(JSON.stringify(ref), ref);
    return standIn;
  };
  parseClusterFile(plan.text, { ...sources, fromProvider: note });
  if (wanted.size === 0) return sources;
  const { secrets, name } = await providerFor(plan, folder, shell);
  // Hetzner's are the environment's, which has been asked.
  if (secrets === undefined || name === "hetzner") return sources;
  const refs = [...wanted.values()];
  const values = await provider(secrets.resolveAll(refs));
  const found = new Map([...wanted.keys()].map((key, at) => [key, values[at]]));
  const valueOf = (ref: SecretReference): string | undefined => {
    const value = found.get(JSON.stringify(ref));
    return value === undefined ? undefined : reveal(value.value);
  };
  return { ...sources, fromProvider: valueOf };
}

async function keptSecret(folder: ClusterFolder): Promise<Redacted | null> {
  const text = await readIfThere(folder.secret);
  return text === null ? null : redact(text.trim());
}

/** The secret of a cluster that exists: generated here, or found again by the reference in its journal. */
export async function findSecret(journal: Journal, folder: ClusterFolder, shell: Shell): Promise<Redacted> {
  const kept = await keptSecret(folder);
  if (kept !== null) return kept;
  const stored = (journal.configuration as { readonly security?: { readonly cluster_secret?: string } }).security?.cluster_secret;
  if (stored === undefined) {
    throw new Failure(
      exit.failed,
      `the cluster secret of ${journal.name} stood in its file in clear, and is not kept`,
      `write it to ${folder.secret} (mode 0600), or name it by \${secrets:…} in the file`,
    );
  }
  const found = replaceReferences(stored, sourcesOf(shell));
  const fault = found.faults[0];
  if (fault === undefined) return redact(found.text);
  throw new Failure(exit.failed, fault.message, `expected: ${fault.expected}`);
}
