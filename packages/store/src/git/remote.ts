/**
 * Repositories elsewhere: a folder that this machine reaches, or a git server over HTTPS. The server's protocol is spoken here and not by
 * isomorphic-git, which holds whole packs in memory, blocks while it makes and reads them, and follows redirects with the credentials.
 */
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { value as reveal } from "effect/Redacted";
import { noPace, type Pace } from "../pace.ts";
import { ObjectDamaged, type Oid } from "./object.ts";
import { ProtocolFault } from "./pkt-line.ts";
import { cloneHttp } from "./remote-fetch.ts";
import { openLocal, pushLocal } from "./remote-local.ts";
import { pushHttp } from "./remote-push.ts";
import { BranchMoved, NoSuchCommit, type Repository } from "./repository.ts";
import { type Credentials, type HttpRemote, Refused, remoteUrl, shown, unreachable, Unreachable } from "./smart-http.ts";
import { Steps } from "./steps.ts";
import { Diverged, type Progress, type Sent, type Transfer } from "./transfer.ts";

const deadlineMsDefault = 600_000;
const idleMsDefault = 30_000;

export interface Remote {
  /** `https://…`, `file://…`, or an absolute path. */
  readonly url: string;
  readonly credentials: Credentials | null;
  /** Certificates of authorities to trust in place of the system's, PEM. */
  readonly ca?: string;
}

export interface RemoteOptions {
  readonly signal?: AbortSignal;
  /** For all of it. */
  readonly deadlineMs?: number;
  /** For a server that neither sends nor takes anything. */
  readonly idleMs?: number;
  readonly onProgress?: (progress: Progress) => void;
  /** How it rests between steps of a few milliseconds; not at all if left out. */
  readonly pace?: Pace;
}

export interface PushOptions extends RemoteOptions {
  /** Also over commits that are not ours, which are lost there then. */
  readonly force?: boolean;
}

/** `refused`: it was asked and said no. `diverged`: it has commits that are not ours. `unreachable`: it is not known whether it was asked. */
export type Pushed =
  | ({ readonly ok: true } & Sent)
  | { readonly ok: false; readonly kind: "refused" | "diverged" | "unreachable"; readonly why: string };

export type Cloned =
  | { readonly ok: true; readonly repository: Repository; readonly commit: Oid }
  | { readonly ok: false; readonly kind: "refused" | "unreachable" | "missing"; readonly why: string };

/** Brings the remote's branch to ours, if that goes on from where it is. A push that was cut off may be done again. */
export async function push(repository: Repository, remote: Remote, options: PushOptions = {}): Promise<Pushed> {
  const { force = false } = options;
  const done = await outcome(remote, options, async (place, transfer) => {
    await repository.refresh();
    const head = await repository.head();
    if (head === null) throw new Refused("there is no backup yet that could be pushed");
    const sent =
      typeof place === "string"
        ? await pushLocal(repository, place, head, force, transfer)
        : await pushHttp(repository, place, head, force, transfer);
    return { ok: true, ...sent } as const;
  });
  if (done.ok || done.kind !== "missing") return done;
  throw new Error("a push looks for no commit by name");
}

/**
 * The remote's repository for reading. A folder is read where it is, and nothing is written; from a server it comes into `dir`, which is
 * made. `commit`: as a person names it, the newest if left out.
 */
export async function clone(
  remote: Remote,
  dir: string,
  options: RemoteOptions & { readonly commit?: string } = {},
): Promise<Cloned> {
  const done = await outcome(remote, options, async (place, transfer) => {
    const repository = typeof place === "string" ? await openLocal(place) : await cloneHttp(place, dir, transfer);
    return { ok: true as const, repository, commit: await repository.resolve(options.commit ?? "HEAD") };
  });
  if (done.ok || done.kind !== "diverged") return done;
  throw new Error("a clone cannot diverge");
}

interface Failure<K> {
  readonly ok: false;
  readonly kind: K;
  readonly why: string;
}
type Failed = Failure<"refused"> | Failure<"diverged"> | Failure<"unreachable"> | Failure<"missing">;

async function outcome<T extends { readonly ok: true }>(
  remote: Remote,
  options: RemoteOptions,
  run: (place: string | HttpRemote, transfer: Transfer) => Promise<T>,
): Promise<T | Failed> {
  const { deadlineMs = deadlineMsDefault, idleMs = idleMsDefault, onProgress = () => undefined, pace = noPace } = options;
  const deadline = AbortSignal.timeout(deadlineMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  try {
    const place = placeOf(remote, { idleMs, signal });
    return await run(place, { steps: new Steps(pace, signal), signal, onProgress });
  } catch (error) {
    const failed = failureOf(error, signal, remote);
    return { ...failed, why: withoutSecrets(failed.why, remote.credentials) };
  }
}

function placeOf({ url, credentials, ca }: Remote, waits: Pick<HttpRemote, "idleMs" | "signal">): string | HttpRemote {
  if (isAbsolute(url)) return url;
  if (!url.startsWith("file:")) return { url: remoteUrl(url), credentials, ca: ca ?? null, ...waits };
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new Refused(`${url} is no place on this machine`, { cause });
  }
}

/** Anything that the world outside does is an answer; only a broken promise of this code is thrown on. */
function failureOf(error: unknown, signal: AbortSignal, { url }: Remote): Failed {
  if (error instanceof Diverged) return { ok: false, kind: "diverged", why: error.message };
  if (error instanceof NoSuchCommit) return { ok: false, kind: "missing", why: error.message };
  if (error instanceof Refused || error instanceof BranchMoved || error instanceof ProtocolFault)
    return { ok: false, kind: "refused", why: error.message };
  if (error instanceof ObjectDamaged) return { ok: false, kind: "refused", why: `not all of it is sound: ${error.message}` };
  if (error instanceof Unreachable) return { ok: false, kind: "unreachable", why: error.message };
  const web = URL.canParse(url) && !isAbsolute(url) ? new URL(url) : null;
  if (signal.aborted || (web !== null && web.protocol !== "file:" && isOfTheOutside(error)))
    return {
      ok: false,
      kind: "unreachable",
      why: unreachable({ where: web === null ? url : shown(web), signal }, error).message,
    };
  if (isOfTheOutside(error)) return { ok: false, kind: "unreachable", why: error.message };
  throw error;
}

const isOfTheOutside = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";

/** A server's words may hold what it was sent. */
function withoutSecrets(text: string, credentials: Credentials | null): string {
  if (credentials === null) return text;
  const token = reveal(credentials.token);
  const pair = Buffer.from(`${credentials.user}:${token}`).toString("base64");
  return [token, encodeURIComponent(token), pair].reduce(
    (clean, each) => (each === "" ? clean : clean.replaceAll(each, "***")),
    text,
  );
}
