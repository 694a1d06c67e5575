/** Two self-signed certificates (P-256, for a hundred years) and their keys, which are used nowhere else. */
import { make as redact } from "effect/Redacted";

const edgeChain = `-----BEGIN CERTIFICATE-----
MIIBsDCCAVagAwIBAgIUGk60PO+gjcocvZRkhVRCoHsskWIwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMZWRnZS5leGFtcGxlMCAXDTI2MTEyMjAyNDg0MloYDzIxMjYx
MDI5MDI0ODQyWjAXMRUwEwYDVQQDDAxlZGdlLmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAR614eiDNER14lebZRCuu9gmEYuklZSa7CP5morS33ook8b
IYWfS1NJnQ1SyWIrrb9EB0vnSqGZoQkMrmEjZ/p3o34wfDAdBgNVHQ4EFgQUveB/
8qZcTOFfzIF8jaI/QqYqlUYwHwYDVR0jBBgwFoAUveB/8qZcTOFfzIF8jaI/QqYq
lUYwDwYDVR0TAQH/BAUwAwEB/zApBgNVHREEIjAgggxlZGdlLmV4YW1wbGWCEHd3
dy5lZGdlLmV4YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIge5GLwl4eXxj3hNSv8dC+
zY8lnk6JJdDue5JZjvtecSsCIQD+8IprI5r88+0Xmsb0X7xephRdedq58dV9zKUj
MyGbeA==
-----END CERTIFICATE-----
`;
const edgeKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdU539CsHV/1R51dD
22IAfdub1l7yf/w1qINUAoDTghyhRANCAAR614eiDNER14lebZRCuu9gmEYuklZS
a7CP5morS33ook8bIYWfS1NJnQ1SyWIrrb9EB0vnSqGZoQkMrmEjZ/p3
-----END PRIVATE KEY-----
`;
const otherChain = `-----BEGIN CERTIFICATE-----
MIIBtTCCAVugAwIBAgIUINkWqBP/uwnx9uAGMwtkdFjfOSowCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTAgFw0yNjExMjIwMjQ4NDJaGA8yMTI2
MTAyOTAyNDg0MlowGDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABOlKM7XlaThnuaVitpMHNu2uy70CQI804rI1y0TYTpV5
ZPCorOMVZ4Uj2W1bKwfGyLsv3+b7D+f2G749zri3KEKjgYAwfjAdBgNVHQ4EFgQU
mBGp8BAeDcsFScEykNnXw/VnvhEwHwYDVR0jBBgwFoAUmBGp8BAeDcsFScEykNnX
w/VnvhEwDwYDVR0TAQH/BAUwAwEB/zArBgNVHREEJDAigg1vdGhlci5leGFtcGxl
ghF3d3cub3RoZXIuZXhhbXBsZTAKBggqhkjOPQQDAgNIADBFAiBHvmYeFekkVsnV
5CskllStRNAE/q72QASK6R4ShQFj5AIhAOgBXqwGQxbMMoNUaybbuIuMfp+MHEyT
7JIkit33eLl+
-----END CERTIFICATE-----
`;
const otherKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgofMH3LKrKtlPNRHH
jLUK2y7FGHkLEdPl59setiaJyKahRANCAATpSjO15Wk4Z7mlYraTBzbtrsu9AkCP
NOKyNctE2E6VeWTwqKzjFWeFI9ltWysHxsi7L9/m+w/n9hu+Pc64tyhC
-----END PRIVATE KEY-----
`;

/** For edge.example and www.edge.example. */
export const edgePem = { chain: edgeChain, key: redact(edgeKey) };
/** For other.example and www.other.example. */
export const otherPem = { chain: otherChain, key: redact(otherKey) };
/** Words of the first key, of which none may stand in an error. */
export const edgeKeyWords: readonly string[] = edgeKey.split("\n").slice(1, -2);
