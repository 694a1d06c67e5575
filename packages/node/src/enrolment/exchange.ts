/** Requests over one TLS connection, whose key the two proofs are bound to. */
import { Agent, request, type IncomingMessage } from "node:http";
import { connect, type TLSSocket } from "node:tls";

const answerBytesMax = 16 * 1024;

/** Whatever it shows, for the moment: who it is comes out afterwards. */
export function dial(address: string, signal: AbortSignal): Promise<TLSSocket | { readonly silent: string }> {
  const { hostname, port } = new URL(`https://${address}`);
  const host = hostname.replaceAll(/[[\]]/g, "");
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port === "" ? 443 : port), rejectUnauthorized: false, minVersion: "TLSv1.3" });
    const give = (): void => void socket.destroy(new Error(`no answer in time`));
    signal.addEventListener("abort", give, { once: true });
    socket.once("secureConnect", () => resolve(socket));
    // Stays for the life of the socket: a daemon cuts those off that show no certificate.
    socket.on("error", (error: NodeJS.ErrnoException) => resolve({ silent: error.code ?? error.message }));
    socket.once("close", () => {
      signal.removeEventListener("abort", give);
      resolve({ silent: "the connection was closed" });
    });
  });
}

/** Both requests go over the connection whose key is in the proofs, or nowhere. */
export class OneSocket extends Agent {
  readonly #socket: TLSSocket;
  constructor(socket: TLSSocket) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#socket = socket;
  }
  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }
  override createConnection(): TLSSocket {
    return this.#socket;
  }
}

export interface Answered {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Rejects when the connection breaks or the answer is no JSON object of at most 16 KiB. */
export async function post(
  agent: OneSocket,
  path: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Answered> {
  // A request on a connection that has ended would wait for ever.
  if (!agent.isOpen) throw new Error("the connection was closed");
  const response = await new Promise<IncomingMessage>((resolve, fail) => {
    const sent = request({
      agent,
      path,
      method: "POST",
      headers: { ...headers, host: "node", "content-length": body.length },
      signal,
    });
    sent.once("response", resolve);
    sent.once("error", fail);
    sent.end(body);
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > answerBytesMax) throw new Error(`the answer has more than ${answerBytesMax} bytes`);
    chunks.push(chunk as Buffer);
  }
  const json: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  if (typeof json !== "object" || json === null) throw new Error("the answer is no object");
  return { status: response.statusCode ?? 0, body: json as Answered["body"] };
}
