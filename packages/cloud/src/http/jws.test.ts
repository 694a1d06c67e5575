import { make as redact } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { rfc7515Pem } from "../testing/gcp/tokens.ts";
import { signJws } from "./jws.ts";

describe("a signed assertion", () => {
  it("is, byte for byte, example A.2 of RFC 7515", async () => {
    // The example's payload has line breaks of two characters each.
    const payload = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}';
    expect(await signJws({ alg: "RS256" }, Buffer.from(payload), redact(rfc7515Pem()))).toBe(
      [
        "eyJhbGciOiJSUzI1NiJ9",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQ" +
          "jbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHW" +
          "EsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
      ].join("."),
    );
  });

  it("is not made with what is no key", async () => {
    await expect(signJws({ alg: "RS256" }, Buffer.from("{}"), redact("nonsense"))).rejects.toThrow(TypeError);
  });
});
