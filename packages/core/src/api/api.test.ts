import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as HttpRouter from "effect/http/HttpRouter";
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder";
import * as HttpApi from "effect/http-api/HttpApi";
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint";
import * as HttpApiGroup from "effect/http-api/HttpApiGroup";
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware";
import * as HttpApiSchema from "effect/http-api/HttpApiSchema";
import { afterAll, describe, expect, it } from "vitest";
import { reasons, reject, type Reason } from "../kernel/command.ts";
import { AetherApi, RequestFaults } from "./api.ts";
import { openApiDocument } from "./document.ts";
import { foldRest } from "./paths.ts";
import { problemContentType, problemOf, Problems } from "./problem.ts";

const committed = join(import.meta.dirname, "../../../../fixtures/api/openapi.json");

describe("the API's document", () => {
  it("is the one that is committed (rewrite it with AETHER_REWRITE=1)", () => {
    if (process.env["AETHER_REWRITE"] === "1") {
      mkdirSync(dirname(committed), { recursive: true });
      writeFileSync(committed, openApiDocument());
    }
    expect(openApiDocument()).toBe(readFileSync(committed, "utf8"));
  });

  it("has every route of the contract, each with a summary", () => {
    const { paths } = JSON.parse(openApiDocument()) as { paths: Record<string, Record<string, { summary?: string }>> };
    const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`));
    expect(routes.toSorted()).toEqual([
      "delete /v1/settings/{key}",
      "get /v1/audit",
      "get /v1/backups",
      "get /v1/backups/{commit}",
      "get /v1/backups/{commit}/diff",
      "get /v1/cluster",
      "get /v1/events",
      "get /v1/health/live",
      "get /v1/health/ready",
      "get /v1/history/{noun}/{id}",
      "get /v1/instances",
      "get /v1/member",
      "get /v1/nodes",
      "get /v1/nodes/{name}",
      "get /v1/restorations/{id}",
      "get /v1/settings",
      "get /v1/settings/{key}",
      "post /v1/backups",
      "post /v1/backups/drills",
      "post /v1/backups/plan",
      "post /v1/backups/push",
      "post /v1/backups/restore",
      "post /v1/backups/verify",
      "post /v1/bootstrap",
      "post /v1/cluster/scale",
      "post /v1/commands",
      "post /v1/nodes/{name}/drain",
      "post /v1/nodes/{name}/shutdown",
      "post /v1/nodes/{name}/undrain",
      "put /v1/settings/{key}",
    ]);
    const silent = Object.values(paths).flatMap((methods) => Object.values(methods).filter(({ summary }) => !summary));
    expect(silent).toEqual([]);
  });
});

/** One endpoint that refuses with the reason it is asked for, served as the daemon serves the real ones. */
const Refusing = HttpApi.make("refusing").add(
  HttpApiGroup.make("all").add(HttpApiEndpoint.get("refuse", "/refuse", { error: Problems })),
);
let wanted: Reason = "invalid";
const handlers = HttpApiBuilder.group(Refusing, "all", (group) =>
  group.handle("refuse", () => Effect.fail(problemOf(reject(wanted, "no", "yes"), 7))),
);
const served = HttpRouter.toWebHandler(HttpApiBuilder.layer(Refusing).pipe(Layer.provide(handlers)) as never, {
  disableLogger: true,
});

/** The settings of the real API over an echo: what a handler is given comes back as the value. */
const Settings = HttpApi.make("settings-only").add(AetherApi.groups.settings);
const written = { index: 4, version: 2, changed: true, replayed: false };
const settings = HttpApiBuilder.group(Settings, "settings", (group) =>
  group
    .handle("list", () => Effect.succeed({ index: 4, settings: [] }))
    .handle("get", ({ params, query }) => {
      const body = { key: params.key, value: query.consistency ?? null, description: "", version: 2, index: 4, at: 5 };
      return Effect.succeed(HttpApiSchema.withHeaders({ body, headers: { etag: '"2"' } }));
    })
    .handle("put", ({ params, payload, headers }) => {
      const body = { key: params.key, value: payload.value, ...written, answer: headers };
      return Effect.succeed(HttpApiSchema.withHeaders({ body, headers: { etag: '"2"' } }));
    })
    .handle("remove", () => Effect.fail(problemOf(reject("not_found", "gone", "")))),
);
const faults = HttpApiMiddleware.layerSchemaErrorTransform(RequestFaults, () =>
  Effect.fail({ reason: "invalid", message: "the request does not decode", hint: "" } as const),
);
const settingsServed = HttpRouter.toWebHandler(
  HttpApiBuilder.layer(Settings).pipe(Layer.provide(settings), Layer.provide(faults)) as never,
  { disableLogger: true },
);
const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> => {
  const text = body === undefined ? {} : { body: JSON.stringify(body) };
  const url = `http://localhost${foldRest(path)}`;
  return settingsServed.handler(
    new Request(url, { method, headers: { "content-type": "application/json", ...headers }, ...text }),
  );
};

afterAll(async () => {
  await served.dispose();
  await settingsServed.dispose();
});

describe("the settings routes", () => {
  it("take keys with slashes, folded or not, beside the list", async () => {
    expect(await (await ask("GET", "/v1/settings/app/theme")).json()).toMatchObject({ key: "app/theme" });
    expect(await (await ask("GET", "/v1/settings/app%2Ftheme")).json()).toMatchObject({ key: "app/theme" });
    expect(await (await ask("GET", "/v1/settings")).json()).toEqual({ index: 4, settings: [] });
    expect(foldRest("/v1/nodes/n1/drain")).toBe("/v1/nodes/n1/drain");
    expect(foldRest("/v1/history/setting/a/b")).toBe("/v1/history/setting/a%2Fb");
  });

  it("carry any JSON value, the version as ETag, and the caller's conditions", async () => {
    const answer = await ask(
      "PUT",
      "/v1/settings/a",
      { value: [1, null, { b: "c" }] },
      { "if-match": '"7"', "idempotency-key": "k" },
    );
    expect(answer.headers.get("etag")).toBe('"2"');
    expect(await answer.json()).toEqual({
      key: "a",
      value: [1, null, { b: "c" }],
      ...written,
      answer: { "if-match": '"7"', "idempotency-key": "k" },
    });
    expect(await (await ask("PUT", "/v1/settings/a", { value: null })).json()).toMatchObject({ value: null });
  });

  it("answer what does not decode with a problem instead of an empty body", async () => {
    for (const [method, path, body] of [
      ["PUT", "/v1/settings/a", {}],
      ["PUT", "/v1/settings/a", undefined],
      ["GET", "/v1/settings/a?consistency=maybe", undefined],
    ] as const) {
      const answer = await ask(method, path, body);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ reason: "invalid" });
    }
    expect((await ask("DELETE", "/v1/settings/a")).status).toBe(404);
  });
});

describe("a refusal", () => {
  it.each(Object.keys(reasons) as Reason[])("%s is answered with its own status, as a problem", async (reason) => {
    wanted = reason;
    const answer = await served.handler(new Request("http://localhost/refuse"));
    expect(answer.status).toBe(reasons[reason].status);
    expect(answer.headers.get("content-type")).toBe(problemContentType);
    expect(await answer.json()).toEqual({ reason, message: "no", hint: "yes", index: 7 });
  });

  it("can be any reason on any route", () => {
    for (const group of Object.values(AetherApi.groups)) {
      for (const endpoint of Object.values(group.endpoints)) expect(endpoint.error.size).toBeGreaterThanOrEqual(Problems.length);
    }
  });
});
