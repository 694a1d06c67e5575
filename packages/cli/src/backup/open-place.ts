/** A repository that a backup is taken from, opened: one on this computer where it lies, one on the network as a copy. */
import { access, rm } from "node:fs/promises";
import { join } from "node:path";
import { BackupFault } from "@aether/core/backup/thing-files";
import { registry } from "@aether/core/registry";
import { BackupReader } from "@aether/store/backup/backup-reader";
import { ObjectDamaged, type Oid } from "@aether/store/git/object";
import { clone, type Remote } from "@aether/store/git/remote";
import { NoSuchCommit, Repository } from "@aether/store/git/repository";
import { exit, Failure, usage, type ExitCode } from "../shell/failure.ts";
import { isRemote, type BackupPlace } from "./place.ts";

export interface OpenedPlace {
  readonly reader: BackupReader;
  readonly commit: Oid;
}

export interface OpenOptions {
  readonly credentials: Remote["credentials"];
  /** Where a copy of one on the network is made; what is there is removed first. */
  readonly copyTo: string;
  readonly say: (text: string) => void;
}

/** Writes nothing where it lies. The commit is looked up and not judged yet. */
export async function openPlace({ repository: url, commit }: BackupPlace, o: OpenOptions): Promise<OpenedPlace> {
  if (isRemote(url)) return openRemote(url, commit ?? "HEAD", o);
  if (!(await isThere(join(url, "HEAD")))) {
    throw usage(
      `there is no git repository at ${url}`,
      "a bare one is expected: backup.git of a member's data folder, or a clone --bare",
    );
  }
  o.say(url);
  const repository = await Repository.open(url);
  const name = commit === null || commit === "main" ? "HEAD" : commit;
  try {
    return await reading(async () => ({
      reader: new BackupReader(repository, registry),
      commit: await repository.resolve(name),
    }));
  } catch (error) {
    if (!(error instanceof NoSuchCommit)) throw error;
    throw new Failure(exit.notFound, `${url}: ${error.message}`, `git --git-dir ${url} log --oneline shows what is there`);
  }
}

const codes: Readonly<Record<"refused" | "unreachable" | "missing", ExitCode>> = {
  refused: exit.rejected,
  unreachable: exit.notReady,
  missing: exit.notFound,
};

async function openRemote(url: string, commit: string, o: OpenOptions): Promise<OpenedPlace> {
  await rm(o.copyTo, { recursive: true, force: true });
  o.say(`copying ${url}`);
  const opened = await reading(() => clone({ url, credentials: o.credentials }, o.copyTo, { commit }));
  if (opened.ok) return { reader: new BackupReader(opened.repository, registry), commit: opened.commit };
  const asked = "AETHER_BACKUP_TOKEN (and AETHER_BACKUP_USER) are what it is asked with";
  throw new Failure(codes[opened.kind], `${url}: ${opened.why}`, opened.kind === "refused" ? asked : "");
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Runs what reads a commit; what is not as it was written becomes a failure that names it. */
export async function reading<A>(act: () => Promise<A>): Promise<A> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof BackupFault || error instanceof ObjectDamaged)) throw error;
    throw new Failure(
      exit.failed,
      `the backup cannot be read: ${error.message}`,
      "try an older commit, or another copy of the repository",
    );
  }
}
