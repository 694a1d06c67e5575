import { describe, expect, it } from "vitest";
import { parseIni } from "./ini.ts";

const parse = (text: string) => Object.fromEntries(parseIni(text));

describe("the files of AWS's tools", () => {
  it("are sections of names and values, with whatever spaces and line ends", () => {
    const text =
      "\uFEFF[default]\r\nregion=eu-central-1\r\n\r\n[ profile  ops ] # for ops\r\nRole_ARN = arn:aws:iam::1:role/x\r\n";
    expect(parse(text)).toEqual({ default: { region: "eu-central-1" }, "profile ops": { role_arn: "arn:aws:iam::1:role/x" } });
  });
  it("keep signs that mean something elsewhere: a secret may contain them", () => {
    expect(parse("[a]\naws_secret_access_key = ab=c/d+e#f;g==\n")).toEqual({ a: { aws_secret_access_key: "ab=c/d+e#f;g==" } });
  });
  it("have comments at the beginning of a line and behind a space", () => {
    expect(parse("# x = 1\n; y = 2\n[a]\n#[b]\nregion = us-east-1 # not eu\n")).toEqual({ a: { region: "us-east-1" } });
  });
  it("have values with values in them, which are passed over", () => {
    expect(parse("[a]\ns3 =\n  region = other\nregion = us-east-1\n")).toEqual({ a: { s3: "", region: "us-east-1" } });
  });
  it("may say a section or a name twice: the last counts", () => {
    expect(parse("[a]\nx = 1\ny = 1\n[b]\n[a]\nx = 2\n")).toEqual({ a: { x: "2", y: "1" }, b: {} });
  });
  it("may hold what is none of it", () => {
    expect(parse("x = 1\nnonsense\n[a]\nnonsense\n= 3\n[]\ny = 1\n")).toEqual({ a: {}, "": { y: "1" } });
    expect(parse("")).toEqual({});
    expect(parse("[__proto__]\nx = 1\n[a]\n__proto__ = 1\n")["a"]).not.toHaveProperty("x");
  });
});
