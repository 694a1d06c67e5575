/** Whose account. */
import { make as redact, type Redacted } from "effect/Redacted";
import type { Expiring } from "../http/expiring.ts";

export interface AwsCredentials {
  /** Names the key; no secret, but nobody's business either. */
  readonly accessKeyId: string;
  readonly secretAccessKey: Redacted;
  readonly sessionToken: Redacted | null;
}

/** Gives the credentials of now. Those of a role end, and are replaced before. */
export type CredentialSource = Expiring<AwsCredentials>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for what a role gave, AWS_SESSION_TOKEN. Null when they are not there. */
export function credentialsFrom(env: Environment): AwsCredentials | null {
  const { AWS_ACCESS_KEY_ID: id = "", AWS_SECRET_ACCESS_KEY: secret = "", AWS_SESSION_TOKEN: token = "" } = env;
  return keysOf(id, secret, token);
}

/** Null without a key or its secret. */
export function keysOf(accessKeyId = "", secret = "", token = ""): AwsCredentials | null {
  if (accessKeyId === "" || secret === "") return null;
  return { accessKeyId, secretAccessKey: redact(secret), sessionToken: token === "" ? null : redact(token) };
}

/** The same ones, always. */
export const fixedCredentials = (credentials: AwsCredentials): CredentialSource => ({
  get: () => Promise.resolve(credentials),
  recent: () => [credentials],
  drop: () => undefined,
});

/** What of them may stand nowhere. */
export const confidentialOf = ({ secretAccessKey, sessionToken }: AwsCredentials): readonly Redacted[] =>
  sessionToken === null ? [secretAccessKey] : [secretAccessKey, sessionToken];
