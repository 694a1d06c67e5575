/** The directory and the metadata service of a machine: who gets a token, for whom, and for how long. */
import { constants, createPublicKey, verify, X509Certificate, createHash } from "node:crypto";
import type { HttpRequest } from "../../http/transport.ts";
import { Refused, type Reply } from "./answers.ts";

/** One that may ask: what it proves itself with, and what it may do. */
export interface FakePrincipal {
  readonly client: string;
  readonly secret?: string;
  readonly certificate?: string;
  readonly federated?: string;
  readonly isReader?: boolean;
}

export interface DirectoryOptions {
  readonly now: () => number;
  readonly tenant: string;
  readonly tokenMs: number;
  readonly principals: readonly FakePrincipal[];
  /** The identity of the machine that asks the metadata service; none where there is no such service. */
  readonly machineClient: string | null;
}

interface Issued {
  readonly audience: string;
  readonly principal: FakePrincipal;
  readonly expiresAt: number;
}

/** In the answers of the directory: an error word, its number, and an HTTP status. */
class Denied extends Error {
  readonly word: string;
  readonly number: number;
  readonly status: number;
  constructor(word: string, number: number, message: string, status = 401) {
    super(message);
    [this.word, this.number, this.status] = [word, number, status];
  }
}

export class FakeDirectory {
  readonly #options: DirectoryOptions;
  readonly #issued = new Map<string, Issued>();
  /** Tokens given out so far. */
  given = 0;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** POST /{tenant}/oauth2/v2.0/token. */
  token(path: string, form: URLSearchParams): Reply {
    try {
      const [, tenant] = path.split("/");
      if (tenant !== this.#options.tenant)
        throw new Denied("invalid_request", 90_002, `Tenant '${tenant ?? ""}' not found.`, 400);
      if (form.get("grant_type") !== "client_credentials") throw new Denied("unsupported_grant_type", 70_003, "wrong grant", 400);
      const principal = this.#options.principals.find(({ client }) => client === form.get("client_id"));
      if (principal === undefined)
        throw new Denied("unauthorized_client", 700_016, "Application not found in the directory.", 400);
      this.#prove(principal, form, path);
      const scope = form.get("scope") ?? "";
      if (!/^https:\/\/(management|vault)\.azure\.net\/\.default$|^https:\/\/management\.azure\.com\/\.default$/.test(scope)) {
        throw new Denied("invalid_scope", 70_011, `The provided value for scope ${scope} is not valid.`, 400);
      }
      const token = this.#issue(principal, scope.replace("/.default", ""));
      const body = { token_type: "Bearer", expires_in: this.#options.tokenMs / 1000, access_token: token };
      return { status: 200, body };
    } catch (error) {
      if (!(error instanceof Denied)) throw error;
      const body = {
        error: error.word,
        error_description: `AADSTS${error.number}: ${error.message}`,
        error_codes: [error.number],
        trace_id: "t-1",
      };
      return { status: error.status, body };
    }
  }

  /** GET /metadata/identity/oauth2/token. */
  machineToken(request: HttpRequest): Reply {
    const { machineClient, tokenMs } = this.#options;
    const query = request.url.searchParams;
    if (request.headers["metadata"] !== "true" || query.get("api-version") !== "2018-02-01") {
      return { status: 400, body: { error: "invalid_request", error_description: "Required metadata header not specified" } };
    }
    const wanted = query.get("client_id") ?? machineClient;
    const principal = this.#options.principals.find(({ client }) => client === wanted);
    if (machineClient === null || principal === undefined || wanted !== machineClient) {
      return { status: 400, body: { error: "invalid_request", error_description: "Identity not found" } };
    }
    const token = this.#issue(principal, query.get("resource") ?? "");
    return { status: 200, body: { access_token: token, expires_in: String(tokenMs / 1000), token_type: "Bearer" } };
  }

  /** Whoever carries this token, if it is for `audience`. */
  authorise(authorization: string | undefined, audience: string): FakePrincipal {
    const issued = this.#issued.get((authorization ?? "").replace(/^Bearer /, ""));
    if (issued === undefined)
      throw new Refused(401, "InvalidAuthenticationToken", `The access token is invalid: ${authorization ?? "none"}`);
    if (issued.expiresAt <= this.#options.now())
      throw new Refused(401, "ExpiredAuthenticationToken", "The access token expired.");
    if (issued.audience !== audience)
      throw new Refused(401, "InvalidAuthenticationTokenAudience", `The token is for ${issued.audience}.`);
    return issued.principal;
  }

  /** Takes back all that were given: a changed password, a revoked session. */
  revokeAll(): void {
    this.#issued.clear();
  }

  #issue(principal: FakePrincipal, audience: string): string {
    this.given += 1;
    const { now, tenant, tokenMs } = this.#options;
    const claims = { aud: audience, appid: principal.client, tid: tenant, uti: `token-number-${this.given}` };
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const token = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}.${createHash("sha256").update(`${this.given}`).digest("base64url")}`;
    this.#issued.set(token, { audience, principal, expiresAt: now() + tokenMs });
    return token;
  }

  #prove(principal: FakePrincipal, form: URLSearchParams, path: string): void {
    const secret = form.get("client_secret");
    if (secret !== null) {
      if (secret === principal.secret) return;
      throw new Denied("invalid_client", 7_000_215, `Invalid client secret provided: '${secret}'.`);
    }
    const assertion = form.get("client_assertion") ?? "";
    if (form.get("client_assertion_type") !== "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
      throw new Denied("invalid_client", 7_000_216, "client_assertion, client_secret is required.");
    }
    if (principal.federated !== undefined && assertion === principal.federated) return;
    if (principal.certificate === undefined)
      throw new Denied("invalid_client", 700_027, "The assertion is not of a known issuer.");
    this.#verify(assertion, principal.certificate, principal.client, path);
  }

  /** Not by the library that signed it. */
  #verify(assertion: string, certificate: string, client: string, path: string): void {
    const [head = "", body = "", signature = ""] = assertion.split(".");
    const parse = (text: string): Record<string, unknown> =>
      JSON.parse(Buffer.from(text, "base64url").toString()) as Record<string, unknown>;
    const [header, claims] = [parse(head), parse(body)];
    const { raw } = new X509Certificate(certificate);
    const key = { key: createPublicKey(certificate), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    const isSigned = verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"));
    const thumbprint = createHash("sha256").update(raw).digest("base64url");
    if (!isSigned || header["alg"] !== "PS256" || header["x5t#S256"] !== thumbprint) {
      throw new Denied(
        "invalid_client",
        700_027,
        "The certificate with identifier used to sign the client assertion is not registered.",
      );
    }
    if (claims["iss"] !== client || claims["sub"] !== client || typeof claims["jti"] !== "string") {
      throw new Denied("invalid_client", 700_021, "Issuer and subject of the assertion must be the application.");
    }
    if (claims["aud"] !== `https://login.microsoftonline.com${path}`)
      throw new Denied("invalid_client", 700_023, "wrong audience");
    const seconds = this.#options.now() / 1000;
    const [from, until] = [Number(claims["nbf"]), Number(claims["exp"])];
    if (!(from - 300 <= seconds && seconds <= until + 300 && until - from <= 3600)) {
      throw new Denied("invalid_client", 700_024, "Client assertion is not within its valid time range.");
    }
  }
}
