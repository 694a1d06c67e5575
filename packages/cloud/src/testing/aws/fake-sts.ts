/** The token service in memory: who one is, and credentials of roles, which end. */
import { leaf, Refused, tag, type Xml } from "./xml-answer.ts";

export interface FakeSession {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly token: string;
  readonly role: string;
  endsAt: number;
}

export interface FakeStsParts {
  readonly now: () => number;
  readonly account: string;
}

export class FakeSts {
  /** Credentials that it gave out, by the name of their key. */
  readonly sessions = new Map<string, FakeSession>();
  /** Roles that may be assumed. */
  readonly roles = new Set<string>(["arn:aws:iam::123456789012:role/aether"]);
  /** The web identity that it believes. */
  webToken = "web-identity-token-eyJhbGciOi";
  externalId: string | null = null;
  sessionMs = 3_600_000;
  readonly #parts: FakeStsParts;

  constructor(parts: FakeStsParts) {
    this.#parts = parts;
  }

  /** The content of an action's result. `accessKeyId` is whose signature it was, null where there was none. */
  answer(action: string, of: ReadonlyMap<string, string>, accessKeyId: string | null): Xml {
    if (action === "GetCallerIdentity") {
      const role = this.sessions.get(accessKeyId ?? "")?.role;
      const arn = role === undefined ? `arn:aws:iam::${this.#parts.account}:user/ops` : `${role}/session`;
      return leaf("Arn", arn) + leaf("UserId", "AIDAFAKE") + leaf("Account", this.#parts.account);
    }
    const role = of.get("RoleArn") ?? "";
    if (!this.roles.has(role)) throw new Refused(403, "AccessDenied", `not authorized to assume ${role}`);
    if (action === "AssumeRoleWithWebIdentity" && of.get("WebIdentityToken") !== this.webToken) {
      throw new Refused(400, "InvalidIdentityToken", `no OpenIDConnect provider found for ${of.get("WebIdentityToken") ?? ""}`);
    }
    if (action === "AssumeRole" && (of.get("ExternalId") ?? null) !== this.externalId) {
      throw new Refused(403, "AccessDenied", "the external id does not fit");
    }
    const { accessKeyId: id, secretAccessKey, token, endsAt } = this.issue(role);
    return tag(
      "Credentials",
      leaf("AccessKeyId", id) +
        leaf("SecretAccessKey", secretAccessKey) +
        leaf("SessionToken", token) +
        leaf("Expiration", new Date(endsAt).toISOString()),
    );
  }

  issue(role: string): FakeSession {
    const at = this.sessions.size + 1;
    const session: FakeSession = {
      accessKeyId: `ASIAFAKESESSION${String(at).padStart(5, "0")}`,
      secretAccessKey: `session-secret-${at}-0123456789abcdefgh`,
      token: `session-token-${at}-IQoJb3JpZ2luX2VjEJr`,
      role,
      endsAt: this.#parts.now() + this.sessionMs,
    };
    this.sessions.set(session.accessKeyId, session);
    return session;
  }
}
