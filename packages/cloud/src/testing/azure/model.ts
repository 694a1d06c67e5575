/**
 * Cuts the operations that the provider uses out of the vendor's own client packages, which carry the models of their APIs as
 * objects ("mappers"): `node packages/cloud/src/testing/azure/model.ts NODE_MODULES > fixtures/cloud-models/azure.json`.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runInNewContext } from "node:vm";
import { build } from "esbuild";
import type { JsonSchema, ModelSlice, OperationModel, ParameterModel } from "../openapi-check.ts";
import { azureOperations, type AzureOperation } from "./operations.ts";

interface MapperType {
  readonly name: string;
  readonly className?: string;
  readonly allowedValues?: readonly unknown[];
  readonly element?: Mapper;
  readonly value?: Mapper;
  readonly modelProperties?: Readonly<Record<string, Mapper>>;
}
export interface Mapper {
  readonly type: MapperType;
  readonly serializedName?: string;
  readonly required?: boolean;
  readonly readOnly?: boolean;
  readonly nullable?: boolean;
  readonly isConstant?: boolean;
  readonly defaultValue?: unknown;
  readonly constraints?: Readonly<Record<string, unknown>>;
}
export interface OperationSpec {
  readonly path: string;
  readonly httpMethod: string;
  readonly responses: Readonly<Record<string, { readonly bodyMapper?: Mapper }>>;
  readonly requestBody?: { readonly mapper: Mapper };
  readonly queryParameters?: readonly { readonly mapper: Mapper }[];
  readonly urlParameters?: readonly { readonly mapper: Mapper }[];
}

/** Classes of which only the id is of use here, and which would pull in half of the vendor's network. */
const opaque: ReadonlySet<string> = new Set([
  ...["Subnet", "VirtualNetworkTap", "PrivateEndpoint", "NetworkSecurityGroup", "PrivateLinkService", "DscpConfiguration"],
  ...["ApplicationGatewayBackendAddressPool", "InboundNatRule", "NatGateway", "ApplicationSecurityGroup", "IPConfiguration"],
  ...["NetworkInterfaceTapConfiguration", "VirtualMachineExtension"],
]);
const wireTypes: Readonly<Record<string, JsonSchema>> = {
  String: { type: "string" },
  Uuid: { type: "string" },
  DateTime: { type: "string" },
  TimeSpan: { type: "string" },
  ByteArray: { type: "string" },
  Base64Url: { type: "string" },
  Number: { type: "number" },
  UnixTime: { type: "integer" },
  Boolean: { type: "boolean" },
  any: {},
};
/** The vendor's clients take this one from their options. */
const vaultVersion = "7.4";

/** One package's shapes become definitions as they are met; `prefix` keeps those of two packages apart. */
export function converter(mappers: Readonly<Record<string, Mapper>>, prefix: string, definitions: Record<string, JsonSchema>) {
  const composite = (type: MapperType): JsonSchema => {
    const name = type.className ?? "";
    if (opaque.has(name)) return { type: "object" };
    const id = `${prefix}.${name}`;
    if (definitions[id] === undefined) {
      // Before its parts: some hold themselves.
      definitions[id] = {};
      definitions[id] = objectOf(mappers[name]?.type.modelProperties ?? type.modelProperties ?? {});
    }
    return { $ref: id };
  };
  const objectOf = (properties: Readonly<Record<string, Mapper>>): JsonSchema => {
    const root: Tree = { fields: new Map(), required: [] };
    for (const mapper of Object.values(properties)) {
      const names = (mapper.serializedName ?? "").split(/(?<!\\)\./).map((name) => name.replaceAll("\\", ""));
      put(root, names, schemaOf(mapper), mapper.required === true && mapper.readOnly !== true);
    }
    return bare(root);
  };
  const schemaOf = (mapper: Mapper): JsonSchema => {
    const { type } = mapper;
    return { ...shapeOf(type), ...limits(mapper), ...(mapper.readOnly === true ? { readOnly: true } : {}) };
  };
  const shapeOf = (type: MapperType): JsonSchema => {
    if (type.name === "Composite") return composite(type);
    if (type.name === "Sequence") return { type: "array", items: type.element === undefined ? {} : schemaOf(type.element) };
    if (type.name === "Dictionary") {
      return { type: "object", additionalProperties: type.value === undefined ? true : schemaOf(type.value) };
    }
    if (type.name === "Enum") return { type: "string", enum: type.allowedValues ?? [] };
    const wire = wireTypes[type.name];
    if (wire === undefined) throw new Error(`no wire type for ${type.name}`);
    return wire;
  };
  return schemaOf;
}

/** Fields that the clients show flat and the wire has nested. */
interface Tree {
  readonly fields: Map<string, Tree | JsonSchema>;
  readonly required: string[];
}
const isTree = (node: Tree | JsonSchema): node is Tree => "fields" in node;

function put(tree: Tree, [name = "", ...rest]: readonly string[], schema: JsonSchema, isRequired: boolean): void {
  if (rest.length === 0) {
    tree.fields.set(name, schema);
    if (isRequired) tree.required.push(name);
    return;
  }
  const known = tree.fields.get(name);
  const below: Tree = known !== undefined && isTree(known) ? known : { fields: new Map(), required: [] };
  tree.fields.set(name, below);
  put(below, rest, schema, isRequired);
}

const bare = ({ fields, required }: Tree): JsonSchema => ({
  type: "object",
  properties: Object.fromEntries([...fields].map(([name, node]) => [name, isTree(node) ? bare(node) : node])),
  ...(required.length === 0 ? {} : { required: required.toSorted() }),
});

function limits({ constraints = {}, nullable, isConstant, defaultValue }: Mapper): JsonSchema {
  const {
    MaxLength: maxLength,
    MinLength: minLength,
    InclusiveMinimum: minimum,
    InclusiveMaximum: maximum,
  } = constraints as {
    readonly [key: string]: number | undefined;
  };
  const pattern = constraints["Pattern"];
  return {
    ...(maxLength === undefined ? {} : { maxLength }),
    ...(minLength === undefined ? {} : { minLength }),
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
    ...(pattern instanceof RegExp ? { pattern: pattern.source } : {}),
    ...(nullable === true ? { nullable } : {}),
    ...(isConstant === true ? { enum: [defaultValue] } : {}),
  };
}

export function operationModel(spec: OperationSpec, schemaOf: (mapper: Mapper) => JsonSchema): OperationModel {
  const parameters = (list: OperationSpec["queryParameters"], place: string): readonly ParameterModel[] =>
    (list ?? [])
      .filter(({ mapper }) => mapper.serializedName !== "$host" && mapper.serializedName !== "vaultBaseUrl")
      .map(({ mapper }) => {
        const name = mapper.serializedName ?? "";
        const isVersion = name === "api-version";
        const schema = schemaOf(mapper);
        const isOpen = isVersion && schema.enum === undefined;
        return {
          name,
          in: place,
          required: isVersion || mapper.required === true,
          schema: isOpen ? { type: "string", enum: [vaultVersion] } : schema,
        };
      });
  const good = Object.entries(spec.responses).filter(([status]) => status !== "default");
  return {
    parameters: [...parameters(spec.urlParameters, "path"), ...parameters(spec.queryParameters, "query")],
    body: spec.requestBody === undefined ? null : schemaOf(spec.requestBody.mapper),
    responses: Object.fromEntries(
      good.map(([status, { bodyMapper }]) => [status, bodyMapper === undefined ? null : schemaOf(bodyMapper)]),
    ),
  };
}

interface Package {
  readonly mappers: Readonly<Record<string, Mapper>>;
  readonly specOf: (name: string) => OperationSpec;
}

/** The specs are not exported and some packages import without endings, so shapes are bundled and a spec is read as the text it is. */
async function packageOf(folder: string, { package: from, file }: AzureOperation): Promise<Package> {
  const path = join(folder, from, file);
  const models = join(path.includes("/operations/") ? dirname(dirname(path)) : dirname(path), "models");
  const contents = ["Mappers", "Parameters"]
    .map((name) => `export * as ${name} from ${JSON.stringify(`./${name.toLowerCase()}.js`)};`)
    .join("");
  const bundle = await build({
    stdin: { contents, resolveDir: models },
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
  });
  const code = Buffer.from(bundle.outputFiles[0]?.text ?? "").toString("base64");
  const shapes = (await import(`data:text/javascript;base64,${code}`)) as {
    readonly Mappers: Package["mappers"];
    readonly Parameters: object;
  };
  const text = readFileSync(path, "utf8");
  return {
    mappers: shapes.Mappers,
    specOf: (name) => {
      const [, spec] = new RegExp(`^const ${name}OperationSpec = (\\{.*?^\\});`, "ms").exec(text) ?? [];
      if (spec === undefined) throw new Error(`${from} has no ${name} in ${file}`);
      const scope = { Mappers: shapes.Mappers, Parameters: shapes.Parameters, serializer: null };
      return runInNewContext(`(${spec})`, scope) as OperationSpec;
    },
  };
}

async function sliceOf(folder: string): Promise<ModelSlice> {
  const definitions: Record<string, JsonSchema> = {};
  const operations: Record<string, OperationModel> = {};
  for (const operation of azureOperations) {
    const { mappers, specOf } = await packageOf(folder, operation);
    const spec = specOf(operation.name);
    const schemaOf = converter(mappers, operation.package.replace(/^@azure\/(arm-)?/, ""), definitions);
    const key = operation.at ?? `${spec.httpMethod} ${spec.path.replace(/^(?!\/)/, "/")}`;
    operations[key] = operationModel(spec, schemaOf);
  }
  return { version: "see the README beside this file", operations, definitions };
}

if (process.argv[1] === import.meta.filename) {
  const [, , folder] = process.argv;
  if (folder === undefined) throw new Error("usage: model NODE_MODULES");
  process.stdout.write(`${JSON.stringify(await sliceOf(folder), null, 1)}\n`);
}
