/** Refusals on the wire: `{reason, message, hint, index?}` as application/problem+json with the reason's HTTP status. */
import type { ServerResponse } from "node:http";
import { problemContentType, problemOf } from "@aether/core/api/problem";
import { reasons, type Rejection } from "@aether/core/kernel/command";

/** Answers with the problem and ends the response. `index` is the applied index, where there is a world to have one. */
export function sendProblem(res: ServerResponse, r: Rejection, index?: number, headers: Record<string, string> = {}): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const body = Buffer.from(`${JSON.stringify(problemOf(r, index))}\n`);
  res.writeHead(reasons[r.reason].status, { "content-type": problemContentType, "content-length": body.length, ...headers });
  res.end(body);
}
