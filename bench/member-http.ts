/** One HTTPS question to one member over a connection of its own, so that a member that just started is heard at once. */
import { request } from "node:https";

export interface ClientFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: unknown;
}

const answerMaxMs = 5_000;

/** `tls` is PEM text. Null when nobody answered in time (by default five seconds), or with something that is no JSON. */
export function ask(
  address: string,
  tls: ClientFiles,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
  timeout = answerMaxMs,
): Promise<HttpAnswer | null> {
  return new Promise((resolve) => {
    const [host, port] = address.split(":");
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = payload === undefined ? {} : { "content-type": "application/json" };
    const { ca, certificate: cert, key } = tls;
    // The certificates are of a throw-away CA and name the host; the identity in them is not what is measured here.
    const question = request({ host, port, method, path, headers, ca, cert, key, agent: false, timeout });
    question.on("timeout", () => question.destroy());
    question.on("error", () => resolve(null));
    question.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => resolve(null));
      response.on("end", () => {
        resolve(parsed(response.statusCode ?? 0, Buffer.concat(chunks).toString("utf8")));
      });
    });
    question.end(payload);
  });
}

function parsed(status: number, text: string): HttpAnswer | null {
  try {
    return { status, body: JSON.parse(text) };
  } catch {
    return null;
  }
}
