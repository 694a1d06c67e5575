/**
 * Credentials from where AWS's users keep them, in the order of AWS's own tools: the environment, a profile, a web identity (EKS), a
 * container's role (ECS, EKS), the instance's role. The first place that has something is the one; a fault in it is not passed over.
 */
import { make as redact } from "effect/Redacted";
import { CloudFailure } from "../failure.ts";
import { makeExpiring, type Fetched } from "../http/expiring.ts";
import { credentialsFrom, fixedCredentials, type AwsCredentials, type CredentialSource } from "./credentials.ts";
import { failedAs, fault } from "./failure.ts";
import { containerCredentials, instanceCredentials, isContainer, tokenIn, type MetadataParts } from "./instance-credentials.ts";
import { loadProfiles, planOf, type Plan } from "./profiles.ts";
import type { Sts } from "./sts.ts";

export interface ChainParts {
  readonly metadata: MetadataParts;
  /** The token service, signed with these; with null the calls that need no signature. */
  readonly stsWith: (credentials: CredentialSource | null) => Sts;
}

const op = "find credentials";

/** Nothing is read or asked before the first use. What does not end is read once. */
export function credentialChain(parts: ChainParts): CredentialSource {
  const { env, clock } = parts.metadata;
  const fixed = credentialsFrom(env);
  if (fixed !== null) return fixedCredentials(fixed);
  let hasWorked = false;
  return makeExpiring({
    clock,
    fetch: async (signal) => {
      try {
        const found = await find(parts, signal);
        hasWorked = true;
        return found;
      } catch (failure) {
        // Where there never was an answer there is no such service; where there was one, it will come back.
        if (hasWorked || !failedAs(failure, "Transient")) throw failure;
        throw new CloudFailure({
          ...failure.error,
          _tag: "Auth",
          kind: "unauthenticated",
          message: nothingFound(failure.error.message),
        });
      }
    },
  });
}

const nothingFound = (last: string): string =>
  `no AWS credentials: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor a profile, nor a role of this machine (${last})`;

async function find(parts: ChainParts, signal: AbortSignal): Promise<Fetched<AwsCredentials>> {
  const { env } = parts.metadata;
  const plan = planOf(await loadProfiles(env), env);
  if (plan !== null) return follow(parts, plan, signal);
  const { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role, AWS_ROLE_SESSION_NAME: session = "aether" } = env;
  if (tokenFile) {
    if (!role)
      throw fault({ _tag: "Auth", kind: "unauthenticated", op, message: "AWS_WEB_IDENTITY_TOKEN_FILE without AWS_ROLE_ARN" });
    return follow(parts, { kind: "web", wish: { role, session, externalId: null, seconds: null }, tokenFile }, signal);
  }
  return follow(parts, { kind: isContainer(env) ? "container" : "instance" }, signal);
}

async function follow(parts: ChainParts, plan: Plan, signal: AbortSignal): Promise<Fetched<AwsCredentials>> {
  const { env } = parts.metadata;
  switch (plan.kind) {
    case "keys":
      return { value: plan.credentials, expiresAt: Number.POSITIVE_INFINITY };
    case "role": {
      const { value } = await follow(parts, plan.source, signal);
      return parts.stsWith(fixedCredentials(value)).assumeRole(plan.wish, signal);
    }
    case "web":
      return parts.stsWith(null).assumeRoleWithToken(plan.wish, redact(await tokenIn(plan.tokenFile)), signal);
    case "container":
      return containerCredentials(parts.metadata, signal);
    case "instance":
      if (env["AWS_EC2_METADATA_DISABLED"]?.toLowerCase() === "true") {
        const message = nothingFound("AWS_EC2_METADATA_DISABLED is true");
        throw fault({ _tag: "Auth", kind: "unauthenticated", op, message });
      }
      return instanceCredentials(parts.metadata, signal).catch((failure: unknown) => {
        if (!failedAs(failure, "NotFound")) throw failure;
        const message = nothingFound("this instance has no instance profile");
        throw fault({ _tag: "Auth", kind: "unauthenticated", op, message });
      });
  }
}
