/**
 * Holds requests and the fakes' answers against the vendor's own service models, in their dialects: EC2's forms (flattened lists)
 * and the Query forms of other services (`.member.N`), both answered in XML; and JSON. Slices are made by
 * `node packages/cloud/src/testing/aws/model.ts ec2 MODEL.min.json > fixtures/cloud-models/aws-ec2.json`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { XmlElement } from "@rgrove/parse-xml";

export interface AwsShape {
  /** Without a type it is a structure when it has members, and else a text. */
  readonly type?: string;
  readonly shape?: string;
  readonly locationName?: string;
  readonly members?: Readonly<Record<string, AwsShape>>;
  readonly member?: AwsShape;
  readonly required?: readonly string[];
  readonly key?: AwsShape;
  readonly value?: AwsShape;
  readonly flattened?: boolean;
  /** The element around a Query answer's fields. */
  readonly resultWrapper?: string;
}

export interface AwsModel {
  readonly metadata: { readonly protocol: string; readonly apiVersion: string; readonly targetPrefix?: string };
  readonly operations: Readonly<Record<string, { readonly input?: AwsShape; readonly output?: AwsShape }>>;
  readonly shapes: Readonly<Record<string, AwsShape>>;
}

/** What the provider calls, by service: the name of its slice. */
export const awsOperations = {
  ec2: [
    "CreateTags",
    "DeleteTags",
    "DescribeAccountAttributes",
    "DescribeImages",
    "DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes",
    "DescribeInstances",
    "DescribeSubnets",
    "RebootInstances",
    "RunInstances",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
  ],
  elbv2: [
    "DeregisterTargets",
    "DescribeTargetGroupAttributes",
    "DescribeTargetGroups",
    "DescribeTargetHealth",
    "ModifyTargetGroupAttributes",
    "RegisterTargets",
  ],
  sts: ["AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"],
  secretsmanager: ["BatchGetSecretValue", "GetSecretValue"],
  acm: [
    "DeleteCertificate",
    "DescribeCertificate",
    "ImportCertificate",
    "ListCertificates",
    "ListTagsForCertificate",
    "RequestCertificate",
  ],
} as const;

export type AwsService = keyof typeof awsOperations;

const services = Object.keys(awsOperations) as readonly AwsService[];

/** The committed slice of a service's model. */
export const awsModel = (service: AwsService): AwsModel =>
  JSON.parse(
    readFileSync(join(import.meta.dirname, `../../../../../fixtures/cloud-models/aws-${service}.json`), "utf8"),
  ) as AwsModel;

/** The operations and every shape that they reach. */
export function sliceOf(model: AwsModel, operations: readonly string[]): AwsModel {
  const shapes: Record<string, AwsShape> = {};
  const visit = (shape: AwsShape | undefined): void => {
    if (shape === undefined) return;
    if (shape.shape !== undefined && shapes[shape.shape] === undefined) {
      const target = model.shapes[shape.shape];
      if (target === undefined) throw new Error(`no shape ${shape.shape}`);
      shapes[shape.shape] = target;
      visit(target);
    }
    Object.values(shape.members ?? {}).forEach(visit);
    visit(shape.member);
    visit(shape.key);
    visit(shape.value);
  };
  const kept = operations.map((name) => {
    const operation = model.operations[name];
    if (operation === undefined) throw new Error(`the model has no ${name}`);
    visit(operation.input);
    visit(operation.output);
    const { input, output } = operation;
    return [name, { ...(input === undefined ? {} : { input }), ...(output === undefined ? {} : { output }) }] as const;
  });
  const { protocol, apiVersion, targetPrefix } = model.metadata;
  const metadata = { protocol, apiVersion, ...(targetPrefix === undefined ? {} : { targetPrefix }) };
  return { metadata, operations: Object.fromEntries(kept), shapes };
}

/** Violations of a form's parameters; `Action` and `Version` are not among them. */
export function checkParams(model: AwsModel, action: string, params: readonly (readonly [string, string])[]): readonly string[] {
  const operation = model.operations[action];
  if (operation === undefined) return [`no operation ${action}`];
  const violations: string[] = [];
  const tree = treeOf(params, violations);
  checkTree(model, operation.input ?? { type: "structure", members: {} }, tree, action, violations);
  return violations;
}

interface Tree {
  value: string | null;
  readonly children: Map<string, Tree>;
}

function treeOf(params: readonly (readonly [string, string])[], violations: string[]): Tree {
  const root: Tree = { value: null, children: new Map() };
  for (const [key, value] of params) {
    let at = root;
    for (const part of key.split(".")) {
      const next = at.children.get(part) ?? { value: null, children: new Map() };
      at.children.set(part, next);
      at = next;
    }
    if (at.value !== null) violations.push(`${key} comes twice`);
    at.value = value;
  }
  return root;
}

/** The location's name, or the member's own; in EC2's dialect with its first letter upper-case. */
const wireName = (model: AwsModel, name: string, shape: AwsShape): string => {
  const location = shape.locationName ?? name;
  return isEc2(model) ? location.charAt(0).toUpperCase() + location.slice(1) : location;
};

const isEc2 = (model: AwsModel): boolean => model.metadata.protocol === "ec2";

const resolvedShapes = new WeakMap<AwsShape, AwsShape>();
function resolved(model: AwsModel, shape: AwsShape): AwsShape {
  if (shape.shape === undefined) return shape;
  const known = resolvedShapes.get(shape) ?? { ...model.shapes[shape.shape], ...shape };
  resolvedShapes.set(shape, known);
  return known;
}

const byLocation = new WeakMap<AwsShape, ReadonlyMap<string, AwsShape>>();
/** A structure's members by the names of their elements. */
function elementMembers(shape: AwsShape): ReadonlyMap<string, AwsShape> {
  const known = byLocation.get(shape);
  if (known !== undefined) return known;
  const members = Object.entries(shape.members ?? {}).map(([name, member]) => [member.locationName ?? name, member] as const);
  const fresh = new Map(members);
  byLocation.set(shape, fresh);
  return fresh;
}

function kindOf(shape: AwsShape): string {
  return shape.type ?? (shape.members === undefined ? "string" : "structure");
}

function checkTree(model: AwsModel, given: AwsShape, tree: Tree, at: string, violations: string[]): void {
  const shape = resolved(model, given);
  const kind = kindOf(shape);
  if (kind === "structure" || kind === "list") {
    if (tree.value !== null) violations.push(`${at} is a ${kind}, not a text`);
    if (kind === "list") checkListTree(model, shape, tree, at, violations);
    else checkStructureTree(model, shape, tree, at, violations);
    return;
  }
  if (tree.children.size > 0) violations.push(`${at} is a ${kind} and has no ${[...tree.children.keys()].join(", ")}`);
  else if (tree.value === null) violations.push(`${at} is empty`);
  else if ((kind === "integer" || kind === "long") && !/^-?\d+$/.test(tree.value)) violations.push(`${at} is no ${kind}`);
  else if (kind === "boolean" && !/^(true|false)$/.test(tree.value)) violations.push(`${at} is no boolean`);
}

function checkListTree(model: AwsModel, shape: AwsShape, tree: Tree, at: string, violations: string[]): void {
  const item = shape.member?.locationName ?? "member";
  const inner = isEc2(model) || shape.flattened === true ? tree : tree.children.get(item);
  const strange = [...tree.children.keys()].filter((key) => inner !== tree && key !== item);
  if (strange.length > 0 || inner === undefined) {
    violations.push(`${at} is a list of ${item}, not of ${strange.join(", ")}`);
    return;
  }
  const indexes = [...inner.children.keys()];
  if (indexes.some((index, nth) => index !== String(nth + 1)))
    violations.push(`${at} is a list that counts ${indexes.join(", ")}`);
  else for (const [index, one] of inner.children) checkTree(model, shape.member ?? {}, one, `${at}.${index}`, violations);
}

function checkStructureTree(model: AwsModel, shape: AwsShape, tree: Tree, at: string, violations: string[]): void {
  const members = Object.entries(shape.members ?? {}).map(([name, member]) => ({
    name,
    wire: wireName(model, name, member),
    member,
  }));
  for (const { name, wire } of members) {
    if (shape.required?.includes(name) === true && !tree.children.has(wire)) violations.push(`${at}.${wire} is missing`);
  }
  for (const [key, child] of tree.children) {
    const found = members.find(({ wire }) => wire === key);
    if (found === undefined) violations.push(`${at}.${key} is not known`);
    else checkTree(model, found.member, child, `${at}.${key}`, violations);
  }
}

/** Violations of an answer's root element. */
export function checkAnswer(model: AwsModel, action: string, root: XmlElement): readonly string[] {
  const violations: string[] = [];
  if (root.name !== `${action}Response`) violations.push(`the root is ${root.name}`);
  const given = model.operations[action]?.output;
  if (isEc2(model)) {
    const fields = elementsIn(root).filter((element) => element.name !== "requestId");
    checkFields(model, resolved(model, given ?? done), fields, action, violations);
    return violations;
  }
  const wrapper = given?.resultWrapper;
  for (const element of elementsIn(root)) {
    if (element.name === "ResponseMetadata") continue;
    if (element.name === wrapper && given !== undefined)
      checkFields(model, resolved(model, given), elementsIn(element), action, violations);
    else violations.push(`${action}.${element.name} is not known`);
  }
  return violations;
}

/** What EC2 answers where the model has no output. */
const done: AwsShape = { type: "structure", members: { Return: { locationName: "return", type: "boolean" } } };

const elementsIn = (element: XmlElement): XmlElement[] =>
  element.children.filter((child): child is XmlElement => child.type === "element");

function checkFields(model: AwsModel, shape: AwsShape, fields: readonly XmlElement[], at: string, violations: string[]): void {
  for (const field of fields) {
    const member = elementMembers(shape).get(field.name);
    if (member === undefined) violations.push(`${at}.${field.name} is not known`);
    else checkElement(model, member, field, `${at}.${field.name}`, violations);
  }
}

function checkElement(model: AwsModel, given: AwsShape, element: XmlElement, at: string, violations: string[]): void {
  const shape = resolved(model, given);
  const kind = kindOf(shape);
  const inner = elementsIn(element);
  if (kind === "structure") return checkFields(model, shape, inner, at, violations);
  if (kind === "list") {
    const item = shape.member?.locationName ?? (isEc2(model) ? "item" : "member");
    for (const one of inner) {
      if (one.name === item) checkElement(model, shape.member ?? {}, one, `${at}.${item}`, violations);
      else violations.push(`${at}.${one.name} is no ${item}`);
    }
    return;
  }
  if (inner.length > 0) violations.push(`${at} is a ${kind}`);
  if (kind === "timestamp" && Number.isNaN(Date.parse(element.text))) violations.push(`${at} is no time`);
}

/** Violations of a JSON request ("input") or answer ("output"). */
export function checkJson(model: AwsModel, action: string, side: "input" | "output", value: unknown): readonly string[] {
  const operation = model.operations[action];
  if (operation === undefined) return [`no operation ${action}`];
  const violations: string[] = [];
  checkValue(model, operation[side] ?? { type: "structure", members: {} }, value, action, violations);
  return violations;
}

function checkValue(model: AwsModel, given: AwsShape, value: unknown, at: string, violations: string[]): void {
  const shape = resolved(model, given);
  const kind = kindOf(shape);
  if (kind === "list") {
    if (!Array.isArray(value)) violations.push(`${at} is no list`);
    else value.forEach((one, nth) => checkValue(model, shape.member ?? {}, one, `${at}.${nth}`, violations));
  } else if (kind === "structure" || kind === "map") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) violations.push(`${at} is no ${kind}`);
    else if (kind === "structure") checkObject(model, shape, value as Record<string, unknown>, at, violations);
    else for (const [key, one] of Object.entries(value)) checkValue(model, shape.value ?? {}, one, `${at}.${key}`, violations);
  } else if (!fitsScalar(kind, value)) violations.push(`${at} is no ${kind}`);
}

function fitsScalar(kind: string, value: unknown): boolean {
  switch (kind) {
    case "integer":
    case "long":
      return Number.isSafeInteger(value);
    // Seconds, with a fraction.
    case "timestamp":
    case "double":
    case "float":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "blob":
      return typeof value === "string" && Buffer.from(value, "base64").toString("base64") === value;
    default:
      return typeof value === "string";
  }
}

function checkObject(
  model: AwsModel,
  shape: AwsShape,
  value: Readonly<Record<string, unknown>>,
  at: string,
  violations: string[],
): void {
  for (const name of shape.required ?? []) if (!Object.hasOwn(value, name)) violations.push(`${at}.${name} is missing`);
  for (const [name, one] of Object.entries(value)) {
    const member = shape.members?.[name];
    if (member === undefined) violations.push(`${at}.${name} is not known`);
    else checkValue(model, member, one, `${at}.${name}`, violations);
  }
}

if (process.argv[1] === import.meta.filename) {
  const [service, file] = process.argv.slice(2);
  const operations = services.includes(service as AwsService) ? awsOperations[service as AwsService] : undefined;
  if (file === undefined || operations === undefined) throw new Error(`usage: model ${services.join("|")} MODEL.min.json`);
  process.stdout.write(`${JSON.stringify(sliceOf(JSON.parse(readFileSync(file, "utf8")) as AwsModel, operations), null, 1)}\n`);
}
