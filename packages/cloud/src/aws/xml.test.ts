import { describe, expect, it } from "vitest";
import { parseAnswer } from "./xml.ts";

const parse = (text: string) => parseAnswer(Buffer.from(text));

describe("XML answers", () => {
  it("give lists as lists, with none, one or many in them", () => {
    const list = (inner: string) =>
      parse(`<r><aSet>${inner}</aSet></r>`)
        ?.items("aSet")
        .map((item) => item.textOf("id"));
    expect(list("")).toEqual([]);
    expect(list("<item><id>1</id></item>")).toEqual(["1"]);
    expect(list("<item><id>1</id></item>\n <item><id>2</id></item>")).toEqual(["1", "2"]);
    expect(parse("<r/>")?.items("aSet")).toEqual([]);
  });

  it("keep texts as they are: no number, no truth, no trimming is guessed", () => {
    const root = parse("<r><a>007</a><b>true</b><c> &lt;x&gt; &amp; &#252; </c><d><![CDATA[<e/>]]></d></r>");
    expect(["a", "b", "c", "d", "none"].map((name) => root?.textOf(name))).toEqual(["007", "true", " <x> & ü ", "<e/>", ""]);
  });

  it.each([
    ["an entity bomb", '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r>&b;</r>'],
    ["a file of this computer's", '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'],
    ["a document type that does no harm", "<!DOCTYPE r><r/>"],
    ["an entity that nobody declared", "<r>&x;</r>"],
    ["half an answer", "<r><a>1</a>"],
    ["nothing", ""],
    ["no XML", '{"a":1}'],
    ["more depth than any answer has", `${"<a>".repeat(100)}${"</a>".repeat(100)}`],
  ])("are refused with %s", (_, text) => {
    expect(parse(text)).toBeNull();
  });
});
