import { Attr, attribute } from "@culvert/stun";
import type { Core } from "./core.ts";
import { succeed } from "./reply.ts";
import type { Request } from "./request.ts";

/** A Binding request (RFC 8489 section 12), of an RFC 3489 client too. Nobody has to authenticate for it. */
export function handleBinding(core: Core, request: Request): void {
  const type = request.message.legacy ? Attr.MappedAddress : Attr.XorMappedAddress;
  succeed(core, request, [attribute(type, request.client.remote)]);
}
