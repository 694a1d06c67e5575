/** Git's own server, `git http-backend`, behind HTTP or HTTPS on loopback, and what may go wrong in front of it. */
import { execFileSync, spawn } from "node:child_process";
import { webcrypto } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

export interface GitServerOptions {
  /** Whoever says something else is sent away. */
  readonly user?: string;
  readonly token?: string;
  readonly tls?: boolean;
  /** Answers in git's place, or (false) leaves it to git. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface GitServer {
  /** Of the folder whose repositories it serves, with a slash at the end. */
  readonly url: string;
  /** PEM, of a server with TLS. */
  readonly ca: string;
  /** `GET /a.git/info/refs` and so on, in the order in which they came. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

const backend = join(execFileSync("git", ["--exec-path"], { encoding: "utf8" }).trim(), "git-http-backend");

/** Serves the repositories in a folder. */
export async function serveGit(root: string, options: GitServerOptions = {}): Promise<GitServer> {
  const { user = "", token = "", tls = false, before = () => false } = options;
  const asked: string[] = [];
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    asked.push(`${request.method} ${request.url?.split("?")[0]}`);
    const wanted = `Basic ${Buffer.from(`${user}:${token}`).toString("base64")}`;
    if (before(request, response)) return;
    if (user !== "" && request.headers.authorization !== wanted) {
      request.resume();
      response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end(`wrong: ${request.headers.authorization}`);
    } else answer(root, user, request, response);
  };
  const identity = tls ? await selfSigned() : { key: "", cert: "" };
  const server: Server = tls ? createTlsServer(identity, handle) : createServer(handle);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}/`,
    ca: identity.cert,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

/** As a web server calls a CGI program (RFC 3875). */
function answer(root: string, user: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://localhost");
  const child = spawn(backend, {
    env: {
      PATH: process.env["PATH"],
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_SYSTEM: "/dev/null",
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      REQUEST_METHOD: request.method,
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      CONTENT_LENGTH: request.headers["content-length"] ?? "",
      REMOTE_USER: user === "" ? "anybody" : user,
      REMOTE_ADDR: "127.0.0.1",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  child.stdin.on("error", () => undefined);
  request.pipe(child.stdin);
  // git's program waits for ever, busily, for the rest of a request that was cut off
  request.on("close", () => void (request.complete || child.kill("SIGKILL")));
  response.on("close", () => void (response.writableFinished || child.kill("SIGKILL")));
  let head = Buffer.alloc(0);
  let begun = false;
  child.stdout.on("data", (bytes: Buffer) => {
    if (begun) return void response.write(bytes);
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    begun = true;
    const headers = head
      .toString("latin1", 0, end)
      .split("\r\n")
      .map((line) => line.split(": ") as [string, string]);
    const status = headers.find(([name]) => name === "Status")?.[1] ?? "200";
    response.writeHead(Number.parseInt(status, 10), Object.fromEntries(headers.filter(([name]) => name !== "Status")));
    response.write(head.subarray(end + 4));
  });
  child.stdout.on("end", () => response.end());
}

async function selfSigned(): Promise<{ readonly key: string; readonly cert: string }> {
  await import("reflect-metadata");
  const { SubjectAlternativeNameExtension, X509CertificateGenerator } = await import("@peculiar/x509");
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const made = await X509CertificateGenerator.createSelfSigned({
    name: "CN=git",
    notBefore: new Date("2020-01-01T00:00:00Z"),
    notAfter: new Date("2120-01-01T00:00:00Z"),
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [new SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return { key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`, cert: made.toString("pem") };
}
