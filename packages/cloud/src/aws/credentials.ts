/** Whose account: where the vendor's own tools look first. */
import { make as redact, type Redacted } from "effect/Redacted";

export interface AwsCredentials {
  /** Names the key; no secret, but nobody's business either. */
  readonly accessKeyId: string;
  readonly secretAccessKey: Redacted;
  readonly sessionToken: Redacted | null;
}

/** AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for what a role gave, AWS_SESSION_TOKEN. Null when they are not there. */
export function credentialsFrom(env: Readonly<Record<string, string | undefined>>): AwsCredentials | null {
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secret = "", AWS_SESSION_TOKEN: token = "" } = env;
  if (accessKeyId === "" || secret === "") return null;
  return { accessKeyId, secretAccessKey: redact(secret), sessionToken: token === "" ? null : redact(token) };
}
