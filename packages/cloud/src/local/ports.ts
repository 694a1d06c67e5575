/** Loopback ports for local daemons. */
import { createServer } from "node:net";

/** Below the range that Linux hands out for outgoing connections, so that a port stays ours while its daemon is down. */
const range = { first: 20_000, count: 10_000 };

/** Can a daemon listen there right now? */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ host: "127.0.0.1", port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

export interface PortRequest {
  readonly count: number;
  /** First port, when the operator chose it; then the ports are consecutive. */
  readonly base: number | null;
  /** Ports that stopped instances will want back. */
  readonly taken: ReadonlySet<number>;
  /** Where in the range to begin looking: equal seeds begin at the same place. */
  readonly seed: string;
}

/** As many ports as asked for, ascending, or the reason why not. */
export async function choosePorts(request: PortRequest): Promise<readonly number[] | { readonly fault: string }> {
  const free: number[] = [];
  const from = request.base ?? range.first + (hash(request.seed) % range.count);
  const tries = request.base === null ? range.count : request.count;
  for (let step = 0; step < tries && free.length < request.count; step++) {
    const port = request.base === null ? range.first + ((from - range.first + step) % range.count) : from + step;
    if (!request.taken.has(port) && (await isPortFree(port))) free.push(port);
    else if (request.base !== null) return { fault: `port ${port} on 127.0.0.1 is in use` };
  }
  if (free.length === request.count) return free.toSorted((a, b) => a - b);
  return { fault: `no ${request.count} free ports from ${range.first} to ${range.first + range.count - 1} on 127.0.0.1` };
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (const byte of Buffer.from(text)) sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
  return sum;
}
