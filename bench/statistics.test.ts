import { describe, expect, it } from "vitest";
import { highest, lowest, median, quantile, silenceAround } from "./statistics.ts";

describe("statistics of a bench", () => {
  it("takes the middle value, or the mean of the middle two, whatever the order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it("gives quantiles that were measured, not made up between two values", () => {
    const values = [10, 30, 20, 40];
    expect(quantile(values, 0.5)).toBe(20);
    expect(quantile(values, 0.51)).toBe(30);
    expect(quantile(values, 0.99)).toBe(40);
    expect([lowest(values), highest(values)]).toEqual([10, 40]);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it("leaves the measurements as they were", () => {
    const values = [3, 1, 2];
    median(values);
    quantile(values, 0.9);
    expect(values).toEqual([3, 1, 2]);
  });

  it("takes the silence that the kill began, not a longer one long before or after it", () => {
    const acknowledged = [0, 5_000, 5_010, 6_400, 6_410, 12_000];
    expect(silenceAround(acknowledged, 5_005, 5_505)).toEqual({ began: 5_010, ended: 6_400 });
  });

  it("knows no silence when nothing was acknowledged after the kill", () => {
    expect(silenceAround([1, 2, 3], 10, 20)).toBeNull();
  });
});
