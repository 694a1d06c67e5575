/** The addresses that never leave a host: an instance's metadata service (second version only), and a container's. */
import type { HttpRequest, HttpResponse } from "../../http/transport.ts";
import type { VendorFake } from "../http-fake.ts";
import type { FakeSts } from "./fake-sts.ts";

const imdsToken = "imds-token-AQAEAFakeFakeFake==";
const folder = "/latest/meta-data/iam/security-credentials/";

export class FakeMetadata implements VendorFake {
  readonly calls: string[] = [];
  /** The instance's role, null when it has none. */
  role: string | null = "aether-node";
  /** What a container must show. */
  containerToken = "container-token-0123456789";
  readonly #sts: FakeSts;

  constructor(sts: FakeSts) {
    this.#sts = sts;
  }

  readonly handle = ({ method, url, headers }: HttpRequest): HttpResponse => {
    this.calls.push(`${method} ${url.pathname}`);
    const say = (status: number, text: string): HttpResponse => ({ status, headers: {}, body: Buffer.from(text) });
    if (url.pathname === "/v2/credentials") {
      return headers["authorization"] === this.containerToken ? say(200, this.#credentials("task")) : say(401, "");
    }
    if (method === "PUT" && url.pathname === "/latest/api/token") {
      return headers["x-aws-ec2-metadata-token-ttl-seconds"] === "21600" ? say(200, imdsToken) : say(400, "");
    }
    if (headers["x-aws-ec2-metadata-token"] !== imdsToken) return say(401, "");
    if (this.role === null) return say(404, "<html>not found</html>");
    if (url.pathname === folder) return say(200, this.role);
    return url.pathname === `${folder}${this.role}` ? say(200, this.#credentials(this.role)) : say(404, "");
  };

  readonly refusal = (status: number, headers: Readonly<Record<string, string>>): HttpResponse => ({
    status,
    headers,
    body: Buffer.from(""),
  });

  #credentials(role: string): string {
    const session = this.#sts.issue(`arn:aws:sts::123456789012:assumed-role/${role}`);
    return JSON.stringify({
      Code: "Success",
      Type: "AWS-HMAC",
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: session.secretAccessKey,
      Token: session.token,
      Expiration: new Date(session.endsAt).toISOString(),
    });
  }
}
