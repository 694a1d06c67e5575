/** Who calls, and for a while somebody else: AWS's Security Token Service (Query dialect, version 2011-06-15). */
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import type { ApiClient } from "../http/api-client.ts";
import type { Fetched } from "../http/expiring.ts";
import type { HttpResponse } from "../http/transport.ts";
import type { AwsCredentials } from "./credentials.ts";
import { formCaller, protocol, type Params } from "./wire.ts";
import type { XmlNode } from "./xml.ts";

export interface Caller {
  /** Twelve digits. */
  readonly account: string;
  readonly arn: string;
  /** The vendor's clock in Unix milliseconds, in whole seconds; null when it did not say. */
  readonly theirTime: number | null;
}

export interface RoleWish {
  readonly role: string;
  /** How the session is called in the vendor's own log. */
  readonly session: string;
  readonly externalId: string | null;
  readonly seconds: number | null;
}

export interface Sts {
  readonly caller: (signal: AbortSignal) => Promise<Caller>;
  readonly assumeRole: (wish: RoleWish, signal: AbortSignal) => Promise<Fetched<AwsCredentials>>;
  /** Needs no signature: the token says who asks. */
  readonly assumeRoleWithToken: (wish: RoleWish, token: Redacted, signal: AbortSignal) => Promise<Fetched<AwsCredentials>>;
}

export function makeSts(client: ApiClient): Sts {
  const call = formCaller(client, "query", "2011-06-15");
  return {
    caller: async (signal) => {
      let theirTime: number | null = null;
      const observe = ({ headers }: HttpResponse): void => {
        const at = Date.parse(headers["date"] ?? "");
        theirTime = Number.isNaN(at) ? null : at;
      };
      const answer = await call("GetCallerIdentity", "", [], signal, { observe });
      const [account, arn] = [answer.textOf("Account"), answer.textOf("Arn")];
      if (account === "" || arn === "") throw protocol("GetCallerIdentity", "the answer says neither account nor name");
      return { account, arn, theirTime };
    },
    assumeRole: async (wish, signal) => {
      const external: Params = wish.externalId === null ? [] : [["ExternalId", wish.externalId]];
      return sessionOf("AssumeRole", await call("AssumeRole", wish.role, [...roleParams(wish), ...external], signal));
    },
    assumeRoleWithToken: async (wish, token, signal) => {
      const params: Params = [...roleParams(wish), ["WebIdentityToken", reveal(token)]];
      const answer = await call("AssumeRoleWithWebIdentity", wish.role, params, signal, { confidential: [token] });
      return sessionOf("AssumeRoleWithWebIdentity", answer);
    },
  };
}

const roleParams = ({ role, session, seconds }: RoleWish): Params => [
  ["RoleArn", role],
  ["RoleSessionName", session],
  ...(seconds === null ? [] : [["DurationSeconds", String(seconds)] as const]),
];

function sessionOf(op: string, answer: XmlNode): Fetched<AwsCredentials> {
  const given = answer.child("Credentials");
  const [id, secret, token] = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map((name) => given?.textOf(name) ?? "");
  const expiresAt = Date.parse(given?.textOf("Expiration") ?? "");
  if (!id || !secret || !token || Number.isNaN(expiresAt)) throw protocol(op, "the answer holds no credentials");
  return { value: { accessKeyId: id, secretAccessKey: redact(secret), sessionToken: redact(token) }, expiresAt };
}
