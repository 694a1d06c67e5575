import { CloudFailure, type Without } from "../../failure.ts";
import type { ProviderName } from "../../provider.ts";

/** A real provider's name stands in `providerNames` of provider.ts. This one is for tests only. */
export const tiny = "tiny" as ProviderName;

/** A failure of the tiny provider. */
export const fault = (error: Without<"provider">): CloudFailure => new CloudFailure({ provider: tiny, ...error });

/** Did it fail so? */
export const failedAs = (failure: unknown, tag: CloudFailure["error"]["_tag"]): failure is CloudFailure =>
  failure instanceof CloudFailure && failure.error._tag === tag;
