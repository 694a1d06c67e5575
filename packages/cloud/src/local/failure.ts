import type { CloudError, CloudErrorContext } from "../provider.ts";

/** Carries a CloudError through plain async code; the provider's edge turns it into the effect's typed failure. */
export class CloudFailure extends Error {
  override readonly name = "CloudFailure";
  readonly error: CloudError;
  constructor(error: CloudError) {
    super(error.message);
    this.error = error;
  }
}

type Distributed<T> = T extends CloudErrorContext ? Omit<T, "provider"> : never;

/** A failure of the local provider. */
export const fault = (error: Distributed<CloudError>): CloudFailure => new CloudFailure({ provider: "local", ...error });
