import { describe, expect, it } from "vitest";
import { roles } from "@aether/core/kernel/event";
import { doors, judge } from "./access.ts";

const example = (path: string): string => path.replace(/\{[^}]+\}/g, "n1");

describe("role × route", () => {
  it("lets every role through exactly the doors that name it", () => {
    for (const door of doors) {
      for (const role of roles) {
        const verdict = judge(role, door.method, example(door.path));
        expect(`${role} ${door.method} ${door.path} ${verdict.v}`).toBe(
          `${role} ${door.method} ${door.path} ${door.roles.includes(role) ? "open" : "forbidden"}`,
        );
      }
    }
  });

  it("gives a viewer nothing but reads, an agent nothing but health, and peers' doors to members alone", () => {
    for (const door of doors) {
      const may = `${door.method} ${door.path}: ${door.roles.join(" ")}`;
      expect(may).not.toMatch(/^(PUT|POST|DELETE) .*: .*viewer/);
      expect(may).not.toMatch(/^GET \/v1\/(?!health\/).*: .*agent/);
      expect(may).not.toMatch(/ \/v1\/peer\/.*: .*(operator|viewer|agent)/);
    }
  });

  it("has no door for a path or a method that nobody named", () => {
    expect(judge("operator", "GET", "/v1/secrets")).toEqual({ v: "noSuchPath" });
    expect(judge("operator", "GET", "/v1/nodes/n1/drain/x")).toEqual({ v: "noSuchPath" });
    expect(judge("operator", "DELETE", "/v1/nodes/n1")).toEqual({ v: "noSuchMethod", allowed: ["GET"] });
    expect(judge("operator", "GET", "/v1/peer/append").v).toBe("forbidden");
    expect(judge("member", "PUT", "/v1/settings/a/b").v).toBe("forbidden");
    expect(judge("operator", "PUT", "/v1/settings/a/b").v).toBe("open");
  });
});
