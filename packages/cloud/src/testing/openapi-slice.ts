/**
 * Cuts the operations that a provider uses out of a vendor's published OpenAPI 3 document, without the prose:
 * `node packages/cloud/src/testing/openapi-slice.ts hetzner DOCUMENT.json > fixtures/cloud-models/hetzner.json`.
 */
import { readFileSync } from "node:fs";
import { hetznerOperations } from "./hetzner/operations.ts";
import type { JsonSchema, ModelSlice, OperationModel, ParameterModel } from "./openapi-check.ts";

interface Document {
  readonly info: { readonly version: string };
  readonly paths: Record<string, Record<string, DocumentOperation>>;
}
interface DocumentOperation {
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: JsonSchema }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: JsonSchema }> };
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: JsonSchema }> }>;
}

export function sliceOf(document: Document, operations: readonly string[]): ModelSlice {
  return {
    version: document.info.version,
    operations: Object.fromEntries(operations.map((name) => [name, operationOf(document, name)])),
  };
}

function operationOf(document: Document, name: string): OperationModel {
  const [method = "", path = ""] = name.split(" ");
  const operation = document.paths[path]?.[method.toLowerCase()];
  if (operation === undefined) throw new Error(`the document has no ${name}`);
  const parameters = (operation.parameters ?? []).map((parameter): ParameterModel => ({
    name: parameter.name,
    in: parameter.in,
    required: parameter.required ?? false,
    schema: bare(parameter.schema),
  }));
  const body = operation.requestBody?.content["application/json"]?.schema;
  const responses = Object.entries(operation.responses).map(([status, response]) => {
    const schema = response.content?.["application/json"]?.schema;
    return [status, schema === undefined ? null : bare(schema)] as const;
  });
  return { parameters, body: body === undefined ? null : bare(body), responses: Object.fromEntries(responses) };
}

const prose: ReadonlySet<string> = new Set(["description", "title", "example", "examples"]);

/** A schema without what only people read. Below `properties` the keys are names of fields, whatever they look like. */
function bare(schema: JsonSchema, isProperties = false): JsonSchema {
  const entries = Object.entries(schema).filter(([key]) => isProperties || !prose.has(key));
  return Object.fromEntries(entries.map(([key, value]) => [key, isSchema(value) ? bare(value, key === "properties") : value]));
}

const isSchema = (value: unknown): value is JsonSchema => value !== null && typeof value === "object" && !Array.isArray(value);

if (process.argv[1] === import.meta.filename) {
  const [, , provider, file] = process.argv;
  if (provider !== "hetzner" || file === undefined) throw new Error("usage: openapi-slice hetzner DOCUMENT.json");
  const document = JSON.parse(readFileSync(file, "utf8")) as Document;
  process.stdout.write(`${JSON.stringify(sliceOf(document, hetznerOperations), null, 1)}\n`);
}
