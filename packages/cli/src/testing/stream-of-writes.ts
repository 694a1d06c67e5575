/** A client that writes settings one after the other, without a pause, and remembers what it was told. For process tests. */
import { randomUUID } from "node:crypto";
import { connectContext } from "../context/connection.ts";
import { readContexts } from "../context/contexts.ts";
import type { SettingsAnswer, SettingWritten } from "../context/api.ts";
import { Failure } from "../shell/failure.ts";
import { settingPath } from "../settings/setting.ts";

export interface StreamResult {
  /** Key → value of every write that was acknowledged. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** Refusals, each with a reason of the contract, or without one when no member could be asked. */
  readonly refused: readonly Failure[];
  /** Milliseconds of the longest time between two acknowledgements. */
  readonly longestGapMs: number;
}

export interface StreamOfWrites {
  /** Ends it and resolves with what came of it. */
  stop(): Promise<StreamResult>;
}

/** Writes `stream.0`, `stream.1`, … until it is stopped, as the operator of the current context. */
export async function startStream(home: string): Promise<StreamOfWrites> {
  const { contexts, current } = await readContexts(home);
  const context = contexts.find(({ name }) => name === current);
  if (context === undefined) throw new Error("there is no current context");
  const connection = await connectContext(context);
  const acknowledged = new Map<string, number>();
  const refused: Failure[] = [];
  const state = { stopped: false, longestGapMs: 0, last: performance.now() };
  const loop = async (): Promise<void> => {
    for (let at = 0; !state.stopped; at++) {
      const key = `stream.${at}`;
      try {
        const options = { body: { value: at }, idempotencyKey: randomUUID() };
        await connection.api.call<SettingWritten>("PUT", settingPath(key), options);
        acknowledged.set(key, at);
        state.longestGapMs = Math.max(state.longestGapMs, performance.now() - state.last);
        state.last = performance.now();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        refused.push(error);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const running = loop();
  return {
    stop: async () => {
      state.stopped = true;
      await running;
      connection.close();
      return { acknowledged, refused, longestGapMs: state.longestGapMs };
    },
  };
}

/** The acknowledged writes that are not there, or not as they were acknowledged. */
export function lostWrites(result: StreamResult, there: SettingsAnswer): readonly string[] {
  const values = new Map(there.settings.map(({ key, value }) => [key, value]));
  return [...result.acknowledged].filter(([key, value]) => values.get(key) !== value).map(([key]) => key);
}
