/**
 * Stoplight's Prism as a proxy between a provider and its fake: a second reader, by other people, of what both say, over the
 * vendor's document. A request or an answer that does not fit is a violation.
 */
import { createRequire } from "node:module";
import type { JsonSchema, ModelSlice } from "./openapi-check.ts";

/** What of an OpenAPI 3 document Prism looks at. */
export interface OpenApiDocument {
  readonly openapi: "3.0.3";
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: {
    readonly securitySchemes: { readonly bearer: { readonly type: "http"; readonly scheme: "bearer" } };
    readonly schemas: Readonly<Record<string, JsonSchema>>;
  };
  readonly security: readonly [{ readonly bearer: readonly [] }];
}

export interface DocumentOptions {
  /** Of every error's body: the documents describe errors in prose only. */
  readonly error: JsonSchema;
  /** Refuses what the vendor's document does not name. It says so itself hardly ever, though its servers ignore such fields. */
  readonly isClosed?: boolean;
}

/** A whole document again, out of a slice. Every operation needs a bearer token. Shapes that have a name stay as open as they are. */
export function documentOf(model: ModelSlice, { error, isClosed = false }: DocumentOptions): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {};
  const content = (schema: JsonSchema): unknown => ({ "application/json": { schema: located(schema) } });
  for (const [name, operation] of Object.entries(model.operations)) {
    const [method = "", path = ""] = name.split(" ");
    const answers = Object.entries(operation.responses).map(([status, schema]) => {
      return [status, schema === null ? { description: "" } : { description: "", content: content(schema) }];
    });
    paths[path] = {
      ...paths[path],
      [method.toLowerCase()]: {
        // A path that is one of several that a template stands for has not all of its parts.
        parameters: operation.parameters.filter((one) => one.in !== "path" || path.includes(`{${one.name}}`)),
        ...(operation.body === null
          ? {}
          : { requestBody: { required: true, content: content(isClosed ? closed(operation.body) : operation.body) } }),
        responses: {
          ...Object.fromEntries(answers),
          "4XX": { description: "", content: content(error) },
          "5XX": { description: "", content: content(error) },
        },
      },
    };
  }
  const schemas = Object.entries(model.definitions ?? {}).map(([name, schema]) => [name, located(schema)] as const);
  return {
    openapi: "3.0.3",
    info: { title: "a slice", version: model.version },
    paths,
    components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } }, schemas: Object.fromEntries(schemas) },
    security: [{ bearer: [] }],
  };
}

/** A name in the slice's definitions becomes a place in the document. */
function located(schema: JsonSchema): JsonSchema {
  if (schema.$ref !== undefined) return { $ref: `#/components/schemas/${schema.$ref}` };
  const { properties, items, additionalProperties } = schema;
  return {
    ...schema,
    ...(items === undefined ? {} : { items: located(items) }),
    ...(typeof additionalProperties === "object" ? { additionalProperties: located(additionalProperties) } : {}),
    ...(properties === undefined ? {} : { properties: mapped(properties, located) }),
  };
}

const mapped = (fields: Readonly<Record<string, JsonSchema>>, change: (field: JsonSchema) => JsonSchema) =>
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, change(field)]));

function closed(schema: JsonSchema): JsonSchema {
  const { properties, items, additionalProperties } = schema;
  return {
    ...schema,
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(properties === undefined
      ? {}
      : {
          properties: mapped(properties, closed),
          additionalProperties: additionalProperties ?? false,
        }),
  };
}

export interface PrismProxy {
  /** "http://127.0.0.1:port", without the path of `upstream`. */
  readonly url: string;
  /** Exchanges that went through. */
  readonly exchanges: number;
  /** "request.body.name must be string", and exchanges that Prism could not route or pass on. */
  readonly violations: readonly string[];
  readonly close: () => Promise<void>;
}

/** Prism's operations, made once from a document (it takes some 100 ms). */
export type PrismOperations = object & { readonly PrismOperations: unique symbol };

/** The parts of Prism's own interface that are used here; its types bring those of six other packages. */
interface PrismHttp {
  readonly getHttpOperationsFromSpec: (document: OpenApiDocument) => Promise<PrismOperations>;
}
interface PrismServer {
  readonly createServer: (
    operations: PrismOperations,
    options: { readonly cors: false; readonly config: object; readonly components: { readonly logger: object } },
  ) => { readonly listen: (port: number, address: string) => Promise<string>; readonly close: () => Promise<void> };
}

const require = createRequire(import.meta.url);

export const prismOperations = (document: OpenApiDocument): Promise<PrismOperations> =>
  (require("@stoplight/prism-http") as PrismHttp).getHttpOperationsFromSpec(document);

/** Listens on 127.0.0.1 and passes everything on to `upstream`, whatever it thinks of it. */
export async function behindPrism(operations: PrismOperations, upstream: string): Promise<PrismProxy> {
  const violations: string[] = [];
  let exchanges = 0;
  const note = (_: unknown, message: string): void => void violations.push(message.replace(/^Violation: /, ""));
  const silent = (): void => {};
  const logger = {
    info: (_: unknown, message: unknown) => {
      if (message === "Request received") exchanges += 1;
    },
    warn: note,
    error: note,
    debug: silent,
    trace: silent,
    success: silent,
    // What its parts say about the same violations, in other words.
    child: () => ({ info: silent, warn: silent, error: silent, debug: silent, trace: silent, success: silent }),
  };
  const config = {
    isProxy: true,
    upstream: new URL(upstream),
    checkSecurity: true,
    validateRequest: true,
    validateResponse: true,
    errors: false,
    mock: { dynamic: false },
    upstreamProxy: undefined,
  };
  const server = (require("@stoplight/prism-http-server") as PrismServer).createServer(operations, {
    cors: false,
    config,
    components: { logger },
  });
  const url = await server.listen(0, "127.0.0.1");
  return {
    url,
    violations,
    get exchanges() {
      return exchanges;
    },
    close: () => server.close(),
  };
}

/** Puts proxies before fakes, one for each world of a suite, and keeps what all of them saw. */
export class PrismWatch {
  /** Exchanges that went through those that are closed. */
  exchanges = 0;
  readonly #document: OpenApiDocument;
  #operations: Promise<PrismOperations> | null = null;
  #open: PrismProxy[] = [];

  constructor(document: OpenApiDocument) {
    this.#document = document;
  }

  readonly before = async (upstream: string): Promise<PrismProxy> => {
    const proxy = await behindPrism(await (this.#operations ??= prismOperations(this.#document)), upstream);
    this.#open.push(proxy);
    return proxy;
  };

  /** Ends those that are open, and gives the violations that they saw. */
  async close(): Promise<readonly string[]> {
    const proxies = this.#open.splice(0);
    await Promise.all(proxies.map((proxy) => proxy.close()));
    this.exchanges += proxies.reduce((sum, proxy) => sum + proxy.exchanges, 0);
    return proxies.flatMap(({ violations }) => violations);
  }
}
