import { CloudFailure, type Without } from "../failure.ts";

/** A failure of the Azure provider. */
export const fault = (error: Without<"provider">): CloudFailure => new CloudFailure({ provider: "azure", ...error });

/** Did it fail so? */
export const failedAs = (failure: unknown, tag: CloudFailure["error"]["_tag"]): failure is CloudFailure =>
  failure instanceof CloudFailure && failure.error._tag === tag;
