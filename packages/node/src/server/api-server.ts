/** Serves the declared API on a request that the front door let in: HttpApi's router as a handler of node's own server. */
import type { IncomingMessage, ServerResponse } from "node:http";
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer";
import { AetherApi } from "@aether/core/api/api";
import { foldRest } from "@aether/core/api/paths";
import { openApiDocument } from "@aether/core/api/document";
import { reject, type Rejection } from "@aether/core/kernel/command";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as HttpRouter from "effect/http/HttpRouter";
import * as HttpServer from "effect/http/HttpServer";
import type { HttpServerRequest } from "effect/http/HttpServerRequest";
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder";
import * as Layer from "effect/Layer";
import * as Scope from "effect/Scope";
import type { Aetherd } from "../daemon/aetherd-process.ts";
import { apiLayers } from "./api-handlers.ts";
import type { Call } from "./front-door.ts";
import { sendProblem } from "./problem.ts";

export interface ApiServer {
  handle(req: IncomingMessage, res: ServerResponse, call: Call): void;
  close(): Promise<void>;
}

/** A value of 64 KiB, or a command of an entry's size, and what JSON puts around it. */
export const bodyBytesMax = 1024 * 1024 + 64 * 1024;

/** Bodies up to here are read although they are refused. */
const drainedBytesMax = 16 * 1024 * 1024;

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

export async function makeApiServer(d: Aetherd): Promise<ApiServer> {
  const calls = new WeakMap<object, Call>();
  const callOf = (request: HttpServerRequest): Call => {
    const call = calls.get(request.source);
    if (call === undefined) throw new Error("a request reached the API without passing the door");
    return call;
  };
  const scope = await Effect.runPromise(Scope.make());
  const api = HttpApiBuilder.layer(AetherApi).pipe(Layer.provide(apiLayers(d, callOf)), Layer.provide(HttpServer.layerServices));
  const make = Effect.gen(function* () {
    const app = yield* HttpRouter.toHttpEffect(api);
    return yield* NodeHttpServer.makeHandler(app, { scope });
  });
  // The router's type forgets that all its handlers' needs were provided above.
  const handler = await Effect.runPromise(Scope.provide(make as Effect.Effect<Handler, never, Scope.Scope>, scope));
  let document: string | null = null;
  return {
    handle: (req, res, call) => {
      if (call.door.path === "/openapi.json") {
        document ??= openApiDocument();
        res.writeHead(200, { "content-type": "application/json" });
        res.end(document);
        return;
      }
      const fault = bodyFault(req);
      if (fault !== null) return refuseBody(req, res, fault);
      calls.set(req, call);
      req.url = foldRest(call.url.pathname) + call.url.search;
      handler(req, res);
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void)),
  };
}

/**
 * A client that is still writing when its connection closes sees the broken connection and not the answer. So what is
 * not absurdly large is read to its end, and thrown away, before the refusal; the server's request timeout bounds it.
 */
function refuseBody(req: IncomingMessage, res: ServerResponse, fault: Rejection): void {
  const send = (): void => sendProblem(res, fault, undefined, { connection: "close" });
  if (!(Number(req.headers["content-length"] ?? Number.NaN) <= drainedBytesMax)) return send();
  req.once("end", send);
  req.resume();
}

/** A body says its size first, so that one which is too large costs nothing to keep. */
function bodyFault(req: IncomingMessage): Rejection | null {
  if (req.headers["transfer-encoding"] !== undefined) {
    return reject("invalid", "the body came without its size", "send content-length instead of transfer-encoding: chunked");
  }
  const bytes = Number(req.headers["content-length"] ?? 0);
  const type = req.headers["content-type"] ?? "application/json";
  if (bytes > 0 && !/^application\/json\b/i.test(type)) {
    return reject("invalid", `a body of type ${type.slice(0, 80)}`, "send JSON, with content-type: application/json");
  }
  if (bytes <= bodyBytesMax) return null;
  return reject(
    "too_large",
    `a body of ${bytes} bytes; at most ${bodyBytesMax} are taken`,
    "a setting's value is at most 64 KiB of JSON",
  );
}
