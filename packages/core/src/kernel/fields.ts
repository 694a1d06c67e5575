/** Schemas of the fields that commands and events share, each with the words that its error message uses. */
import * as Schema from "effect/Schema";
import { address, clusterId, clusterName, nodeName, providers, settingKey, sizeMax, type Grammar } from "./grammar.ts";
import { jsonFault } from "./json.ts";

const word = (g: Grammar) => Schema.String.check(Schema.isPattern(g.pattern, { expected: g.expected }));
/** A whole number of this range, both ends included. */
export const between = (minimum: number, maximum: number) => {
  const expected = `a whole number from ${minimum} to ${maximum}`;
  return Schema.Number.annotate({ expected }).check(
    Schema.isInt({ expected }),
    Schema.isBetween({ minimum, maximum }, { expected }),
  );
};

export const ClusterName = word(clusterName);
export const NodeName = word(nodeName);
export const SettingKey = word(settingKey);
export const Address = word(address);
export const ClusterId = word(clusterId);
export const ProviderName = Schema.Literals(providers).annotate({ expected: `one of ${providers.join(", ")}` });
export const Size = between(1, sizeMax);
/** A Raft member number: minted once, never given again. */
export const MemberId = between(1, Number.MAX_SAFE_INTEGER);
export const Index = between(0, Number.MAX_SAFE_INTEGER);

/** Text of at most `charsMax` UTF-16 units. */
export const text = (charsMax: number) => {
  const expected = `text of at most ${charsMax} characters`;
  return Schema.String.annotate({ expected }).check(Schema.isMaxLength(charsMax, { expected }));
};

/** Lower-case hex of `min` to `max` digits. */
export const hex = (min: number, max: number) =>
  word({ pattern: new RegExp(`^[0-9a-f]{${min},${max}}$`), expected: `${min === max ? min : `${min} to ${max}`} hex digits` });

export const jsonBytesMax = 64 * 1024;

/** Any JSON value of at most so many bytes and levels. Not undefined, NaN, dates, byte arrays or cycles. */
export const jsonOf = (bytesMax: number, levelsMax: number) =>
  Schema.Unknown.check(
    Schema.makeFilter((value: unknown) => {
      const fault = jsonFault(value, bytesMax, levelsMax);
      return fault === null ? undefined : `Expected ${fault}`;
    }),
  );

/** Any JSON value of at most {@link jsonBytesMax} bytes and 64 levels. */
export const Json = jsonOf(jsonBytesMax, 64);

export const Version = between(0, Number.MAX_SAFE_INTEGER);
