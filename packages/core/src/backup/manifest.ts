/** `manifest.json` of a commit: of which cluster and moment it is, in which versions it was written, and a hash over all that is wanted. */
import { canonicalJson } from "../kernel/canonical-json.ts";
import { BackupFault } from "./thing-files.ts";

export const manifestPath = "manifest.json";
/** Of the repository's layout and this file. */
export const manifestFormat = 1;

export interface Manifest {
  readonly format: typeof manifestFormat;
  readonly cluster: { readonly id: string; readonly name: string };
  /** Feature level of the cluster. */
  readonly level: number;
  /** Of the last entry that is in it. */
  readonly index: number;
  readonly term: number;
  /** Unix milliseconds, of the last entry that says a time. */
  readonly at: number;
  /** Hex, the audit chain's digest at `index`. */
  readonly chain: string;
  /** Things by noun. */
  readonly counts: Readonly<Record<string, number>>;
  /** Version of each noun's wanted state, by noun. */
  readonly facets: Readonly<Record<string, number>>;
  /** 40 hex digits: git's name of the tree that holds the folders of wanted things and nothing else. */
  readonly wanted: string;
}

export const manifestText = (manifest: Manifest): string => canonicalJson(manifest);

/** Throws {@link BackupFault} on what {@link manifestText} would not have written. */
export function parseManifest(text: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new BackupFault(`${manifestPath} is no JSON`, { cause });
  }
  const fields = (parsed ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof fields["format"] === "number" && fields["format"] > manifestFormat)
    throw new BackupFault(`the backup has format ${fields["format"]}, this version reads ${manifestFormat}: use a newer one`);
  for (const [name, holds] of Object.entries(checks))
    if (!holds(fields[name])) throw new BackupFault(`${manifestPath} has no ${name}, or one that cannot be`);
  const more = Object.keys(fields).filter((name) => !Object.hasOwn(checks, name));
  if (more.length > 0) throw new BackupFault(`${manifestPath} has ${more.join(", ").slice(0, 200)}, which is not known`);
  if (canonicalJson(parsed) !== text) throw new BackupFault(`${manifestPath} is not in the form that backups are written in`);
  return parsed as Manifest;
}

const whole = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const hex = (digits: number) => (value: unknown) =>
  typeof value === "string" && value.length === digits && /^[0-9a-f]+$/.test(value);
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const wholes = (value: unknown): boolean => isObject(value) && Object.values(value).every(whole);

const checks: Readonly<Record<keyof Manifest, (value: unknown) => boolean>> = {
  format: (value) => value === manifestFormat,
  cluster: (value) =>
    isObject(value) && hex(32)(value["id"]) && typeof value["name"] === "string" && Object.keys(value).length === 2,
  level: whole,
  index: whole,
  term: whole,
  at: whole,
  chain: hex(64),
  counts: wholes,
  facets: wholes,
  wanted: hex(40),
};
