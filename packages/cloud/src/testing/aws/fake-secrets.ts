/** Secrets Manager in memory: versions and stages, batches that succeed in part. */
import { createHash } from "node:crypto";
import { Refused } from "./xml-answer.ts";

interface Version {
  readonly id: string;
  readonly value: string | Uint8Array;
}

export interface FakeSecretsParts {
  readonly now: () => number;
  readonly arn: (service: string, resource: string) => string;
  readonly pageMax: number;
}

type Body = Readonly<Record<string, unknown>>;

export class FakeSecrets {
  /** By name, oldest first. */
  readonly #secrets = new Map<string, Version[]>();
  /** Names of those that these credentials may not read. */
  readonly denied = new Set<string>();
  readonly #parts: FakeSecretsParts;

  constructor(parts: FakeSecretsParts) {
    this.#parts = parts;
  }

  /** A new secret or a new version of it; its id. */
  put(name: string, value: string | Uint8Array): string {
    const versions = this.#secrets.get(name) ?? [];
    this.#secrets.set(name, versions);
    const hex = createHash("sha256").update(`${name} ${versions.length}`).digest("hex");
    const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
    versions.push({ id, value });
    return id;
  }

  answer(action: string, body: Body): unknown {
    if (action === "GetSecretValue") {
      return this.#read(String(body["SecretId"]), body["VersionId"], body["VersionStage"]);
    }
    if (action !== "BatchGetSecretValue") throw new Refused(400, "UnknownOperationException", "");
    const ids = body["SecretIdList"] as readonly string[];
    if (ids.length > 20) throw new Refused(400, "InvalidParameterException", "at most 20 secrets");
    const from = Number(body["NextToken"] ?? 0);
    const values: unknown[] = [];
    const errors: unknown[] = [];
    for (const id of ids.slice(from, from + this.#parts.pageMax)) {
      try {
        values.push(this.#read(id, undefined, undefined));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        errors.push({ SecretId: id, ErrorCode: error.code, Message: error.message });
      }
    }
    const next = from + this.#parts.pageMax;
    return { SecretValues: values, Errors: errors, ...(next < ids.length ? { NextToken: String(next) } : {}) };
  }

  #read(id: string, versionId: unknown, stage: unknown): unknown {
    const name = /:secret:(.+)-[A-Za-z0-9]{6}$/.exec(id)?.[1] ?? id;
    if (this.denied.has(name)) throw new Refused(400, "AccessDeniedException", `not authorized to read ${name}`);
    const versions = this.#secrets.get(name);
    if (versions === undefined) {
      throw new Refused(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    }
    const last = versions.length - 1;
    const staged = stage === "AWSPREVIOUS" ? last - 1 : stage === undefined || stage === "AWSCURRENT" ? last : -1;
    const at = versionId === undefined ? staged : versions.findIndex((version) => version.id === versionId);
    const version = versions[at];
    if (version === undefined) {
      throw new Refused(
        400,
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for that version.",
      );
    }
    const { value } = version;
    return {
      ARN: this.#parts.arn("secretsmanager", `secret:${name}-Ab1Cd2`),
      Name: name,
      VersionId: version.id,
      VersionStages: at === last ? ["AWSCURRENT"] : at === last - 1 ? ["AWSPREVIOUS"] : [],
      CreatedDate: this.#parts.now() / 1000,
      ...(typeof value === "string" ? { SecretString: value } : { SecretBinary: Buffer.from(value).toString("base64") }),
    };
  }
}
