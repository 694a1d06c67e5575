/** INTERIM until core/api lands: plain routing over operations. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { reject, type Command, type Rejection } from "@aether/core/kernel/command";
import type { Aetherd } from "../daemon/aetherd-process.ts";
import { memberAnswer } from "../daemon/own-notes.ts";
import { theCluster } from "@aether/core/cluster/state";
import type { Call } from "./front-door.ts";
import { notRunning } from "./not-running.ts";
import { readAll, readAudit, readHistory, readOne, readPoint, submitCommand, type Asked } from "./operations.ts";
import { sendProblem } from "./problem.ts";
import { readJsonBody } from "./request-body.ts";

export interface ApiHandler {
  handle(req: IncomingMessage, res: ServerResponse, call: Call): void;
  close(): Promise<void>;
}

export async function makeApiHandler(d: Aetherd): Promise<ApiHandler> {
  return {
    handle: (req, res, call) => {
      void answer(d, req, call)
        .catch((e: Error) => {
          if (e instanceof Bad) return e.r;
          throw e;
        })
        .then((body) => {
          if ("rejected" in body) return sendProblem(res, body as Rejection, index(d));
          const b = body as Record<string, unknown>;
          res.writeHead(200, {
            "content-type": "application/json",
            ...(typeof b["version"] === "number" ? { etag: `"${b["version"]}"` } : {}),
          });
          res.end(JSON.stringify(body));
        });
    },
    close: async () => undefined,
  };
}
const index = (d: Aetherd) => (d.phase.p === "running" ? d.phase.services.operations.store.applied : undefined);
class Bad extends Error {
  readonly r: Rejection;
  constructor(r: Rejection) {
    super(r.message);
    this.r = r;
  }
}
async function body(req: IncomingMessage): Promise<Record<string, unknown>> {
  const read = await readJsonBody(req);
  if ("rejected" in read) throw new Bad(read);
  return (read.json ?? {}) as Record<string, unknown>;
}
async function answer(d: Aetherd, req: IncomingMessage, call: Call): Promise<object> {
  const path = call.door.path;
  const seg = call.url.pathname.split("/").map(decodeURIComponent);
  if (path === "/v1/health/live") return { ok: true };
  if (path === "/v1/member") return memberAnswer(d);
  if (path === "/v1/bootstrap") return { index: 0, ...(await d.bootstrap((await body(req)) as never)) };
  if (d.phase.p !== "running") return notRunning(d);
  const ops = d.phase.services.operations;
  if (path === "/v1/health/ready") return ops.store.role.leader === 0 ? reject("no_leader", "no leader", "") : { ok: true };
  const asked: Asked = {
    caller: call.caller,
    requestKey: (req.headers["idempotency-key"] as string) ?? null,
    ifMatch: req.headers["if-match"] ?? null,
  };
  const cons = call.url.searchParams.get("consistency") === "stale" ? "stale" : "linearizable";
  const put = async (c: Command) => submitCommand(ops, asked, c);
  switch (`${req.method} ${path}`) {
    case "GET /v1/cluster": {
      const at = await readPoint(ops, cons);
      if (typeof at !== "number") return at;
      const c = theCluster(ops.store.world);
      return c === undefined ? reject("not_found", "no cluster", "") : { ...c.row, index: at, membership: ops.store.membership };
    }
    case "POST /v1/cluster/scale":
      return put({ type: "ScaleCluster", id: d.configuration.cluster.name, ...(await body(req)) });
    case "GET /v1/nodes": {
      const r = await readAll(ops, "node", "name", cons);
      return "rejected" in r ? r : { index: r.index, nodes: r.rows };
    }
    case "GET /v1/nodes/{name}":
      return readOne(ops, "node", seg[3] ?? "", "name", cons);
    case "POST /v1/nodes/{name}/drain":
      return put({ type: "DrainNode", id: seg[3] ?? "", ...(await body(req)) });
    case "POST /v1/nodes/{name}/undrain":
      return put({ type: "UndrainNode", id: seg[3] ?? "" });
    case "POST /v1/nodes/{name}/shutdown":
      return put({ type: "ShutDownNode", id: seg[3] ?? "", ...(await body(req)) });
    case "GET /v1/settings": {
      const r = await readAll(ops, "setting", "key", cons);
      return "rejected" in r ? r : { index: r.index, settings: r.rows };
    }
    case "GET /v1/settings/{key...}":
      return readOne(ops, "setting", seg.slice(3).join("/"), "key", cons);
    case "PUT /v1/settings/{key...}": {
      const b = await body(req);
      const r = await put({ type: "SetSetting", id: seg.slice(3).join("/"), ...b });
      return "rejected" in r ? r : { key: seg.slice(3).join("/"), value: b["value"], ...r };
    }
    case "DELETE /v1/settings/{key...}":
      return put({ type: "RemoveSetting", id: seg.slice(3).join("/") });
    case "GET /v1/history/{noun}/{id...}":
      return readHistory(
        ops,
        seg[3] ?? "",
        seg.slice(4).join("/"),
        Number(call.url.searchParams.get("from") ?? 1),
        Number(call.url.searchParams.get("limit") ?? 100),
      );
    case "GET /v1/audit":
      return readAudit(ops, Number(call.url.searchParams.get("from") ?? 1), Number(call.url.searchParams.get("limit") ?? 1000));
    case "POST /v1/commands":
      return put((await body(req)) as never);
    default:
      return reject("not_found", path, "");
  }
}
