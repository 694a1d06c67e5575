/** Whether a commit is what Aether wrote: every object by its hash, every file by its form, the manifest by what is there. */
import { manifestPath, parseManifest, type Manifest } from "@aether/core/backup/manifest";
import { upcastWanted } from "@aether/core/backup/facet-version";
import { BackupFault, observedFolder, parseObserved, parseThing, type WantedThing } from "@aether/core/backup/thing-files";
import type { BackupFacet } from "@aether/core/kernel/noun";
import type { Registry } from "@aether/core/kernel/registry";
import { entriesOf, ObjectDamaged, type GitObject, type Oid, type TreeEntry } from "../git/object.ts";
import { NoSuchCommit, type Repository } from "../git/repository.ts";
import type { Steps } from "../git/steps.ts";
import { parseMessage } from "./changes.ts";
import { wantedOf } from "./reading.ts";
import { faultsMax, type FileFault, type Verified } from "./types.ts";

/**
 * Rejects with NoSuchCommit when there is nothing to be verified. `onThing` is given what is wanted of each thing, in this registry's
 * version, as it is read; it counts only when all is found sound.
 */
export async function verifyCommit(
  repository: Repository,
  registry: Registry,
  commit: Oid | undefined,
  steps: Steps,
  onThing: (thing: WantedThing) => void = () => undefined,
): Promise<Verified> {
  const check = new Check(repository, registry, steps, onThing);
  repository.forgetBlocks();
  for (const { name, why } of await repository.brokenPacks(steps)) check.fault(`objects/pack/${name}`, why);
  let oid = commit ?? null;
  if (oid === null) oid = (await check.reading("refs/heads/main", () => repository.head())) ?? null;
  if (oid === null && check.faultsTotal === 0) throw new NoSuchCommit(`${repository.dir} has no commit yet`);
  if (oid !== null) await check.commit(oid);
  repository.forgetBlocks();
  return check.result(oid ?? "");
}

class Check {
  faultsTotal = 0;
  private readonly repository: Repository;
  private readonly registry: Registry;
  private readonly steps: Steps;
  private readonly onThing: (thing: WantedThing) => void;
  private readonly faults: FileFault[] = [];
  private objects = 0;
  private files = 0;
  private manifest: Manifest | null = null;
  private readonly counts = new Map<string, number>();
  /** Files of wanted things that have another beside them, and those, by the path of the former. */
  private readonly wanted = new Set<string>();
  private readonly observed = new Set<string>();
  private readonly observing: ReadonlySet<string>;

  constructor(repository: Repository, registry: Registry, steps: Steps, onThing: (thing: WantedThing) => void) {
    this.onThing = onThing;
    this.repository = repository;
    this.registry = registry;
    this.steps = steps;
    this.observing = new Set(registry.nouns.flatMap(({ backup }) => (backup?.observed === undefined ? [] : [backup.folder])));
  }

  fault(path: string, what: string): void {
    this.faultsTotal++;
    if (this.faults.length < faultsMax) this.faults.push({ path, what });
  }

  /** What is read, undefined when it is damaged: then the fault is noted. */
  async reading<T>(path: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof ObjectDamaged || error instanceof BackupFault)) throw error;
      this.fault(path, error.message);
      return undefined;
    }
  }

  async commit(oid: Oid): Promise<void> {
    const commit = await this.reading(`commit ${oid}`, () => this.repository.commit(oid));
    this.objects++;
    if (commit === undefined) return;
    const root = await this.folder("", commit.tree);
    if (root === undefined) return;
    await this.readManifest(root);
    for (const entry of root) await this.entry(entry.name, entry);
    this.compare(root, commit.message, commit.at);
  }

  result(commit: Oid): Verified {
    const { objects, files, faults, faultsTotal, manifest } = this;
    return { commit, sound: faultsTotal === 0, objects, files, faults, faultsTotal, manifest };
  }

  private async readManifest(root: readonly TreeEntry[]): Promise<void> {
    const entry = root.find(({ name, kind }) => name === manifestPath && kind === "blob");
    if (entry === undefined) {
      this.fault(manifestPath, "it is missing");
      return;
    }
    const text = await this.text(manifestPath, entry.oid);
    if (text === undefined) return;
    this.manifest = (await this.reading(manifestPath, () => Promise.resolve().then(() => parseManifest(text)))) ?? null;
  }

  private async entry(path: string, { kind, oid }: TreeEntry): Promise<void> {
    if (path === manifestPath) return;
    if (this.steps.due) await this.steps.rest();
    if (kind === "tree") {
      for (const inner of (await this.folder(path, oid)) ?? []) await this.entry(`${path}/${inner.name}`, inner);
      return;
    }
    this.files++;
    if (path.startsWith(`${observedFolder}/`)) this.observed.add(path.slice(observedFolder.length + 1));
    else if (this.observing.has(path.slice(0, path.indexOf("/")))) this.wanted.add(path);
    const text = await this.text(path, oid);
    if (text === undefined) return;
    await this.reading(path, () => Promise.resolve().then(() => this.file(path, text)));
  }

  private file(path: string, text: string): void {
    if (path.startsWith(`${observedFolder}/`)) {
      parseObserved(this.registry, path, text);
      return;
    }
    const { noun, id, wanted } = parseThing(this.registry, path, text);
    const facet = this.registry.noun(noun)?.backup as BackupFacet;
    this.counts.set(noun, (this.counts.get(noun) ?? 0) + 1);
    const v = this.manifest?.facets[noun];
    if (v !== undefined) this.onThing({ noun, id, wanted: upcastWanted(facet, v, wanted) });
  }

  /** What the manifest and the message say against what is there. */
  private compare(root: readonly TreeEntry[], message: string, at: number): void {
    for (const path of this.wanted)
      if (!this.observed.delete(path)) this.fault(`${observedFolder}/${path}`, "it is missing, though what is wanted is there");
    for (const path of this.observed) this.fault(path, "it is missing, though what was seen is there");
    const { manifest } = this;
    if (manifest === null) return;
    if (wantedOf(root) !== manifest.wanted)
      this.fault(
        manifestPath,
        `it says ${manifest.wanted} of all that is wanted, and that is ${wantedOf(root)}: files were edited`,
      );
    for (const noun of new Set([...Object.keys(manifest.counts), ...this.counts.keys()])) {
      const [said, found] = [manifest.counts[noun] ?? 0, this.counts.get(noun) ?? 0];
      if (said !== found) this.fault(manifestPath, `it says that there are ${said} of ${noun}, and there are ${found}`);
    }
    const facts = parseMessage(message);
    const same = facts?.index === manifest.index && facts.at === manifest.at && at === Math.floor(manifest.at / 1_000);
    if (!same) this.fault("message", `the commit's message or time is not that of entry ${manifest.index}`);
  }

  private async folder(path: string, oid: Oid): Promise<TreeEntry[] | undefined> {
    const object = await this.object(path === "" ? "/" : path, oid);
    return object === undefined ? undefined : this.reading(path, () => Promise.resolve().then(() => entriesOf(object)));
  }

  private async text(path: string, oid: Oid): Promise<string | undefined> {
    const object = await this.object(path, oid);
    return object === undefined ? undefined : Buffer.from(object.bytes).toString();
  }

  /** The repository holds every object against its hash when it reads it. */
  private object(path: string, oid: Oid): Promise<GitObject | undefined> {
    this.objects++;
    return this.reading(path, () => this.repository.read(oid));
  }
}
