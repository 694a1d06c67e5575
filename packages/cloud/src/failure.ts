import { tryPromise, type Effect } from "effect/Effect";
import type { CloudError, CloudErrorContext } from "./provider.ts";

/** Carries a CloudError through plain async code; the provider's edge turns it into the effect's typed failure. */
export class CloudFailure extends Error {
  override readonly name = "CloudFailure";
  readonly error: CloudError;
  constructor(error: CloudError) {
    super(error.message);
    this.error = error;
  }
}

/** A CloudError without what the place that raises it knows anyway. */
export type Without<Keys extends keyof CloudErrorContext> = CloudError extends infer E
  ? E extends CloudErrorContext
    ? Omit<E, Keys>
    : never
  : never;

/**
 * The edge between plain async code and effects: a {@link CloudFailure} becomes the typed failure, anything else is a
 * defect. Interrupting the effect aborts the signal.
 */
export const asEffect = <A>(run: (signal: AbortSignal) => Promise<A>): Effect<A, CloudError> =>
  tryPromise({
    try: run,
    catch: (error) => {
      if (error instanceof CloudFailure) return error.error;
      throw error;
    },
  });
