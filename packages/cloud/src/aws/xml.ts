/**
 * XML answers of EC2 and of the Query services. The parser knows the five predefined entities and character references and nothing
 * else: a document type declares none, so there are no entity bombs and no external files. An answer with a document type is
 * refused all the same.
 */
import { parseXml, XmlElement } from "@rgrove/parse-xml";

export interface XmlNode {
  readonly name: string;
  /** All text inside. */
  readonly text: string;
  /** The first child element of that name. */
  readonly child: (name: string) => XmlNode | null;
  /** Text of the first child of that name, "" when there is none. */
  readonly textOf: (name: string) => string;
  /** EC2 gives lists as `<nameSet><item/><item/></nameSet>`; empty when there is no such child. */
  readonly items: (name: string) => readonly XmlNode[];
  /** Query services give lists as `<Name><member/><member/></Name>`. */
  readonly members: (name: string) => readonly XmlNode[];
}

/** Deeper than any answer; a limit for the recursion. */
const depthMax = 64;

/** The root element, or null when this is no XML that may be read. */
export function parseAnswer(bytes: Uint8Array): XmlNode | null {
  const text = Buffer.from(bytes).toString("utf8");
  if (/<!DOCTYPE/i.test(text)) return null;
  try {
    const { root } = parseXml(text);
    return root === null || depthOf(root, 0) > depthMax ? null : nodeOf(root);
  } catch {
    return null;
  }
}

const elementsIn = (element: XmlElement): readonly XmlElement[] =>
  element.children.filter((child) => child instanceof XmlElement);

const depthOf = (element: XmlElement, depth: number): number =>
  depth > depthMax ? depth : Math.max(depth, ...elementsIn(element).map((child) => depthOf(child, depth + 1)));

function nodeOf(element: XmlElement): XmlNode {
  const children = elementsIn(element);
  const child = (name: string): XmlNode | null => {
    const found = children.find((one) => one.name === name);
    return found === undefined ? null : nodeOf(found);
  };
  const list = (name: string, item: string): readonly XmlNode[] => {
    const found = children.find((one) => one.name === name);
    return found === undefined ? [] : elementsIn(found).flatMap((one) => (one.name === item ? [nodeOf(one)] : []));
  };
  return {
    name: element.name,
    text: element.text,
    child,
    textOf: (name) => children.find((one) => one.name === name)?.text ?? "",
    items: (name) => list(name, "item"),
    members: (name) => list(name, "member"),
  };
}
