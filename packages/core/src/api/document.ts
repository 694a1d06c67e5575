/** The OpenAPI document, made from the declaration. */
import * as OpenApi from "effect/http-api/OpenApi";
import { DocumentedApi } from "./api.ts";

/** `/openapi.json`: the same text on every member of one version. */
export const openApiDocument = (): string => `${JSON.stringify(OpenApi.fromApi(DocumentedApi), null, 2)}\n`;
