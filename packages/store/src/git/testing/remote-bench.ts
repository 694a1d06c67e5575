/** Repositories with backups, and others that they are pushed to and brought from; all go when a test is done ({@link cleanUpAfterEach}). */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { make as redact } from "effect/Redacted";
import { afterEach } from "vitest";
import type { Oid } from "../object.ts";
import type { PushOptions, Remote } from "../remote.ts";
import { Repository } from "../repository.ts";
import { type GitServer, type GitServerOptions, serveGit } from "./git-server.ts";
import { rowPath, rowText, startStory } from "./story.ts";
import { unsynced } from "./unsynced.ts";

const folders: string[] = [];
const servers: GitServer[] = [];
/** To be called by each file of tests: they share this module, which is run once for all of them. */
export function cleanUpAfterEach(): void {
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
    for (const dir of folders.splice(0)) rmSync(dir, { recursive: true });
  });
}

export function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "aether-remote-"));
  folders.push(dir);
  return dir;
}

export const environment = {
  ...process.env,
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_AUTHOR_NAME: "eve",
  GIT_AUTHOR_EMAIL: "eve@localhost",
  GIT_COMMITTER_NAME: "eve",
  GIT_COMMITTER_EMAIL: "eve@localhost",
};
export const git = (dir: string, ...args: string[]): string =>
  execFileSync("git", ["-C", dir, ...args], { encoding: "utf8", env: environment, stdio: ["ignore", "pipe", "pipe"] });
export const everything = (dir: string): string =>
  git(dir, "log", "--root", "--raw", "-r", "--no-abbrev", "--format=%H %T", "main");
export const fsck = (dir: string): string => git(dir, "fsck", "--strict", "--full", "--no-dangling");

/** A repository with `commits` backups of 40 rows. */
export async function backups(commits: number): Promise<Repository> {
  const dir = join(folder(), "backup.git");
  const repository = await Repository.create(dir, unsynced(dir));
  await more(repository, 0, commits);
  return repository;
}

export async function more(repository: Repository, first: number, commits: number): Promise<Oid> {
  const story = await startStory(repository);
  let oid = "";
  for (let n = first; n < first + commits; n++)
    oid = await story.commit(
      Array.from({ length: n === 0 ? 40 : 3 }, (_, i) => [rowPath((n * 5 + i) % 40), rowText((n * 5 + i) % 40, n)]),
    );
  return oid;
}

/** A bare repository of git's own making, `a.git` in a folder that is served. */
export async function served(options: GitServerOptions = {}): Promise<{ dir: string; server: GitServer; remote: Remote }> {
  const root = folder();
  const dir = join(root, "a.git");
  execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", dir], { env: environment });
  const server = await serveGit(root, options);
  servers.push(server);
  const { user, token } = options;
  const credentials = user === undefined || token === undefined ? null : { user, token: redact(token) };
  return { dir, server, remote: { url: `${server.url}a.git`, credentials, ...(options.tls === true ? { ca: server.ca } : {}) } };
}

/** Somebody else's commit on top of what is there. */
export function foreign(dir: string): Oid {
  const work = join(folder(), "work");
  execFileSync("git", ["clone", "--quiet", dir, work], { env: environment, stdio: "ignore" });
  writeFileSync(join(work, "foreign"), "not ours\n");
  git(work, "add", ".");
  git(work, "commit", "--quiet", "-m", "not ours");
  git(work, "push", "--quiet", "origin", "HEAD:main");
  return git(work, "rev-parse", "HEAD").trim();
}

export const soon: PushOptions = { idleMs: 20_000, deadlineMs: 60_000 };
