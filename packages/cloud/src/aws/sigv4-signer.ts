/** AWS Signature Version 4 by the vendor's own library, with node's SHA-256. */
import { createHash, createHmac, createSecretKey, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { value as reveal } from "effect/Redacted";
import type { Clock } from "../http/clock.ts";
import type { Signer } from "../http/signer.ts";
import type { HttpRequest } from "../http/transport.ts";
import { CloudFailure } from "../failure.ts";
import { confidentialOf, type AwsCredentials, type CredentialSource } from "./credentials.ts";
import { refusalCode } from "./errors.ts";
import { failedAs } from "./failure.ts";

/** A refusal by this much more than the difference we already reckon with is about the clocks. */
const skewMinMs = 60_000;

/** The credentials have ended before we thought they would; others are to be had. EC2 has the word of wrong clocks for that too. */
const endedCodes: ReadonlySet<string> = new Set(["ExpiredToken", "ExpiredTokenException", "RequestExpired"]);

/**
 * Signs for one service in one region. When the vendor refuses a signature, its Date header tells how far apart the clocks
 * are; from then on times are signed as the vendor's clock has them. That no credentials could be had means that nothing was sent.
 */
export function sigV4Signer(source: CredentialSource, region: string, service: string, clock: Clock): Signer {
  const libraryOf = libraries(region, service);
  let skewMs = 0;
  return {
    get confidential() {
      return source.recent().flatMap(confidentialOf);
    },
    sign: async (request, signal) => {
      const library = libraryOf(await source.get(signal).catch(asNothingSent));
      const signed = await library.sign(asLibraryRequest(request), { signingDate: new Date(clock.now() + skewMs) });
      return { ...request, headers: signed.headers };
    },
    learn: (refusal, now, signed) => {
      const theirs = Date.parse(refusal.headers["date"] ?? "");
      if (!Number.isNaN(theirs) && Math.abs(theirs - now - skewMs) >= skewMinMs) {
        skewMs = theirs - now;
        return true;
      }
      if (!endedCodes.has(refusalCode(refusal))) return false;
      const used = /Credential=([^/]+)\//.exec(signed.headers["authorization"] ?? "")?.[1];
      const ended = source.recent().find(({ accessKeyId }) => accessKeyId === used);
      if (ended !== undefined) source.drop(ended);
      return true;
    },
  };
}

/** The library keeps the key that it has derived for the day; so one of it for as long as the credentials are the same. */
function libraries(region: string, service: string): (credentials: AwsCredentials) => SignatureV4 {
  let last: { readonly credentials: AwsCredentials; readonly library: SignatureV4 } | null = null;
  return (credentials) => {
    if (last?.credentials === credentials) return last.library;
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const keys = { accessKeyId, secretAccessKey: reveal(secretAccessKey) };
    const library = sigV4Library(sessionToken === null ? keys : { ...keys, sessionToken: reveal(sessionToken) }, region, service);
    last = { credentials, library };
    return library;
  };
}

function asNothingSent(failure: unknown): never {
  if (failedAs(failure, "Transient")) throw new CloudFailure({ ...failure.error, maybeApplied: false });
  throw failure;
}

interface PlainKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** No header with the body's hash: it is part of the signature anyway. */
export const sigV4Library = (credentials: PlainKeys, region: string, service: string): SignatureV4 =>
  new SignatureV4({ credentials, region, service, sha256: Sha256, applyChecksum: false });

const asLibraryRequest = ({ method, url, headers, body }: HttpRequest) => ({
  method,
  protocol: url.protocol,
  hostname: url.hostname,
  ...(url.port === "" ? {} : { port: Number(url.port) }),
  path: url.pathname,
  query: Object.fromEntries(url.searchParams),
  headers: { ...headers, host: url.host },
  ...(body === null ? {} : { body }),
});

/** What the library wants of a hash, keyed or not. */
class Sha256 {
  readonly #hash: Hash | Hmac;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    if (secret === undefined) this.#hash = createHash("sha256");
    // As a key object: node looks three times as long at bytes.
    else this.#hash = createHmac("sha256", createSecretKey(bytesOf(secret)));
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): never {
    throw new Error("a hash of a signature is used once");
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}
