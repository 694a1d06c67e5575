/** Signature Version 4 worked out a second time, from the vendor's description, for the fake to judge what it is sent. */
import { createHash, createHmac, createSecretKey, type KeyObject } from "node:crypto";
import type { HttpRequest } from "../../http/transport.ts";

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A request's signing time in Unix milliseconds, or what is wrong with its signature. Only for bodies sent to "/" without a query. */
export function verifySignature(request: HttpRequest, keys: Keys, region: string, service: string): number | "missing" | "wrong" {
  const { headers } = request;
  const parts = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
    headers["authorization"] ?? "",
  );
  if (parts === null) return "missing";
  const [, accessKeyId, scope = "", signed = "", signature] = parts;
  const time = headers["x-amz-date"] ?? "";
  const day = time.slice(0, 8);
  if (accessKeyId !== keys.accessKeyId || scope !== `${day}/${region}/${service}/aws4_request`) return "wrong";
  for (const needed of ["host", "x-amz-date", "content-type"]) if (!signed.split(";").includes(needed)) return "wrong";
  const sha = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");
  const canonicalHeaders = signed
    .split(";")
    .map((name) => `${name}:${(headers[name] ?? "").trim().replaceAll(/ +/g, " ")}\n`)
    .join("");
  const canonical = [request.method, "/", "", canonicalHeaders, signed, sha(request.body ?? "")].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", time, scope, sha(canonical)].join("\n");
  if (mac(signingKey(keys.secretAccessKey, day, region, service), toSign).toString("hex") !== signature) return "wrong";
  return Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
}

const mac = (key: string | KeyObject, data: string): Buffer => createHmac("sha256", key).update(data).digest();

const signingKeys = new Map<string, KeyObject>();
const signingKeysMax = 1000;

/** The same for a day, a region and a service: worked out once. */
function signingKey(secret: string, day: string, region: string, service: string): KeyObject {
  const name = JSON.stringify([secret, day, region, service]);
  const known = signingKeys.get(name);
  if (known !== undefined) return known;
  const first = createSecretKey(mac(`AWS4${secret}`, day));
  const key = [region, service, "aws4_request"].reduce((last, word) => createSecretKey(mac(last, word)), first);
  if (signingKeys.size < signingKeysMax) signingKeys.set(name, key);
  return key;
}
