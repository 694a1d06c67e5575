/**
 * Holds a request, and the answer of a fake, against the vendor's published model. Stricter than the model where the model
 * is lenient: a field or a query name that it does not know is a violation, because a vendor ignores it silently.
 */
export interface JsonSchema {
  /** A name in the slice's definitions. */
  readonly $ref?: string;
  /** Only the vendor says it. */
  readonly readOnly?: boolean;
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly nullable?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
}

export interface ParameterModel {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly schema: JsonSchema;
}

export interface OperationModel {
  readonly parameters: readonly ParameterModel[];
  readonly body: JsonSchema | null;
  /** By status; null where the answer has no body. */
  readonly responses: Readonly<Record<string, JsonSchema | null>>;
}

export interface ModelSlice {
  readonly version: string;
  readonly operations: Readonly<Record<string, OperationModel>>;
  /** Shapes that several operations share, or that hold themselves. */
  readonly definitions?: Readonly<Record<string, JsonSchema>>;
}

/** Where a value is looked at: which shapes are known by name, and who says it. */
interface Judging {
  readonly model: ModelSlice;
  readonly isRequest: boolean;
  readonly violations: string[];
}

export interface ModelRequest {
  readonly method: string;
  /** Below the base. */
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly body: unknown;
}

export interface ModelCheck {
  /** The operation's name, or null when the model has none like it. */
  readonly operation: string | null;
  readonly violations: readonly string[];
}

/** Documented outside the model's parameters: `paging` are the names that every list takes. */
export function checkRequest(model: ModelSlice, request: ModelRequest, paging: readonly string[]): ModelCheck {
  const found = findOperation(model, request.method, request.path);
  if (found === null) return { operation: null, violations: [`no operation ${request.method} ${request.path}`] };
  const { name, operation, segments } = found;
  const violations: string[] = [];
  const judging: Judging = { model, isRequest: true, violations };
  for (const parameter of operation.parameters) {
    if (parameter.in === "path")
      check(parameter.schema, ofText(parameter.schema, segments[parameter.name] ?? ""), `path.${parameter.name}`, judging);
    if (parameter.in === "query" && parameter.required && !request.query.some(([key]) => key === parameter.name)) {
      violations.push(`query.${parameter.name} is missing`);
    }
  }
  const isList = request.method === "GET" && !request.path.match(/\/\d+$/);
  for (const [key, value] of request.query) {
    const parameter = operation.parameters.find((one) => one.in === "query" && one.name === key);
    if (parameter !== undefined) check(parameter.schema, ofText(parameter.schema, value), `query.${key}`, judging);
    else if (!isList || !paging.includes(key)) violations.push(`query.${key} is not known`);
  }
  if (operation.body === null) {
    if (request.body !== undefined) violations.push("a body where none is taken");
  } else check(operation.body, request.body, "body", judging);
  return { operation: name, violations };
}

/** Errors (status 400 and above) are described in prose only; their bodies are the provider's classification to test. */
export function checkResponse(
  model: ModelSlice,
  operation: string,
  status: number,
  body: unknown,
  paging: string,
): readonly string[] {
  if (status >= 400) return [];
  const responses = model.operations[operation]?.responses ?? {};
  if (!(String(status) in responses)) return [`${operation} never answers ${status}`];
  const schema = responses[String(status)] ?? null;
  if (schema === null) return body === undefined ? [] : [`${operation} ${status} has no body`];
  const violations: string[] = [];
  const known = resolved(schema, model);
  const withPaging: JsonSchema = { ...known, properties: { ...known.properties, [paging]: known.properties?.[paging] ?? {} } };
  check(known.properties === undefined ? known : withPaging, body, `${operation} ${status}`, {
    model,
    isRequest: false,
    violations,
  });
  return violations;
}

interface Template {
  readonly name: string;
  readonly operation: OperationModel;
  readonly method: string;
  readonly parts: readonly string[];
}

/** Templates taken apart, once for each model: a fake looks them up for every call. */
const templates = new WeakMap<ModelSlice, readonly Template[]>();

function templatesOf(model: ModelSlice): readonly Template[] {
  const known = templates.get(model);
  if (known !== undefined) return known;
  const fresh = Object.entries(model.operations).map(([name, operation]): Template => {
    const [method = "", template = ""] = name.split(" ");
    return { name, operation, method, parts: template.split("/") };
  });
  templates.set(model, fresh);
  return fresh;
}

function findOperation(model: ModelSlice, method: string, path: string) {
  const given = path.split("/");
  const found = templatesOf(model).find(
    (template) =>
      template.method === method &&
      template.parts.length === given.length &&
      template.parts.every((part, at) => (part.startsWith("{") ? given[at] !== "" : part === given[at])),
  );
  if (found === undefined) return null;
  const variables = found.parts.flatMap((part, at) =>
    part.startsWith("{") ? [[part.slice(1, -1), decodeURIComponent(given[at] ?? "")] as const] : [],
  );
  const segments: Readonly<Record<string, string>> = Object.fromEntries(variables);
  return { name: found.name, operation: found.operation, segments };
}

/** A path or query parameter is text; what it means depends on its schema. */
function ofText(schema: JsonSchema, text: string): unknown {
  if ((schema.type === "integer" || schema.type === "number") && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (schema.type === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}

function resolved(schema: JsonSchema, model: ModelSlice): JsonSchema {
  if (schema.$ref === undefined) return schema;
  const found = model.definitions?.[schema.$ref];
  if (found === undefined) throw new Error(`the model has no definition ${schema.$ref}`);
  return found;
}

function check(given: JsonSchema, value: unknown, at: string, judging: Judging): void {
  const schema = resolved(given, judging.model);
  if (judging.isRequest && given.readOnly === true && value !== undefined) {
    judging.violations.push(`${at} is for the vendor to say`);
    return;
  }
  if (value === null) {
    if (schema.nullable !== true) judging.violations.push(`${at} is null`);
    return;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value))
    judging.violations.push(`${at} is none of ${schema.enum.join(", ")}`);
  if (schema.type !== undefined && !isOfType(schema.type, value)) {
    judging.violations.push(`${at} is ${value === undefined ? "missing" : "no " + schema.type}`);
    return;
  }
  if (typeof value === "string") checkText(schema, value, at, judging);
  if (typeof value === "number") {
    if (value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity))
      judging.violations.push(`${at} is out of range`);
  }
  if (Array.isArray(value)) value.forEach((item, index) => check(schema.items ?? {}, item, `${at}[${index}]`, judging));
  else if (typeof value === "object") checkObject(schema, value as Record<string, unknown>, at, judging);
}

function checkText(schema: JsonSchema, value: string, at: string, judging: Judging): void {
  if (value.length < (schema.minLength ?? 0) || value.length > (schema.maxLength ?? Infinity))
    judging.violations.push(`${at} has a wrong length`);
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value))
    judging.violations.push(`${at} does not match its pattern`);
}

function checkObject(schema: JsonSchema, value: Record<string, unknown>, at: string, judging: Judging): void {
  for (const name of schema.required ?? []) if (value[name] === undefined) judging.violations.push(`${at}.${name} is missing`);
  // An object of which the model says nothing may hold anything: labels.
  const isOpen = schema.properties === undefined && schema.additionalProperties !== false;
  for (const [name, field] of Object.entries(value)) {
    const known = schema.properties?.[name];
    if (known !== undefined) check(known, field, `${at}.${name}`, judging);
    else if (typeof schema.additionalProperties === "object") check(schema.additionalProperties, field, `${at}.${name}`, judging);
    else if (!isOpen) judging.violations.push(`${at}.${name} is not known`);
  }
}

function isOfType(type: NonNullable<JsonSchema["type"]>, value: unknown): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}
