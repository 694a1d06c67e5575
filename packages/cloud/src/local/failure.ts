import { CloudFailure, type Without } from "../failure.ts";

/** A failure of the local provider. */
export const fault = (error: Without<"provider">): CloudFailure => new CloudFailure({ provider: "local", ...error });
