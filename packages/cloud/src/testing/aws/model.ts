/**
 * Holds EC2 requests (flattened form parameters) and the fake's XML answers against the vendor's own service model. Slices are
 * made by `node packages/cloud/src/testing/aws/model.ts MODEL.min.json > fixtures/cloud-models/aws-ec2.json`.
 */
import { readFileSync } from "node:fs";
import type { XmlElement } from "@rgrove/parse-xml";

export interface AwsShape {
  /** Without a type it is a structure when it has members, and else a text. */
  readonly type?: string;
  readonly shape?: string;
  readonly locationName?: string;
  readonly members?: Readonly<Record<string, AwsShape>>;
  readonly member?: AwsShape;
  readonly required?: readonly string[];
}

export interface AwsModel {
  readonly operations: Readonly<Record<string, { readonly input?: AwsShape; readonly output?: AwsShape }>>;
  readonly shapes: Readonly<Record<string, AwsShape>>;
}

export const ec2Operations = [
  "CreateTags",
  "DeleteTags",
  "DescribeImages",
  "DescribeInstanceTypeOfferings",
  "DescribeInstances",
  "RebootInstances",
  "RunInstances",
  "StartInstances",
  "StopInstances",
  "TerminateInstances",
] as const;

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
  };
  const kept = operations.map((name) => {
    const operation = model.operations[name];
    if (operation === undefined) throw new Error(`the model has no ${name}`);
    visit(operation.input);
    visit(operation.output);
    const { input, output } = operation;
    return [name, { ...(input === undefined ? {} : { input }), ...(output === undefined ? {} : { output }) }] as const;
  });
  return { operations: Object.fromEntries(kept), shapes };
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

/** The EC2 dialect: the location's name, or the member's own, with its first letter upper-case. */
const wireName = (name: string, shape: AwsShape): string => {
  const location = shape.locationName ?? name;
  return location.charAt(0).toUpperCase() + location.slice(1);
};

const resolved = (model: AwsModel, shape: AwsShape): AwsShape =>
  shape.shape === undefined ? shape : { ...model.shapes[shape.shape], ...shape };

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
  const indexes = [...tree.children.keys()];
  if (indexes.some((index, nth) => index !== String(nth + 1)))
    violations.push(`${at} is a list that counts ${indexes.join(", ")}`);
  else for (const [index, item] of tree.children) checkTree(model, shape.member ?? {}, item, `${at}.${index}`, violations);
}

function checkStructureTree(model: AwsModel, shape: AwsShape, tree: Tree, at: string, violations: string[]): void {
  const members = Object.entries(shape.members ?? {}).map(([name, member]) => ({ name, wire: wireName(name, member), member }));
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
  const fields = elementsIn(root).filter((element) => element.name !== "requestId");
  const output = model.operations[action]?.output ?? {
    type: "structure",
    members: { Return: { locationName: "return", type: "boolean" } },
  };
  checkFields(model, resolved(model, output), fields, action, violations);
  return violations;
}

const elementsIn = (element: XmlElement): XmlElement[] =>
  element.children.filter((child): child is XmlElement => child.type === "element");

function checkFields(model: AwsModel, shape: AwsShape, fields: readonly XmlElement[], at: string, violations: string[]): void {
  for (const field of fields) {
    const member = Object.entries(shape.members ?? {}).find(([name, one]) => (one.locationName ?? name) === field.name)?.[1];
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
    const item = shape.member?.locationName ?? "item";
    for (const one of inner) {
      if (one.name === item) checkElement(model, shape.member ?? {}, one, `${at}.${item}`, violations);
      else violations.push(`${at}.${one.name} is no ${item}`);
    }
    return;
  }
  if (inner.length > 0) violations.push(`${at} is a ${kind}`);
  if (kind === "timestamp" && Number.isNaN(Date.parse(element.text))) violations.push(`${at} is no time`);
}

if (process.argv[1] === import.meta.filename) {
  const file = process.argv[2];
  if (file === undefined) throw new Error("usage: model MODEL.min.json");
  process.stdout.write(
    `${JSON.stringify(sliceOf(JSON.parse(readFileSync(file, "utf8")) as AwsModel, ec2Operations), null, 1)}\n`,
  );
}
