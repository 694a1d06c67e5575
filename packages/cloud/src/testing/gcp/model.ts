/**
 * Cuts what the provider uses out of Google's published OpenAPI 3 documents, without the prose, and checks with it:
 * `node packages/cloud/src/testing/gcp/model.ts DIRECTORY > fixtures/cloud-models/gcp.json`, where the directory has the documents.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { HttpRequest } from "../../http/transport.ts";
import { checkRequest, checkResponse, type JsonSchema, type ModelCheck, type ModelSlice } from "../openapi-check.ts";
import type { OperationModel, ParameterModel } from "../openapi-check.ts";
import { gcpOperations } from "./operations.ts";

interface Document {
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}
interface DocumentOperation {
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: JsonSchema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: JsonSchema }>> }>>;
}

export function gcpSlice(documentOf: (name: string) => Document): ModelSlice {
  const definitions: Record<string, JsonSchema> = {};
  const operations: Record<string, OperationModel> = {};
  const versions = new Set<string>();
  for (const [name, service, there] of gcpOperations) {
    const document = documentOf(service);
    versions.add(`${service} ${document.info.version}`);
    const slicer: Slicer = { service, document, definitions };
    operations[name] = there.includes("/") ? operationOf(slicer, name, there) : getOf(slicer, name, there);
  }
  return { version: [...versions].join(", "), operations, definitions };
}

interface Slicer {
  readonly service: string;
  readonly document: Document;
  readonly definitions: Record<string, JsonSchema>;
}

function operationOf(slicer: Slicer, name: string, there: string): OperationModel {
  const [method = "", path = ""] = there.split(" ");
  const operation = slicer.document.paths[path]?.[method.toLowerCase()];
  if (operation === undefined) throw new Error(`${slicer.service} has no ${there}`);
  const query = (operation.parameters ?? [])
    .filter((parameter) => parameter.in === "query")
    // The vendor's prose says "Required." of those that name what is made; the documents do not.
    .map((one) => ({ ...one, required: one.required === true || /(^|Z)(certificate|dnsAuthorization)Id$/.test(one.name) }));
  const body = operation.requestBody?.content["application/json"]?.schema;
  const responses = Object.entries(operation.responses).map(([status, response]) => {
    const schema = response.content?.["application/json"]?.schema;
    return [status, schema === undefined ? null : bare(slicer, schema)] as const;
  });
  return {
    parameters: [
      ...pathParameters(name),
      ...query.map((one): ParameterModel => ({
        name: one.name,
        in: "query",
        required: one.required,
        schema: bare(slicer, one.schema),
      })),
    ],
    body: body === undefined ? null : bare(slicer, body),
    responses: Object.fromEntries(responses),
  };
}

/** Of paths that are said but once in a document, `GET /v1/{name}`, though they read many kinds of thing. */
const getOf = (slicer: Slicer, name: string, kind: string): OperationModel => ({
  parameters: pathParameters(name),
  body: null,
  responses: { "200": bare(slicer, { $ref: `#/components/schemas/${kind}` }) },
});

const pathParameters = (name: string): readonly ParameterModel[] =>
  [...name.matchAll(/\{(\w+)\}/g)].map(([, part = ""]) => ({
    name: part,
    in: "path",
    required: true,
    schema: { type: "string", pattern: part === "project" ? "^[a-z0-9:.-]+$" : "^[A-Za-z0-9_.-]+$" },
  }));

const kept = ["type", "required", "enum", "minimum", "maximum", "format", "additionalProperties", "items", "properties"] as const;

/** A schema without what only people read; schemas with a name go to the definitions, once. */
function bare(slicer: Slicer, schema: JsonSchema): JsonSchema {
  if (schema.$ref !== undefined) {
    const kind = schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
    const name = `${slicer.service}.${kind}`;
    if (!(name in slicer.definitions)) {
      const found = slicer.document.components.schemas[kind];
      if (found === undefined) throw new Error(`${slicer.service} has no schema ${kind}`);
      // Taken before it is looked into: some hold themselves.
      slicer.definitions[name] = {};
      slicer.definitions[name] = withLater(name, bare(slicer, found));
    }
    return isSaidByVendor(schema) ? { $ref: name, readOnly: true } : { $ref: name };
  }
  const entries = kept.filter((key) => key in schema).map((key) => [key, valueOf(slicer, key, schema)] as const);
  // The vendor's patterns are of the whole text.
  const pattern = schema.pattern === undefined ? {} : { pattern: `^(?:${schema.pattern})$` };
  return { ...Object.fromEntries(entries), ...pattern, ...(isSaidByVendor(schema) ? { readOnly: true } : {}) };
}

function valueOf(slicer: Slicer, key: (typeof kept)[number], schema: JsonSchema): unknown {
  const value = schema[key];
  if (key === "properties") {
    const fields = Object.entries(schema.properties ?? {});
    return Object.fromEntries(fields.map(([name, field]) => [name, bare(slicer, field)]));
  }
  return key === "items" || (key === "additionalProperties" && typeof value === "object")
    ? bare(slicer, value as JsonSchema)
    : value;
}

/** Compute Engine says it in words only. */
const isSaidByVendor = (schema: JsonSchema & { readonly description?: string }): boolean =>
  schema.readOnly === true || /^\[Output Only\]/i.test(schema.description ?? "");

/** Secret Manager's v1 has a checksum that the published v1beta1 has not yet (npm @google-cloud/secret-manager 6.3.0, SecretPayload). */
function withLater(name: string, schema: JsonSchema): JsonSchema {
  if (name !== "secretmanager.SecretPayload") return schema;
  return { ...schema, properties: { ...schema.properties, dataCrc32c: { type: "string", format: "int64" } } };
}

let slice: ModelSlice | null = null;

export const gcpModel = (): ModelSlice =>
  (slice ??= JSON.parse(
    readFileSync(join(import.meta.dirname, "../../../../../fixtures/cloud-models/gcp.json"), "utf8"),
  ) as ModelSlice);

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly body: unknown;
}

export const seenRequest = ({ method, url, body }: HttpRequest): SeenRequest => ({
  method,
  path: url.pathname.replace(/:(\w+)$/, "/:$1"),
  query: [...url.searchParams],
  body: body === null ? undefined : (JSON.parse(Buffer.from(body).toString()) as unknown),
});

export const checkGcpRequest = (request: SeenRequest): ModelCheck => checkRequest(gcpModel(), request, []);

export const checkGcpResponse = (operation: string, status: number, body: unknown): readonly string[] =>
  checkResponse(gcpModel(), operation, status, body, "");

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2];
  if (folder === undefined) throw new Error("usage: model.ts DIRECTORY");
  const documents = new Map<string, Document>();
  const made = gcpSlice((name) => {
    const read = documents.get(name) ?? (JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as Document);
    documents.set(name, read);
    return read;
  });
  const lines = (part: object): string =>
    Object.entries(part)
      .map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`)
      .join(",\n");
  const parts = [`"version": ${JSON.stringify(made.version)}`, `"operations": {\n${lines(made.operations)}\n }`];
  process.stdout.write(`{\n ${[...parts, `"definitions": {\n${lines(made.definitions ?? {})}\n }`].join(",\n ")}\n}\n`);
}
