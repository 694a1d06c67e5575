import { CloudFailure, type Without } from "../failure.ts";

/** A failure of the GCP provider. */
export const fault = (error: Without<"provider">): CloudFailure => new CloudFailure({ provider: "gcp", ...error });

/** Did it fail so? */
export const failedAs = (failure: unknown, tag: CloudFailure["error"]["_tag"]): failure is CloudFailure =>
  failure instanceof CloudFailure && failure.error._tag === tag;

/** NotFound as null; every other failure goes on. */
export const absentAsNull = (failure: unknown): null => {
  if (failedAs(failure, "NotFound")) return null;
  throw failure;
};
