/**
 * Things as files of a backup and back: one file per thing, `folder/3f/a/name.json`, so that a folder stays small however many things
 * there are, and `git log -p` of a file reads as the thing's story.
 */
import { canonicalJson } from "../kernel/canonical-json.ts";
import type { Noun } from "../kernel/noun.ts";
import type { Registry } from "../kernel/registry.ts";
import type { Stored } from "../kernel/world.ts";

/** What else the rows hold lies beside what is wanted: it makes the row whole again, and nothing of it is ever restored. */
export const observedFolder = "observed";
/** Names that are longer end in a hash: file systems take 255 bytes. */
const nameCharsMax = 180;

export interface ThingFile {
  /** From the root, folders divided by slashes. */
  readonly path: string;
  readonly text: string;
}

/** What a file of wanted things says. */
export interface WantedThing {
  readonly noun: string;
  readonly id: string;
  readonly wanted: unknown;
}

/** What a file beside a wanted thing says: the rest of its row, and when that came to be what it is. */
export interface ObservedThing extends Pick<Stored, "id" | "version" | "index" | "at"> {
  readonly noun: string;
  readonly observed: unknown;
}

/** The files of one thing: what is wanted of it, and what was seen of a noun that observes. None for a noun without a facet. */
export function filesOf(noun: Noun, stored: Stored): readonly ThingFile[] {
  return [wantedFile(noun, stored), observedFile(noun, stored)].filter((file) => file !== null);
}

/** What is wanted of a thing; null for a noun without a facet. */
export function wantedFile({ name, backup }: Noun, { id, row }: Pick<Stored, "id" | "row">): ThingFile | null {
  if (backup === undefined) return null;
  return { path: pathOf(backup.folder, id), text: canonicalJson({ noun: name, id, wanted: backup.wanted(row) }) };
}

/** What else a thing's row says; null for a noun that observes nothing. */
export function observedFile({ name, backup }: Noun, { id, version, index, at, row }: Stored): ThingFile | null {
  if (backup?.observed === undefined) return null;
  const text = canonicalJson({ noun: name, id, version, index, at, observed: backup.observed(row) });
  return { path: `${observedFolder}/${pathOf(backup.folder, id)}`, text };
}

/** Where a thing's file lies. Ids that differ only in capitals have files that differ without them. */
export function pathOf(folder: string, id: string): string {
  const hash = hashOf(id);
  const name = escaped(id);
  const short = name.length <= nameCharsMax ? name : `${name.slice(0, nameCharsMax)}~${hash}`;
  return `${folder}/${hash.slice(0, 2)}/${hash.slice(2, 3)}/${short}.json`;
}

/**
 * What the file at `path` says is wanted. Throws {@link BackupFault} when it is not what this registry would have written there: a
 * backup that was edited by hand, or one of a newer version.
 */
export function parseThing(registry: Registry, path: string, text: string): WantedThing {
  const { noun, id, wanted, ...more } = fieldsOf(registry, path, text);
  if (Object.keys(more).length > 0) throw new BackupFault(`${path} says more than what is wanted`);
  return { noun, id, wanted };
}

/** What the file at `path` below {@link observedFolder} says. Throws {@link BackupFault} as {@link parseThing} does. */
export function parseObserved(registry: Registry, path: string, text: string): ObservedThing {
  const { noun, id, version, index, at, observed, ...more } = fieldsOf(registry, path, text);
  if (!isWhole(version) || !isWhole(index) || !isWhole(at) || Object.keys(more).length > 0)
    throw new BackupFault(`${path} does not say of which moment its row is`);
  return { noun, id, version, index, at, observed };
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);

type Fields = Readonly<Record<string, unknown>> & { readonly noun: string; readonly id: string };

function fieldsOf(registry: Registry, path: string, text: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new BackupFault(`${path} is no JSON`, { cause });
  }
  const { noun: name, id } = (parsed ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof name !== "string" || typeof id !== "string") throw new BackupFault(`${path} does not say which thing it is of`);
  const facet = registry.noun(name)?.backup;
  if (facet === undefined) throw new BackupFault(`${path} is of a ${name}, which this version does not restore`);
  const place = path.startsWith(`${observedFolder}/`) ? path.slice(observedFolder.length + 1) : path;
  if (pathOf(facet.folder, id) !== place) throw new BackupFault(`${path} is not the file of ${name} ${id}`);
  if (canonicalJson(parsed) !== text) throw new BackupFault(`${path} is not in the form that backups are written in`);
  return parsed as Fields;
}

/** What is in a backup is not what Aether put there, or cannot be used by this version. */
export class BackupFault extends Error {
  override readonly name = "BackupFault";
}

/** Lower-case letters, digits and `_.-` as they are, all else as %XX of its UTF-8; a leading dot too, which hides files. */
const escaped = (id: string): string => id.replaceAll(/^\.|[^a-z0-9_.-]/gu, escapedChar);

function escapedChar(char: string): string {
  if (/[\x20-\x7e]/.test(char)) return `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return encodeURIComponent(char.isWellFormed() ? char : "\ufffd").toLowerCase();
}

/** FNV-1a of the id's UTF-16 units, eight hex digits: it spreads things over folders, and proves nothing. */
function hashOf(id: string): string {
  let h = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    h = Math.imul(h ^ (unit & 0xff), 0x01000193);
    h = Math.imul(h ^ (unit >>> 8), 0x01000193);
  }
  h = Math.imul(h ^ (h >>> 16), 0x45d9f3b);
  return ((h ^ (h >>> 15)) >>> 0).toString(16).padStart(8, "0");
}
