/** The API's endpoints (core/api/api.ts declares them), each joined to the operation that does it. */
import { AetherApi } from "@aether/core/api/api";
import { problemOf } from "@aether/core/api/problem";
import type { ClusterAnswer, NodeAnswer, SettingAnswer } from "@aether/core/api/shapes";
import { faultsOf } from "@aether/core/kernel/define";
import { reject, type Command, type Rejection } from "@aether/core/kernel/command";
import { RequestFaults } from "@aether/core/api/api";
import * as Effect from "effect/Effect";
import type { HttpServerRequest } from "effect/http/HttpServerRequest";
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder";
import type { HttpApiSchemaError } from "effect/http-api/HttpApiError";
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware";
import * as HttpApiSchema from "effect/http-api/HttpApiSchema";
import * as Layer from "effect/Layer";
import type { Aetherd } from "../daemon/aetherd-process.ts";
import { memberAnswer } from "../daemon/own-notes.ts";
import { notRunning } from "./not-running.ts";
import {
  readAll,
  readAudit,
  readCluster,
  readHistory,
  readOne,
  submitCommand,
  type OperationDeps,
  type Written,
} from "./operations.ts";
import type { BackupDeps } from "../backup/operations.ts";
import { backupsGroup } from "./backup-handlers.ts";
import { instancesGroup } from "./instance-handlers.ts";
import { askedOf, type CallOf, type Running, type WriteHeaders } from "./handler-parts.ts";

interface Consistent {
  readonly consistency?: "linearizable" | "stale";
}

export function apiLayers(d: Aetherd, callOf: CallOf) {
  const index = (): number | undefined => (d.phase.p === "running" ? d.phase.services.operations.store.applied : undefined);
  const refuse = (r: Rejection) => Effect.fail(problemOf(r, index()));
  const answer = <A extends object>(work: () => Promise<A | Rejection>) =>
    Effect.promise(work).pipe(Effect.flatMap((a) => ("rejected" in a ? refuse(a) : Effect.succeed(a))));
  /** Runs `work` on the member that takes part, or says that there is none. */
  const running: Running = <A extends object>(work: (o: BackupDeps) => Promise<A | Rejection>) => {
    const { phase } = d;
    return phase.p === "running" ? answer(() => work(phase.services.operations)) : refuse(notRunning(d));
  };
  const write = (request: HttpServerRequest, headers: WriteHeaders, command: Command) =>
    running<Written>((o) => submitCommand(o, askedOf(callOf(request), headers), command));

  const health = HttpApiBuilder.group(AetherApi, "health", (group) =>
    group
      .handle("live", () => Effect.succeed({ ok: true } as const))
      .handle("ready", () => running((o) => Promise.resolve(readiness(o))))
      .handle("member", () => Effect.sync(() => memberAnswer(d))),
  );
  const cluster = HttpApiBuilder.group(AetherApi, "cluster", (group) =>
    group
      .handle("get", ({ query }) => running((o) => readCluster(o, wish(query)) as Promise<typeof ClusterAnswer.Type | Rejection>))
      .handle("scale", ({ request, headers, payload }) =>
        write(request, headers, { type: "ScaleCluster", id: d.configuration.cluster.name, ...payload }),
      )
      .handle("bootstrap", ({ payload }) =>
        answer(async () => {
          const done = await d.bootstrap(payload);
          return "rejected" in done ? done : { ...done, index: index() ?? 0 };
        }),
      )
      .handle("command", ({ request, headers, payload }) => {
        const command = commandOf(payload);
        return "rejected" in command ? refuse(command as Rejection) : write(request, headers, command);
      }),
  );
  const nodes = HttpApiBuilder.group(AetherApi, "nodes", (group) =>
    group
      .handle("list", ({ query }) =>
        running(async (o) => {
          const all = await readAll(o, "node", "name", wish(query));
          return "rejected" in all
            ? all
            : { index: all.index, nodes: all.rows as unknown as readonly (typeof NodeAnswer.Type)[] };
        }),
      )
      .handle("get", ({ params, query }) =>
        running((o) => readOne(o, "node", params.name, "name", wish(query)) as Promise<typeof NodeAnswer.Type | Rejection>),
      )
      .handle("drain", ({ request, params, headers, payload }) =>
        write(request, headers, { type: "DrainNode", id: params.name, ...payload }),
      )
      .handle("undrain", ({ request, params, headers }) => write(request, headers, { type: "UndrainNode", id: params.name }))
      .handle("shutdown", ({ request, params, headers, payload }) =>
        write(request, headers, { type: "ShutDownNode", id: params.name, ...payload }),
      ),
  );
  return Layer.mergeAll(
    health,
    cluster,
    nodes,
    settingsGroup(running, write),
    logGroup(running),
    backupsGroup(running, callOf),
    instancesGroup(running),
  ).pipe(Layer.provide(requestFaults(index)));
}

type Write = (
  request: HttpServerRequest,
  headers: WriteHeaders,
  command: Command,
) => Effect.Effect<Written, ReturnType<typeof problemOf>>;

const settingsGroup = (running: Running, write: Write) =>
  HttpApiBuilder.group(AetherApi, "settings", (group) =>
    group
      .handle("list", ({ query }) =>
        running(async (o) => {
          const all = await readAll(o, "setting", "key", wish(query));
          return "rejected" in all
            ? all
            : { index: all.index, settings: all.rows as unknown as readonly (typeof SettingAnswer.Type)[] };
        }),
      )
      .handle("get", ({ params, query }) =>
        running(
          (o) => readOne(o, "setting", params.key, "key", wish(query)) as Promise<typeof SettingAnswer.Type | Rejection>,
        ).pipe(Effect.map(withEtag)),
      )
      .handle("put", ({ request, params, headers, payload }) =>
        write(request, headers, { type: "SetSetting", id: params.key, ...payload }).pipe(
          Effect.map((written) => withEtag({ key: params.key, value: payload.value, ...written })),
        ),
      )
      .handle("remove", ({ request, params, headers }) => write(request, headers, { type: "RemoveSetting", id: params.key })),
  );

const logGroup = (running: Running) =>
  HttpApiBuilder.group(AetherApi, "log", (group) =>
    group
      .handle("history", ({ params, query }) =>
        running((o) => readHistory(o, params.noun, params.id, query.from ?? 1, query.limit)),
      )
      .handle("audit", ({ query }) => running((o) => readAudit(o, query.from ?? 1, query.limit))),
  );

/** A request that does not decode is told, in words, every field that is wrong. */
const requestFaults = (index: () => number | undefined) =>
  HttpApiMiddleware.layerSchemaErrorTransform(
    RequestFaults,
    (error): Effect.Effect<never, HttpApiSchemaError | InvalidProblem> => {
      const where = {
        Params: "path",
        Headers: "headers",
        Query: "query",
        Payload: "body",
        Body: "answer",
        ResponseHeaders: "answer",
      };
      if (where[error.kind] === "answer") return Effect.fail(error);
      const faults = faultsOf(error.cause.issue).join("; ");
      const problem = problemOf(reject("invalid", `the request's ${where[error.kind]}: ${faults}`, "see /openapi.json"), index());
      return Effect.fail({ ...problem, reason: "invalid" as const });
    },
  );

type InvalidProblem = ReturnType<typeof problemOf> & { readonly reason: "invalid" };

const wish = ({ consistency }: Consistent) => consistency ?? "linearizable";
const withEtag = <A extends { readonly version: number }>(body: A) =>
  HttpApiSchema.withHeaders({ body, headers: { etag: `"${body.version}"` } });

function commandOf(payload: Readonly<Record<string, unknown>>): Command | Rejection {
  const { type, id } = payload;
  if (typeof type === "string" && typeof id === "string") return { ...payload, type, id };
  return reject(
    "invalid",
    "a command has a type and an id, both text",
    'for example {"type": "SetSetting", "id": "a", "value": 1}',
  );
}

/** Ready to serve: this member takes part and knows whom to ask. */
function readiness({ store }: OperationDeps): { readonly ok: true } | Rejection {
  if (store.role.leader !== 0) return { ok: true };
  return reject("no_leader", "this member knows of no leader", "a quorum of members must reach each other");
}
