/**
 * Looks into a running daemon over V8's inspector: how often functions were called, and how large the heap is after a
 * collection. For guards only: counting calls slows a process down.
 */
import { WebSocket } from "ws";

export interface Inspector {
  /** Counts from now on, or from the last call of calls(). */
  countCalls(): Promise<void>;
  /** Calls since then of the daemon's functions with these names. Throws when it has no function of a name. */
  calls<N extends string>(names: readonly N[]): Promise<Record<N, number>>;
  stopCounting(): Promise<void>;
  /** Bytes in use after a full collection. */
  heapBytes(): Promise<number>;
  close(): void;
}

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly functionName: string; readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

const answerMaxMs = 60_000;

/** `port`: of a process started with --inspect=127.0.0.1:port. `program`: the end of its script's address. */
export async function inspect(port: number, program: string): Promise<Inspector> {
  const listed = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as readonly {
    webSocketDebuggerUrl: string;
  }[];
  const ws = new WebSocket(listed[0]?.webSocketDebuggerUrl ?? "", { perMessageDeflate: false, maxPayload: 256 * 1024 * 1024 });
  await new Promise<void>((resolve, reject) => {
    ws.once("open", () => resolve());
    ws.once("error", reject);
  });
  const waiting = new Map<number, (result: unknown) => void>();
  ws.on("message", (data) => {
    const { id, result } = JSON.parse((data as Buffer).toString("utf8")) as { id?: number; result?: unknown };
    if (id === undefined) return;
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  let last = 0;
  const ask = (method: string, params: object = {}): Promise<unknown> => {
    last += 1;
    const id = last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the inspector did not answer ${method}`)), answerMaxMs);
      waiting.set(id, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
      ws.send(JSON.stringify({ id, method, params }));
    });
  };
  return {
    countCalls: async () => {
      await ask("Profiler.enable");
      await ask("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
      await ask("Profiler.takePreciseCoverage");
    },
    calls: async (names) => countsOf((await ask("Profiler.takePreciseCoverage")) as Coverage, program, names),
    stopCounting: async () => {
      await ask("Profiler.stopPreciseCoverage");
      await ask("Profiler.disable");
    },
    heapBytes: async () => {
      await ask("HeapProfiler.collectGarbage");
      return ((await ask("Runtime.getHeapUsage")) as { usedSize: number }).usedSize;
    },
    close: () => ws.terminate(),
  };
}

/** A name that was not called since the last look is missing from what V8 says; zero calls under load are as good as no function. */
export function countsOf<N extends string>(coverage: Coverage, program: string, names: readonly N[]): Record<N, number> {
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<N, number>;
  for (const { url, functions } of coverage.result) {
    if (!url.endsWith(program)) continue;
    for (const { functionName, ranges } of functions) {
      if (functionName in counts) counts[functionName as N] += ranges[0]?.count ?? 0;
    }
  }
  return counts;
}
