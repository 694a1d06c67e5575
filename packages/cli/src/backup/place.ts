/** Where a backup is taken from: REPO[@COMMIT] of a command line. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { make as redact, type Redacted } from "effect/Redacted";
import { usage } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import { commitName } from "./commit-text.ts";

export interface BackupPlace {
  /** An absolute path of a bare repository, or an https URL (http on this computer only). */
  readonly repository: string;
  /** 4 to 40 hex digits, HEAD or main; null: the newest. */
  readonly commit: string | null;
}

/** A folder that holds `backup.git`, a member's data folder for instance, stands for that repository. Nothing is asked of a remote. */
export function parsePlace(text: string): BackupPlace {
  const at = text.lastIndexOf("@");
  const end = text.slice(at + 1);
  // What is there under the whole name is meant as a whole; user@host is no commit.
  const splits = at > 0 && !end.includes("/") && !(isPath(text) && existsSync(pathOf(text)));
  const [where, commit] = splits ? [text.slice(0, at), commitName(end)] : [text, null];
  if (where === "") throw usage("a repository is expected: REPO or REPO@COMMIT", "a path, or an https URL");
  if (!isPath(where)) return { repository: checkedUrl(where), commit };
  const path = pathOf(where);
  const inside = join(path, "backup.git");
  return { repository: existsSync(join(inside, "HEAD")) ? inside : path, commit };
}

const isPath = (text: string): boolean => text.startsWith("file://") || !/^[a-z][a-z0-9+.-]*:\/\//i.test(text);
const pathOf = (text: string): string => (text.startsWith("file://") ? fileURLToPath(text) : resolve(text));
export const isRemote = (repository: string): boolean => !repository.startsWith("/");

function checkedUrl(text: string): string {
  const url = URL.parse(text);
  const isLocal = url?.protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url === null || (url.protocol !== "https:" && !isLocal)) {
    throw usage(`${text.split("@").at(-1)} is no repository that can be read`, "a path, or an https URL");
  }
  if (url.username !== "" || url.password !== "") {
    const hint = "leave it out of the URL, where others see it; set AETHER_BACKUP_TOKEN (and AETHER_BACKUP_USER) instead";
    throw usage("the repository's URL has a user or password in it", hint);
  }
  return text;
}

/** What the cluster file says of its own remote. */
export interface KnownRemote {
  readonly remote: string | null;
  readonly remoteUser: string;
  readonly remoteToken: Redacted | null;
}

/**
 * AETHER_BACKUP_TOKEN, with AETHER_BACKUP_USER or "git"; without it, those of the cluster file when it is the same remote. They are in no
 * message: a Redacted shows nothing.
 */
export function credentialsFor(place: BackupPlace, shell: Pick<Shell, "env">, known: KnownRemote | null) {
  if (!isRemote(place.repository)) return null;
  const token = shell.env["AETHER_BACKUP_TOKEN"] ?? "";
  if (token !== "") return { user: shell.env["AETHER_BACKUP_USER"] ?? "git", token: redact(token) };
  if (known === null || known.remoteToken === null || known.remote !== place.repository) return null;
  return { user: known.remoteUser, token: known.remoteToken };
}
