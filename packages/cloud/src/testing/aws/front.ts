/**
 * The door of the fakes: which service and action a request is for, whose signature it carries (worked out a second time), whether it and
 * its answer fit the vendor's model; and answers and refusals in the service's dialect.
 */
import { parseXml } from "@rgrove/parse-xml";
import type { HttpRequest, HttpResponse } from "../../http/transport.ts";
import type { FakeSts } from "./fake-sts.ts";
import { awsModel, checkAnswer, checkJson, checkParams, type AwsModel, type AwsService } from "./model.ts";
import { verifySignature, type Keys } from "./sigv4.ts";
import { leaf, Refused, tag, type Form, type Xml } from "./xml-answer.ts";

export interface AwsCall {
  readonly service: AwsService;
  readonly action: string;
  readonly form: Form;
  readonly of: ReadonlyMap<string, string>;
  readonly body: Readonly<Record<string, unknown>>;
  /** Whose signature it is; null where none is needed. */
  readonly accessKeyId: string | null;
}

export interface FrontParts {
  readonly now: () => number;
  readonly aheadMs: number;
  readonly keys: Keys;
  readonly region: string;
  readonly sts: FakeSts;
  /** XML for what is inside of a form's answer, a value for JSON. */
  readonly answer: (call: AwsCall) => unknown;
}

const models = new Map<AwsService, AwsModel>();
/** Read once. */
export function modelOf(service: AwsService): AwsModel {
  const model = models.get(service) ?? awsModel(service);
  models.set(service, model);
  return model;
}

/** What a service's requests are signed for. */
const signingNames: Readonly<Record<AwsService, string>> = {
  ec2: "ec2",
  elbv2: "elasticloadbalancing",
  sts: "sts",
  secretsmanager: "secretsmanager",
  acm: "acm",
};
const services = Object.keys(signingNames) as readonly AwsService[];

/** The action of a request, for those who plan its fate. */
export const actionOf = ({ headers, body }: Pick<HttpRequest, "headers" | "body">): string =>
  headers["x-amz-target"]?.split(".")[1] ?? /(?:^|&)Action=(\w+)/.exec(Buffer.from(body ?? "").toString())?.[1] ?? "";

/** By the name of the action in the header, or by the version in the form. */
export function serviceOf({ headers, body }: Pick<HttpRequest, "headers" | "body">): AwsService {
  const target = headers["x-amz-target"]?.split(".")[0];
  const version = /(?:^|&)Version=([\d-]+)/.exec(Buffer.from(body ?? "").toString())?.[1];
  const found = services.find((service) => {
    const { targetPrefix, apiVersion } = modelOf(service).metadata;
    return target === undefined ? apiVersion === version && targetPrefix === undefined : targetPrefix === target;
  });
  return found ?? "ec2";
}

export class AwsFront {
  readonly violations: string[] = [];
  readonly calls: string[] = [];
  readonly #parts: FrontParts;

  constructor(parts: FrontParts) {
    this.#parts = parts;
  }

  handle(request: HttpRequest): HttpResponse {
    const service = serviceOf(request);
    const action = actionOf(request);
    this.calls.push(action);
    if (request.method !== "POST" || request.url.pathname !== "/") {
      this.violations.push(`${request.method} ${request.url.pathname}`);
    }
    try {
      return this.#response(200, service, this.#answer(request, service, action));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return this.#response(error.status, service, this.#refusal(service, error.code, error.message));
    }
  }

  /** What goes wrong by plan; a gateway's own page speaks no dialect. */
  refusal(status: number, headers: Readonly<Record<string, string>>, request: HttpRequest): HttpResponse {
    if (status === 404 || status === 502 || status === 504) {
      return { status, headers, body: Buffer.from("<html><body>bad gateway</body></html>") };
    }
    const service = serviceOf(request);
    const code = status === 429 ? throttles[service] : status === 503 ? "ServiceUnavailable" : "InternalFailure";
    return { status, headers, body: Buffer.from(this.#refusal(service, code, "by plan")) };
  }

  #answer(request: HttpRequest, service: AwsService, action: string): string {
    const model = modelOf(service);
    const text = Buffer.from(request.body ?? "").toString();
    if (model.metadata.protocol === "json") {
      if (request.headers["content-type"] !== "application/x-amz-json-1.1") this.violations.push(`${action} is no JSON 1.1`);
      const body = JSON.parse(text) as AwsCall["body"];
      this.violations.push(...checkJson(model, action, "input", body));
      const accessKeyId = this.#authenticate(request, service);
      const answer = this.#parts.answer({ service, action, form: [], of: new Map(), body, accessKeyId });
      this.violations.push(...checkJson(model, action, "output", answer));
      return JSON.stringify(answer);
    }
    const all = [...new URLSearchParams(text)];
    const of = new Map(all);
    if (of.get("Version") !== model.metadata.apiVersion) this.violations.push(`version ${String(of.get("Version"))}`);
    const form = all.filter(([key]) => key !== "Action" && key !== "Version");
    this.violations.push(...checkParams(model, action, form));
    const accessKeyId = action === "AssumeRoleWithWebIdentity" ? null : this.#authenticate(request, service);
    const inner = String(this.#parts.answer({ service, action, form, of, body: {}, accessKeyId }));
    const answer = this.#whole(model, action, inner);
    const { root } = parseXml(answer);
    if (root === null) throw new Error("an answer has a root");
    this.violations.push(...checkAnswer(model, action, root));
    return answer;
  }

  #whole(model: AwsModel, action: string, inner: Xml): Xml {
    const id = `fake-${this.calls.length}`;
    if (model.metadata.protocol === "ec2") return tag(`${action}Response`, leaf("requestId", id) + inner);
    return tag(`${action}Response`, tag(`${action}Result`, inner) + tag("ResponseMetadata", leaf("RequestId", id)));
  }

  #refusal(service: AwsService, code: string, message: string): string {
    const { protocol } = modelOf(service).metadata;
    if (protocol === "json") return JSON.stringify({ __type: code, message });
    const id = `fake-${this.calls.length}`;
    const error = leaf("Code", code) + leaf("Message", message);
    if (protocol === "ec2") return tag("Response", tag("Errors", tag("Error", error)) + leaf("RequestID", id));
    return tag("ErrorResponse", tag("Error", leaf("Type", "Sender") + error) + leaf("RequestId", id));
  }

  #response(status: number, service: AwsService, text: string): HttpResponse {
    const isJson = modelOf(service).metadata.protocol === "json";
    const headers = {
      "content-type": isJson ? "application/x-amz-json-1.1" : "text/xml;charset=UTF-8",
      date: new Date(this.#parts.now() + this.#parts.aheadMs).toUTCString(),
      ...(isJson ? { "x-amzn-requestid": `fake-${this.calls.length}` } : {}),
    };
    return { status, headers, body: Buffer.from(isJson ? text : `<?xml version="1.0"?>\n${text}`) };
  }

  /** Whose signature it is. */
  #authenticate(request: HttpRequest, service: AwsService): string {
    const { keys, region, now, aheadMs, sts } = this.#parts;
    const given = request.headers["authorization"] ?? "";
    const id = /Credential=([^/]+)\//.exec(given)?.[1] ?? "";
    const session = sts.sessions.get(id);
    const verdict = verifySignature(request, session ?? keys, region, signingNames[service]);
    if (verdict === "missing") throw new Refused(403, "MissingAuthenticationToken", "no signature");
    const isRightToken = session === undefined || request.headers["x-amz-security-token"] === session.token;
    if (verdict === "wrong" || !isRightToken) {
      const [status, code] = wrongSignature[service];
      throw new Refused(status, code, `not able to validate the credentials of ${given}`);
    }
    if (Math.abs(now() + aheadMs - verdict) > 300_000) {
      throw new Refused(400, service === "ec2" ? "RequestExpired" : "SignatureDoesNotMatch", "Signature expired");
    }
    if (session !== undefined && session.endsAt <= now()) {
      throw new Refused(400, service === "ec2" ? "RequestExpired" : "ExpiredTokenException", "The security token has expired");
    }
    return id;
  }
}

const throttles: Readonly<Record<AwsService, string>> = {
  ec2: "RequestLimitExceeded",
  elbv2: "Throttling",
  sts: "Throttling",
  secretsmanager: "ThrottlingException",
  acm: "ThrottlingException",
};
const wrongSignature: Readonly<Record<AwsService, readonly [number, string]>> = {
  ec2: [401, "AuthFailure"],
  elbv2: [403, "SignatureDoesNotMatch"],
  sts: [403, "SignatureDoesNotMatch"],
  secretsmanager: [400, "InvalidSignatureException"],
  acm: [400, "InvalidSignatureException"],
};
