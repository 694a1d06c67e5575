/** One HTTP exchange with a vendor, without policy: no retries, no redirects, no meaning of statuses. */
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface HttpRequest {
  readonly method: Method;
  readonly url: URL;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

export interface HttpResponse {
  readonly status: number;
  /** Lower-case names; a header that came several times is joined by ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export type Outcome =
  | { readonly kind: "answered"; readonly response: HttpResponse }
  /** maybeApplied is false only where it is sure that the vendor never saw the request. */
  | { readonly kind: "unanswered"; readonly maybeApplied: boolean; readonly code: string; readonly message: string }
  /** There was an answer and it was larger than the limit. */
  | { readonly kind: "oversized"; readonly bytesMax: number };

export interface Transport {
  /** Always resolves within a deadline of its own; rejects only with the reason of an aborted `signal`. */
  readonly send: (request: HttpRequest, signal: AbortSignal) => Promise<Outcome>;
}
