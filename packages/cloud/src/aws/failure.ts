import { CloudFailure, type Without } from "../failure.ts";
import type { CloudError } from "../provider.ts";

/** A failure of the AWS provider. */
export const fault = (error: Without<"provider">): CloudFailure => new CloudFailure({ provider: "aws", ...error });

/** Did it fail so? */
export const failedAs = <Tag extends CloudError["_tag"]>(failure: unknown, tag: Tag): failure is CloudFailure & FailedAs<Tag> =>
  failure instanceof CloudFailure && failure.error._tag === tag;

interface FailedAs<Tag extends CloudError["_tag"]> {
  readonly error: Extract<CloudError, { readonly _tag: Tag }>;
}
