import { CloudFailure, type Without } from "../failure.ts";
import type { CloudError } from "../provider.ts";

/** A failure of the Azure provider. */
export const fault = (error: Without<"provider">): CloudFailure => new CloudFailure({ provider: "azure", ...error });

type FailedAs<Tag extends CloudError["_tag"]> = CloudFailure & { readonly error: Extract<CloudError, { readonly _tag: Tag }> };

/** Did it fail so? */
export const failedAs = <Tag extends CloudError["_tag"]>(failure: unknown, tag: Tag): failure is FailedAs<Tag> =>
  failure instanceof CloudFailure && failure.error._tag === tag;
