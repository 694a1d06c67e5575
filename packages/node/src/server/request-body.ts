/** A request's JSON body, read whole within limits. What cannot be used is refused in words, never with an empty 400. */
import type { IncomingMessage } from "node:http";
import { reject, type Rejection } from "@aether/core/kernel/command";

/** A value of 1 MiB and what JSON puts around it. */
export const bodyBytesMax = 1024 * 1024 + 64 * 1024;

/** The parsed body; undefined when there is none. Resolves with a rejection for one too large, cut short, or not JSON. */
export async function readJsonBody(req: IncomingMessage): Promise<{ readonly json: unknown } | Rejection> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // What is too much is still read, so that the answer is: a closed connection would tell the caller nothing.
      if (bytes <= bodyBytesMax) chunks.push(chunk);
      else if (bytes > 16 * bodyBytesMax) break;
    }
  } catch {
    return reject("invalid", "the request ended before its body did", "send it again");
  }
  if (bytes > bodyBytesMax) {
    return reject("too_large", `the body has more than ${bodyBytesMax} bytes`, "a setting's value is at most 64 KiB of JSON");
  }
  if (bytes === 0) return { json: undefined };
  try {
    return { json: JSON.parse(Buffer.concat(chunks).toString("utf8")) };
  } catch (error) {
    return reject("invalid", `the body is not JSON: ${(error as Error).message}`, "send content-type: application/json");
  }
}
