/** Long work in steps: each as short as others' work on the same event loop can bear, with a rest after it. */
import { eventLoop } from "../events/timing.ts";
import type { Pace } from "../pace.ts";
import type { StoreTiming } from "../types.ts";

/** Somebody waits for this process while it works: so long it keeps to itself. */
const stepMsDefault = 4;

export class Steps {
  private readonly pace: Pace;
  private readonly signal: AbortSignal | undefined;
  private readonly timing: Pick<StoreTiming, "now" | "immediate">;
  private readonly stepMs: number;
  private began: number;

  constructor(
    pace: Pace,
    signal?: AbortSignal,
    timing: Pick<StoreTiming, "now" | "immediate"> = eventLoop,
    stepMs = stepMsDefault,
  ) {
    this.pace = pace;
    this.signal = signal;
    this.timing = timing;
    this.stepMs = stepMs;
    this.began = timing.now();
  }

  /** Whether {@link rest} is due: asked often, for it costs little. */
  get due(): boolean {
    return this.timing.now() - this.began > this.stepMs;
  }

  /** Lets others go on. Rejects with the signal's reason when it was given up. */
  async rest(): Promise<void> {
    this.signal?.throwIfAborted();
    // a pace that never rests lets nobody in: what was read from disk may have come without a wait
    await new Promise<void>((resolve) => this.timing.immediate(resolve));
    await this.pace.rest();
    this.began = this.timing.now();
  }
}
