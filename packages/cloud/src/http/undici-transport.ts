/** HTTP over undici. Its import costs 80 ms, so it is loaded with the first request. */
import { isLoopback, isMetadataHost } from "./endpoints.ts";
import type { HttpRequest, HttpResponse, Outcome, Transport } from "./transport.ts";

export interface TransportLimits {
  readonly connectMs: number;
  /** From the first byte sent to the last byte received. */
  readonly exchangeMs: number;
  readonly responseBytesMax: number;
  /** Connections to one origin; more requests wait their turn inside the exchange's time. */
  readonly connections: number;
}

export const defaultTransportLimits: TransportLimits = {
  connectMs: 10_000,
  exchangeMs: 60_000,
  responseBytesMax: 16 * 1024 * 1024,
  connections: 16,
};

/** Next door an answer comes at once or never: away from a vendor's machines nobody has the metadata service's address. */
const metadataConnectMs = 1_000;

/** How long a connection to this address may take to come about. */
export const connectMsTo = (url: URL, { connectMs }: TransportLimits): number =>
  isMetadataHost(url) ? Math.min(connectMs, metadataConnectMs) : connectMs;

export interface UndiciTransport extends Transport {
  readonly close: () => Promise<void>;
}

/** `ca` (PEM) is trusted in place of the system's authorities: for a private gateway. */
export function makeUndiciTransport(limits: TransportLimits = defaultTransportLimits, ca?: string): UndiciTransport {
  const load = async () => {
    // In a bundle a CommonJS package has no other export.
    const { Agent, request } = (await import("undici")).default;
    const agents = new Map<number, InstanceType<typeof Agent>>();
    const agentFor = (url: URL) => {
      const timeout = connectMsTo(url, limits);
      const connect = ca === undefined ? { timeout } : { timeout, ca };
      const agent = agents.get(timeout) ?? new Agent({ connect, connections: limits.connections, pipelining: 1 });
      agents.set(timeout, agent);
      return agent;
    };
    return { request, agentFor, close: () => Promise.all([...agents.values()].map((agent) => agent.destroy())) };
  };
  let loaded: ReturnType<typeof load> | null = null;
  return {
    send: async (request, signal) => {
      // Endpoints say so already; a URL that came another way must not carry a token in clear.
      if (request.url.protocol !== "https:" && !isLoopback(request.url) && !isMetadataHost(request.url)) {
        throw new Error(`a request to ${request.url.origin} without TLS`);
      }
      signal.throwIfAborted();
      const { agentFor, request: exchange } = await (loaded ??= load());
      const deadline = AbortSignal.timeout(limits.exchangeMs);
      const both = AbortSignal.any([signal, deadline]);
      try {
        const { url, method, headers, body } = request;
        const answer = await exchange(url, { method, headers, body, dispatcher: agentFor(url), signal: both });
        return await readAnswer(answer, limits.responseBytesMax);
      } catch (error) {
        signal.throwIfAborted();
        return deadline.aborted ? lateAnswer(request, limits.exchangeMs) : unanswered(error);
      }
    },
    close: async () => {
      await (await loaded)?.close();
    },
  };
}

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array> & { destroy(error?: Error): unknown };
}

async function readAnswer(answer: Answer, bytesMax: number): Promise<Outcome> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.length;
    // Leaving the loop ends the stream and its connection.
    if (bytes > bytesMax) return { kind: "oversized", bytesMax };
    chunks.push(chunk);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers[name.toLowerCase()] = Array.isArray(value) ? value.join(", ") : value;
  }
  const response: HttpResponse = { status: answer.statusCode, headers, body: Buffer.concat(chunks) };
  return { kind: "answered", response };
}

const lateAnswer = ({ url }: HttpRequest, ms: number): Outcome => ({
  kind: "unanswered",
  maybeApplied: true,
  code: "ETIMEDOUT",
  message: `${url.host} did not answer within ${ms} ms`,
});

/** Failures before a byte of the request has left: no connection, no name, no trust. Of all others nobody knows. */
const neverSent: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

function unanswered(error: unknown): Outcome {
  if (!(error instanceof Error)) throw error;
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  // Without a code it is no failure of the network but of ours.
  if (code === null || code === "UND_ERR_INVALID_ARG") throw error;
  return { kind: "unanswered", maybeApplied: !neverSent.has(code), code, message: error.message };
}
