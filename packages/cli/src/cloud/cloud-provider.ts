/** A cluster's provider where that is a cloud: with the credentials of whoever runs the command. */
import { CloudFailure } from "@aether/cloud/failure";
import type { CloudProvider } from "@aether/cloud/provider";
import { processSeams, providerOf, type CloudSeams } from "@aether/cloud/provider-of";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { failureOf } from "../cluster/provider-call.ts";
import { usage } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";

let seams: CloudSeams | null = null;

/** One for this process, so that all its calls share the limits of their accounts. */
export const cloudSeams = (shell: Pick<Shell, "env">): CloudSeams => (seams ??= processSeams(shell.env));

/** Throws a Failure when there are no credentials, or an endpoint cannot be used. */
export function cloudProvider(name: string, settings: CloudSettings, shell: Pick<Shell, "env">): CloudProvider {
  const { profile } = settings.aws;
  const env = settings.provider === "aws" && profile !== undefined ? { ...shell.env, AWS_PROFILE: profile } : shell.env;
  try {
    return providerOf({ settings, cluster: name, env, seams: cloudSeams(shell) });
  } catch (error) {
    if (error instanceof RangeError) throw usage(error.message, "it is for a vendor's fake; unset it");
    throw error instanceof CloudFailure ? failureOf(error.error) : error;
  }
}

/** How long a vendor's list may lag behind what was made or deleted. */
export const consistencyMs = 10_000;
