/** A refusal in Google's own shape. */
export class Refused extends Error {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string, message: string) {
    super(message);
    [this.status, this.reason] = [status, reason];
  }

  /** Compute Engine's has a list of errors; the other services' have a status and details. */
  json(isCompute: boolean) {
    const { status: code, reason, message } = this;
    if (isCompute) return { error: { code, message, errors: [{ message, domain: "global", reason }] } };
    const info = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason, domain: "googleapis.com" };
    const status = code === 404 ? "NOT_FOUND" : reason;
    return { error: { code, message, status, details: code === 403 ? [info] : [] } };
  }
}

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
}
export type Reply = readonly [status: number, body: unknown];
