/** Certificate Manager in memory: a token is replayed for an hour, challenges come seconds later, importing twice makes two. */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { Refused } from "./xml-answer.ts";

export interface FakeAcmCertificate {
  readonly arn: string;
  readonly domains: readonly string[];
  readonly kind: "AMAZON_ISSUED" | "IMPORTED";
  readonly keyType: string;
  readonly createdAt: number;
  readonly notAfter: number;
  readonly tags: readonly { readonly Key: string; readonly Value?: string }[];
  status: string;
  usedBy: readonly string[];
}

export interface FakeAcmParts {
  readonly now: () => number;
  readonly arn: (service: string, resource: string) => string;
  readonly pageMax: number;
}

type Body = Readonly<Record<string, unknown>>;

const challengeMs = 3_000;
const tokenMs = 3_600_000;

export class FakeAcm {
  readonly certificates = new Map<string, FakeAcmCertificate>();
  readonly #tokens = new Map<string, { readonly arn: string; readonly at: number; readonly wish: string }>();
  readonly #parts: FakeAcmParts;
  #made = 0;

  constructor(parts: FakeAcmParts) {
    this.#parts = parts;
  }

  /** The vendor has found the records in the DNS. */
  validate(arn: string): void {
    this.#certificate(arn).status = "ISSUED";
  }

  answer(action: string, body: Body): unknown {
    const arn = String(body["CertificateArn"]);
    switch (action) {
      case "RequestCertificate":
        return { CertificateArn: this.#request(body) };
      case "ImportCertificate":
        return { CertificateArn: this.#import(body) };
      case "DescribeCertificate":
        return { Certificate: this.#detail(this.#certificate(arn)) };
      case "ListTagsForCertificate":
        return { Tags: this.#certificate(arn).tags };
      case "ListCertificates":
        return this.#list(body);
      case "DeleteCertificate":
        if (this.#certificate(arn).usedBy.length > 0) throw new Refused(400, "ResourceInUseException", `${arn} is in use`);
        this.certificates.delete(arn);
        return {};
      default:
        throw new Refused(400, "UnknownOperationException", "");
    }
  }

  #certificate(arn: string): FakeAcmCertificate {
    const found = this.certificates.get(arn);
    if (found === undefined) throw new Refused(400, "ResourceNotFoundException", `Could not find certificate ${arn}.`);
    return found;
  }

  #add(fields: Pick<FakeAcmCertificate, "domains" | "kind" | "keyType" | "notAfter" | "status">, body: Body): string {
    this.#made += 1;
    const id = createHash("sha256").update(String(this.#made)).digest("hex");
    const arn = this.#parts.arn("acm", `certificate/${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}`);
    const tags = (body["Tags"] ?? []) as FakeAcmCertificate["tags"];
    this.certificates.set(arn, { ...fields, arn, tags, createdAt: this.#parts.now(), usedBy: [] });
    return arn;
  }

  #request(body: Body): string {
    const { IdempotencyToken: token, ...rest } = body;
    const wish = JSON.stringify(rest);
    const earlier = this.#tokens.get(String(token));
    if (earlier !== undefined && earlier.wish === wish && this.#parts.now() - earlier.at < tokenMs) return earlier.arn;
    if (!/^\w{1,32}$/.test(String(token))) throw new Refused(400, "ValidationException", "the token does not fit \\w{1,32}");
    const others = (body["SubjectAlternativeNames"] ?? []) as readonly string[];
    const domains = [...new Set([String(body["DomainName"]), ...others])];
    const notAfter = this.#parts.now() + 395 * 86_400_000;
    const arn = this.#add({ domains, kind: "AMAZON_ISSUED", keyType: "RSA_2048", notAfter, status: "PENDING_VALIDATION" }, body);
    this.#tokens.set(String(token), { arn, at: this.#parts.now(), wish });
    return arn;
  }

  #import(body: Body): string {
    const textOf = (name: string): string => Buffer.from(String(body[name]), "base64").toString();
    const certificate = parsed(textOf("Certificate"));
    const key = textOf("PrivateKey");
    if (!fits(certificate, key)) throw new Refused(400, "ValidationException", `The private key is not supported: ${key}`);
    const domains = certificate.subjectAltName?.split(", ").map((name) => name.replace("DNS:", "")) ?? [];
    const notAfter = Date.parse(certificate.validTo);
    return this.#add({ domains, kind: "IMPORTED", keyType: "EC_prime256v1", notAfter, status: "ISSUED" }, body);
  }

  #detail(certificate: FakeAcmCertificate): unknown {
    const { arn, domains, kind, status, createdAt, notAfter } = certificate;
    const isKnown = this.#parts.now() - createdAt >= challengeMs;
    return {
      CertificateArn: arn,
      DomainName: domains[0],
      SubjectAlternativeNames: domains,
      Status: status,
      Type: kind,
      CreatedAt: createdAt / 1000,
      InUseBy: certificate.usedBy,
      ...(status === "ISSUED" ? { NotAfter: notAfter / 1000 } : {}),
      ...(kind === "IMPORTED"
        ? {}
        : {
            DomainValidationOptions: domains.map((name) => ({
              DomainName: name,
              ValidationMethod: "DNS",
              ...(isKnown ? { ResourceRecord: recordOf(name) } : {}),
            })),
          }),
    };
  }

  #list(body: Body): unknown {
    const { keyTypes = ["RSA_1024", "RSA_2048"] } = (body["Includes"] ?? {}) as { readonly keyTypes?: readonly string[] };
    const all = [...this.certificates.values()].filter(({ keyType }) => keyTypes.includes(keyType));
    const from = Number(body["NextToken"] ?? 0);
    const next = from + Math.min(Number(body["MaxItems"] ?? 1000), this.#parts.pageMax);
    return {
      CertificateSummaryList: all
        .slice(from, next)
        .map(({ arn, domains, status }) => ({ CertificateArn: arn, DomainName: domains[0], Status: status })),
      ...(next < all.length ? { NextToken: String(next) } : {}),
    };
  }
}

const recordOf = (domain: string) => {
  const hash = createHash("sha256").update(domain.replace("*.", "")).digest("hex").slice(0, 32);
  return { Name: `_${hash}.${domain.replace("*.", "")}.`, Type: "CNAME", Value: `_${hash}.acm-validations.aws.` };
};

function parsed(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new Refused(400, "ValidationException", "Could not parse certificate");
  }
}

function fits(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}
