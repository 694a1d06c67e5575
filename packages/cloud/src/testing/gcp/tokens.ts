/**
 * Google's token endpoint, token exchange, impersonation and metadata service, as a fake has them. Assertions are verified with the
 * public half of the key, by another library than the one that signs them.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { Refused, type Call, type Reply } from "./refused.ts";

/** Example A.2 of RFC 7515: a key that everybody knows, for tests only. */
export const rfc7515Key = {
  kty: "RSA",
  n:
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_" +
    "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZl" +
    "xvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
  e: "AQAB",
  d:
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGo" +
    "VEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUS" +
    "hb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
  p:
    "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KK" +
    "DcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
  q:
    "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_Hl" +
    "B-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
  dp:
    "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAk" +
    "tV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
  dq:
    "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz" +
    "3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
  qi:
    "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJt" +
    "oOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U",
};

export const rfc7515Pem = (): string =>
  String(createPrivateKey({ key: rfc7515Key, format: "jwk" }).export({ type: "pkcs8", format: "pem" }));

export const account = "aether@fleet-production.iam.gserviceaccount.com";
export const project = "fleet-production";

/** Files of credentials as people have them, by their type. */
export const credentialFiles = {
  service_account: () =>
    JSON.stringify({
      type: "service_account",
      project_id: project,
      private_key_id: "key-1",
      private_key: rfc7515Pem(),
      client_email: account,
      token_uri: "https://oauth2.googleapis.com/token",
    }),
  authorized_user: () =>
    JSON.stringify({
      type: "authorized_user",
      client_id: "client-1",
      client_secret: "client-secret-0123456789",
      refresh_token: "refresh-token-0123456789",
      quota_project_id: project,
    }),
} as const;

export interface TokenOptions {
  /** The vendor's clock. */
  readonly now: () => number;
  readonly lifeSeconds: number;
}

const pool = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q";

/** What a workload's configuration names, and its issuer's word. */
export const workload = { audience: pool, subject: "the-issuers-word-0123456789" };

export class FakeTokens {
  /** Tokens that are good, and until when (Unix milliseconds). */
  readonly #good = new Map<string, number>();
  readonly #options: TokenOptions;
  /** How each token was had, in the order they were given. */
  readonly given: string[] = [];
  #count = 0;

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  isGood(header: string | undefined): boolean {
    const until = this.#good.get(header?.replace(/^Bearer /, "") ?? "");
    return header?.startsWith("Bearer ") === true && until !== undefined && this.#options.now() < until;
  }

  /** All that were given so far are refused from now on. */
  revoke(): void {
    this.#good.clear();
  }

  /** Null for what is none of these services'. */
  reply(call: Call, headers: Readonly<Record<string, string>>): Reply | null {
    const { method, path } = call;
    if (path.startsWith("/computeMetadata/v1/")) return this.#metadata(path, headers);
    if (method !== "POST") return null;
    if (path === "/token") return this.#oauth(call.body as Record<string, string>);
    if (path === "/v1/token") return this.#exchange(call.body as Record<string, string>);
    if (!path.endsWith(":generateAccessToken")) return null;
    if (!this.isGood(headers["authorization"])) throw new Refused(401, "UNAUTHENTICATED", "who are you?");
    const { access_token: accessToken, expires_in: seconds } = this.#give("impersonated");
    return [200, { accessToken, expireTime: new Date(this.#options.now() + seconds * 1000).toISOString() }];
  }

  #give(how: string) {
    const { now, lifeSeconds } = this.#options;
    this.#count += 1;
    const token = `ya29.token-${this.#count}-0123456789abcdef`;
    this.#good.set(token, now() + lifeSeconds * 1000);
    this.given.push(how);
    return { access_token: token, expires_in: lifeSeconds, token_type: "Bearer" };
  }

  #oauth(form: Readonly<Record<string, string>>): Reply {
    if (form["grant_type"] === "refresh_token") {
      const isRight =
        form["refresh_token"] === "refresh-token-0123456789" && form["client_secret"] === "client-secret-0123456789";
      return isRight ? [200, this.#give("refresh")] : invalidGrant("Token has been expired or revoked.");
    }
    const fault = assertionFault(form, this.#options.now() / 1000);
    return fault === null ? [200, this.#give("assertion")] : invalidGrant(fault);
  }

  #exchange(form: Readonly<Record<string, string>>): Reply {
    const isRight =
      form["grant_type"] === "urn:ietf:params:oauth:grant-type:token-exchange" &&
      form["audience"] === workload.audience &&
      form["requested_token_type"] === "urn:ietf:params:oauth:token-type:access_token" &&
      form["subject_token_type"] === "urn:ietf:params:oauth:token-type:jwt" &&
      form["subject_token"] === workload.subject;
    return isRight ? [200, this.#give("exchange")] : invalidGrant("the subject token is not from this provider");
  }

  #metadata(path: string, headers: Readonly<Record<string, string>>): Reply {
    if (headers["metadata-flavor"] !== "Google") throw new Refused(403, "forbidden", "no Metadata-Flavor header");
    switch (path.slice("/computeMetadata/v1/".length)) {
      case "instance/service-accounts/default/token":
        return [200, this.#give("metadata")];
      case "instance/service-accounts/default/email":
        return [200, account];
      case "project/project-id":
        return [200, project];
      default:
        throw new Refused(404, "notFound", path);
    }
  }
}

const invalidGrant = (description: string): Reply => [400, { error: "invalid_grant", error_description: description }];

/** What the vendor would say against an assertion at `now` (Unix seconds), or null. */
function assertionFault(form: Readonly<Record<string, string>>, now: number): string | null {
  if (form["grant_type"] !== "urn:ietf:params:oauth:grant-type:jwt-bearer") return "Invalid grant_type";
  const [head = "", payload = "", signature = ""] = (form["assertion"] ?? "").split(".");
  const key = createPublicKey({ key: { kty: "RSA", n: rfc7515Key.n, e: rfc7515Key.e }, format: "jwk" });
  const isSigned = verify("RSA-SHA256", Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, "base64url"));
  if (!isSigned) return "Invalid JWT Signature.";
  const read = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
  const [header, claims] = [read(head), read(payload)];
  if (header["alg"] !== "RS256" || header["kid"] !== "key-1") return "Invalid JWT Header.";
  if (claims["iss"] !== account) return "Invalid issuer.";
  if (claims["aud"] !== "https://oauth2.googleapis.com/token") return "Invalid audience.";
  if (claims["scope"] !== "https://www.googleapis.com/auth/cloud-platform") return "Invalid scope.";
  const [iat, exp] = [Number(claims["iat"]), Number(claims["exp"])];
  if (exp - iat > 3600 || iat > now + 300 || exp < now) return "Invalid JWT: check your iat and exp values.";
  return null;
}

/** Another key, for what must be refused. */
export const strangePem = (): string =>
  String(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }));
