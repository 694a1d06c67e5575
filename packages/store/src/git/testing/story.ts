/** A repository that grows as backups make it grow, for tests and measurements: things as files, of which each commit changes some. */
import { commitOf, type Oid } from "../object.ts";
import { Folders } from "../folders.ts";
import type { Repository } from "../repository.ts";
import { QuickPack } from "./quick-pack.ts";

export interface Story {
  /** What the newest commit holds, by path. */
  readonly files: Map<string, string>;
  /** One more commit, a pack of its own, in which these files are as told (null: gone). Gives its name. */
  commit(changes: Iterable<readonly [path: string, text: string | null]>): Promise<Oid>;
}

/** Goes on from the newest commit; `files` is what that holds. */
export async function startStory(repository: Repository, files = new Map<string, string>()): Promise<Story> {
  let head = await repository.head();
  const folders = new Folders(repository, head === null ? null : (await repository.commit(head)).tree);
  let at = 1_700_000_000;
  return {
    files,
    commit: async (changes) => {
      const writer = new QuickPack(repository.packFolder);
      for (const [path, text] of changes) {
        if (text === null) files.delete(path);
        else files.set(path, text);
        await folders.put(path, text === null ? null : writer.add({ kind: "blob", bytes: Buffer.from(text) }));
        if (writer.full) await writer.spill();
      }
      const parents = head === null ? [] : [head];
      const by = "Aether <aether@test>";
      const commit = writer.add(commitOf({ tree: await folders.write(writer), parents, by, at: ++at, message: `at ${at}` }));
      await writer.finish();
      await repository.moveHead(head, commit);
      head = commit;
      return commit;
    },
  };
}

/** About 600 bytes as a row of Aether is: words that all have, and a part of its own. `drawn`: a number that changes with each version. */
export function rowText(id: number, drawn: number): string {
  const own = Array.from({ length: 6 }, (_, i) => Math.imul(id * 31 + i + 7, 0x9e3779b1).toString(36)).join("-");
  return `${JSON.stringify(
    {
      id: `row_${id}`,
      noun: "setting",
      wanted: {
        author: `operator-${id % 17}`,
        comment: `value ${drawn} was set`,
        key: own,
        limits: { high: drawn, low: -drawn },
      },
      labels: Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`label-${i}`, Math.imul(id + i, 0x45d9f3b).toString(16)])),
      places: Array.from({ length: 6 }, (_, i) => ({ rack: (id * 7 + i) % 93, slot: (id + i * 5) % 41 })),
    },
    null,
    1,
  )}\n`;
}

/** `row_17` lies where its like lie in a backup. */
export function rowPath(id: number): string {
  const hash = (Math.imul(id + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0");
  return `settings/${hash.slice(0, 2)}/${hash.slice(2, 3)}/row_${id}.json`;
}
