/** Requests to a git server over HTTPS: with credentials that are shown to nobody else, and a limit on every wait. */
import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import type { Readable } from "node:stream";
import { type Redacted, value as reveal } from "effect/Redacted";
import { type Advertisement, readAdvertisement } from "./pkt-line.ts";

export interface Credentials {
  readonly user: string;
  readonly token: Redacted;
}

export interface HttpRemote {
  readonly url: URL;
  readonly credentials: Credentials | null;
  /** Certificates of authorities to trust in place of the system's, PEM. */
  readonly ca: string | null;
  /** Nothing going to and fro for so long is the end of it. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** The server was reached and said no, or what it said cannot be used. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** The server was not reached, or not to the end. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

const redirections = new Set([301, 302, 303, 307, 308]);
const redirectsMax = 5;
/** Of an answer that says why not. */
const reasonBytes = 2_000;

/** Throws {@link Refused} on what nothing may be asked of: its words show no part of the address that may be secret. */
export function remoteUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw new Refused("the remote is no URL");
  if (url.username !== "" || url.password !== "")
    throw new Refused("the remote's URL has credentials in it: they are shown wherever it is; give them by themselves");
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback))
    throw new Refused(`${shown(url)} is no https address`);
  return url;
}

/** The address as it may be seen. */
export const shown = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;

/** Where the repository is, after redirects within its own origin, and the branches it has. */
export async function askForRefs(
  remote: HttpRemote,
  service: string,
): Promise<{ remote: HttpRemote; advertised: Advertisement }> {
  let { url } = remote;
  for (let redirects = 0; redirects <= redirectsMax; redirects++) {
    const asked = new URL(`${shown(url).replace(/\/$/, "")}/info/refs?service=${service}`);
    const answer = await send({ ...remote, url }, asked, null);
    try {
      if (!redirections.has(answer.statusCode ?? 0)) {
        await expectGit(answer, url, `application/x-${service}-advertisement`);
        return { remote: { ...remote, url }, advertised: await readAdvertisement(answer, service) };
      }
      url = redirected(url, asked, answer.headers.location ?? "");
    } finally {
      answer.destroy();
    }
  }
  throw new Refused(`${shown(url)} points from one place to the next without end`);
}

function redirected(url: URL, asked: URL, location: string): URL {
  const target = URL.canParse(location, asked.href) ? new URL(location, asked) : null;
  if (target?.origin !== url.origin)
    throw new Refused(`${shown(url)} points to another place, where these credentials do not belong`);
  if (!target.pathname.endsWith("/info/refs")) throw new Refused(`${shown(url)} points to what is no git repository`);
  return new URL(target.pathname.slice(0, -"/info/refs".length), url);
}

/** Calls a service, and hands its answer over. `length`: of the body in bytes. */
export async function callService<T>(
  remote: HttpRemote,
  service: string,
  { body, length }: Pick<Body, "body" | "length">,
  use: (answer: IncomingMessage) => Promise<T>,
): Promise<T> {
  const asked = new URL(`${shown(remote.url).replace(/\/$/, "")}/${service}`);
  const answer = await send(remote, asked, { type: `application/x-${service}-request`, body, length });
  try {
    await expectGit(answer, remote.url, `application/x-${service}-result`);
    return await use(answer);
  } finally {
    answer.destroy();
  }
}

interface Body {
  readonly type: string;
  readonly body: Readable;
  readonly length: number;
}

async function send(remote: HttpRemote, asked: URL, body: Body | null): Promise<IncomingMessage> {
  const { credentials, ca, idleMs, signal } = remote;
  const headers: Record<string, string | number> = { "user-agent": "git/aether", accept: "*/*" };
  if (credentials !== null) {
    const pair = `${credentials.user}:${reveal(credentials.token)}`;
    headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`;
  }
  if (body !== null) Object.assign(headers, { "content-type": body.type, "content-length": body.length });
  const options = { method: body === null ? "GET" : "POST", headers, signal, timeout: idleMs, agent: false as const };
  const request =
    asked.protocol === "https:"
      ? httpsRequest(asked, { ...options, ...(ca === null ? {} : { ca }) })
      : httpRequest(asked, options);
  request.on("timeout", () => void request.destroy(new Unreachable(`${shown(remote.url)} has been silent for ${idleMs} ms`)));
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
  });
  try {
    if (body === null) request.end();
    // a server that refuses answers before it has read everything: then the answer counts, not that sending failed
    else pipeline(body.body, request).catch((cause: Error) => void request.destroy(cause));
    return await answered;
  } catch (cause) {
    throw unreachable({ where: shown(remote.url), signal }, cause);
  }
}

/** What went wrong on the way, in words that show no secret. */
export function unreachable({ where, signal }: { readonly where: string; readonly signal: AbortSignal }, cause: unknown): Error {
  if (cause instanceof Unreachable || cause instanceof Refused) return cause;
  const reason: unknown = signal.aborted ? signal.reason : null;
  if (reason instanceof Error)
    return new Unreachable(reason.name === "TimeoutError" ? `${where} took longer than it may` : reason.message, { cause });
  const { code, message } = cause as NodeJS.ErrnoException;
  return new Unreachable(`${where} was not reached, or not to the end: ${code ?? message}`, { cause });
}

async function expectGit(answer: IncomingMessage, url: URL, type: string): Promise<void> {
  const status = answer.statusCode ?? 0;
  if (status === 200 && answer.headers["content-type"]?.startsWith(type) === true) return;
  const where = shown(url);
  if (status === 200) throw new Refused(`${where} answers, but not as a git repository`);
  const said = await beginning(answer);
  const why = said === "" ? "" : `: ${said}`;
  if (status === 401) throw new Refused(`${where} does not take these credentials (401)${why}`);
  if (status === 403) throw new Refused(`${where} does not allow it with these credentials (403)${why}`);
  if (status === 404) throw new Refused(`${where} is no repository, or not one for these credentials (404)`);
  if (status >= 500 || status === 408 || status === 429) throw new Unreachable(`${where} is in trouble (${status})${why}`);
  throw new Refused(`${where} answers ${status}${why}`);
}

/** One line of it, as far as it is text. */
async function beginning(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of answer) {
      parts.push(part as Buffer);
      bytes += (part as Buffer).length;
      if (bytes >= reasonBytes) break;
    }
  } catch {
    // what has come by then says enough
  }
  const text = Buffer.concat(parts).toString().slice(0, reasonBytes);
  return /<html|<!doctype/i.test(text) ? "" : text.replaceAll(/\s+/g, " ").trim();
}
