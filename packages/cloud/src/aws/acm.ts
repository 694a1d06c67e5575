/** AWS Certificate Manager (JSON 1.1): what stands on load balancers. */
import { value as reveal, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import type { ApiClient } from "../http/api-client.ts";
import { ignoreBody, jsonReader } from "../http/json.ts";
import type { Labels } from "../provider.ts";
import { jsonCaller, protocol } from "./wire.ts";

const Record_ = Schema.Struct({ Name: Schema.String, Type: Schema.String, Value: Schema.String });
const Detail = Schema.Struct({
  CertificateArn: Schema.String,
  DomainName: Schema.optional(Schema.String),
  SubjectAlternativeNames: Schema.optional(Schema.Array(Schema.String)),
  Status: Schema.String,
  InUseBy: Schema.optional(Schema.Array(Schema.String)),
  /** Seconds since 1970. */
  NotAfter: Schema.optional(Schema.Number),
  DomainValidationOptions: Schema.optional(Schema.Array(Schema.Struct({ ResourceRecord: Schema.optional(Record_) }))),
});
export type AcmCertificate = typeof Detail.Type;

const Arn = Schema.Struct({ CertificateArn: Schema.String });
const readArn = jsonReader(Arn);
const Described = Schema.Struct({ Certificate: Detail });
const readDescribed = jsonReader(Described);
const Listed = Schema.Struct({ NextToken: Schema.optional(Schema.String), CertificateSummaryList: Schema.Array(Arn) });
const readListed = jsonReader(Listed);
const Tags = Schema.Struct({
  Tags: Schema.optional(Schema.Array(Schema.Struct({ Key: Schema.String, Value: Schema.optional(Schema.String) }))),
});
const readTags = jsonReader(Tags);

export interface IssueWish {
  readonly domains: readonly string[];
  /** At most 32 of `\w`: the same within an hour is the same certificate. */
  readonly token: string;
  readonly tags: Labels;
}

export interface ImportWish {
  readonly leaf: string;
  /** "" when the leaf needs none. */
  readonly intermediates: string;
  readonly key: Redacted;
  readonly tags: Labels;
}

export interface Acm {
  /** ARNs of all certificates of the region, of every kind of key; all pages. */
  readonly list: (signal: AbortSignal) => Promise<readonly string[]>;
  readonly describe: (arn: string, signal: AbortSignal) => Promise<AcmCertificate>;
  readonly tags: (arn: string, signal: AbortSignal) => Promise<Labels>;
  readonly issue: (wish: IssueWish, signal: AbortSignal) => Promise<string>;
  /** Each call makes another certificate. */
  readonly import: (wish: ImportWish, signal: AbortSignal) => Promise<string>;
  readonly delete: (arn: string, signal: AbortSignal) => Promise<void>;
}

/** Without these the vendor lists RSA keys of 1024 and 2048 bits only. */
const keyTypes = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"];
const pagesMax = 100;

export function makeAcm(client: ApiClient, pageSize: number): Acm {
  const call = jsonCaller(client, "CertificateManager");
  return {
    list: async (signal) => {
      const found: string[] = [];
      let token: string | undefined;
      for (let pages = 1; ; pages += 1) {
        const paging = { MaxItems: pageSize, ...(token === undefined ? {} : { NextToken: token }) };
        const page: typeof Listed.Type = await call(
          "ListCertificates",
          "",
          { Includes: { keyTypes }, ...paging },
          readListed,
          signal,
        );
        found.push(...page.CertificateSummaryList.map(({ CertificateArn: arn }) => arn));
        token = page.NextToken;
        if (token === undefined || token === "") return found;
        if (pages >= pagesMax) throw protocol("ListCertificates", `more than ${pagesMax} pages`);
      }
    },
    describe: async (arn, signal) =>
      (await call("DescribeCertificate", arn, { CertificateArn: arn }, readDescribed, signal)).Certificate,
    tags: async (arn, signal) => {
      const { Tags: tags = [] } = await call("ListTagsForCertificate", arn, { CertificateArn: arn }, readTags, signal);
      return Object.fromEntries(tags.map(({ Key: key, Value: value = "" }) => [key, value]));
    },
    issue: async ({ domains, token, tags }, signal) => {
      const [first = "", ...others] = domains;
      const body = {
        DomainName: first,
        ...(others.length === 0 ? {} : { SubjectAlternativeNames: others }),
        ValidationMethod: "DNS",
        IdempotencyToken: token,
        Tags: tagList(tags),
      };
      return (await call("RequestCertificate", domains.join(" "), body, readArn, signal)).CertificateArn;
    },
    import: async ({ leaf, intermediates, key, tags }, signal) => {
      const base64 = (text: string): string => Buffer.from(text).toString("base64");
      const body = {
        Certificate: base64(leaf),
        PrivateKey: base64(reveal(key)),
        ...(intermediates === "" ? {} : { CertificateChain: base64(intermediates) }),
        Tags: tagList(tags),
      };
      const traits = { idempotent: false, confidential: [key] };
      return (await call("ImportCertificate", "", body, readArn, signal, traits)).CertificateArn;
    },
    delete: async (arn, signal) => {
      await call("DeleteCertificate", arn, { CertificateArn: arn }, ignoreBody, signal);
    },
  };
}

const tagList = (tags: Labels) => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
