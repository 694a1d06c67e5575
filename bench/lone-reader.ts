/**
 * Linearizable reads over one connection to `/v1/stream`, each in a message of its own: what a client costs that does not pack
 * what it asks in one turn. Only for comparison with etcd's client, which never packs; programs use the stream client.
 */
import { Packr } from "msgpackr";
import { WebSocket } from "ws";
import type { StreamClient, StreamRead } from "@aether/node/client/stream-client";
import { websocketTls, type ClientTlsOptions } from "@aether/node/identity/tls";

const codec = new Packr({ useRecords: false, int64AsType: "number" });
/** How often the leader is looked for: it may be elected just now. */
const dialsMax = 50;
const redialMs = 100;

interface Hello {
  readonly node: string;
  readonly leader: { readonly node: string; readonly address: string } | null;
}

/** Opens a connection to the leader. Its reads fail hard when the connection does: a bench measures nothing then. */
export async function openLoneReader(
  endpoints: readonly string[],
  tls: ClientTlsOptions,
): Promise<Pick<StreamClient, "get" | "close">> {
  let endpoint = endpoints[0] ?? "";
  for (let dial = 1; dial <= dialsMax; dial++) {
    const { ws, hello } = await greeted(endpoint, tls);
    if (hello.leader?.node === hello.node) return reader(ws);
    ws.terminate();
    endpoint = hello.leader?.address ?? endpoint;
    await new Promise((resume) => setTimeout(resume, redialMs));
  }
  throw new Error("no member says that it leads");
}

function greeted(endpoint: string, tls: ClientTlsOptions): Promise<{ ws: WebSocket; hello: Hello }> {
  const ws = new WebSocket(`wss://${endpoint}/v1/stream`, {
    ...websocketTls(tls),
    perMessageDeflate: false,
    generateMask: (mask) => void mask.fill(0),
  });
  return new Promise((resolve, reject) => {
    ws.once("error", reject);
    ws.once("message", (data) => {
      const [[, hello]] = codec.unpack(data as Buffer) as [[string, Hello]];
      resolve({ ws, hello });
    });
  });
}

function reader(ws: WebSocket): Pick<StreamClient, "get" | "close"> {
  const waiting = new Map<number, (answer: StreamRead) => void>();
  let seq = 0;
  let closing = false;
  ws.on("message", (data) => {
    for (const frame of codec.unpack(data as Buffer) as unknown[][]) {
      const [of, kind, stored, index] = frame as [number, number, { value: unknown } | null, number];
      if (kind !== 2) throw new Error(`the read was refused: ${JSON.stringify(frame)}`);
      const done = waiting.get(of);
      waiting.delete(of);
      done?.({ ok: true, stored: stored as Extract<StreamRead, { ok: true }>["stored"], index });
    }
  });
  ws.on("close", () => {
    if (!closing) throw new Error("the connection was lost under the load");
  });
  return {
    get: (noun, id, done) => {
      seq += 1;
      waiting.set(seq, done);
      ws.send(codec.pack([[seq, { type: "get", noun, id }]]));
    },
    close: () => {
      closing = true;
      ws.terminate();
    },
  };
}
