/** An error code, for people. */
export interface Code {
  readonly code: string;
  /** Its name, short. */
  readonly name: string;
  readonly meaning: string;
  readonly todo: string;
  /** Which answers with the code are no failure. */
  readonly matchers?: string;
}

/** The codes that a relay answers with, but those that nobody meets. */
export const CODES: readonly Code[] = [
  {
    code: "300",
    name: "Try Alternate",
    meaning: "The relay drains or is full and names another one. Clients go there by themselves.",
    todo: "Nothing during a rollout. All the time: scale out, or undrain a relay (`culvert relays`, `culvert undrain`).",
  },
  {
    code: "400",
    name: "Bad Request",
    meaning: "The request cannot be understood, or its channel or token is not right.",
    todo: "Look at the client's library and version. One source only: most likely a scanner.",
  },
  {
    code: "401",
    name: "Unauthorized",
    meaning:
      "The credential is wrong, expired, revoked or of an unknown key. The challenge that each client meets is not counted here.",
    todo: "See *Not authenticated, by reason* below.",
    matchers: 'code="401",result!="challenge"',
  },
  {
    code: "403",
    name: "Forbidden",
    meaning: "The peer is in a denied range, or the credential is bound to another client address.",
    todo: "See *Peers denied*. A media server inside the cluster needs `relay.peers.allow`.",
  },
  {
    code: "437",
    name: "Allocation Mismatch",
    meaning: "The client's allocation is not here: it expired, or its relay was lost.",
    todo: "After the loss of a relay: none, clients allocate anew. All the time: refreshes do not arrive, or a load balancer changes client addresses.",
  },
  {
    code: "438",
    name: "Stale Nonce",
    meaning:
      "The nonce is older than `relay.auth.nonceLifetime`, or of another fleet secret. Clients repeat the request with the new one.",
    todo: "More than one for a client and hour: relays do not share `fleet.secrets`, or clients' addresses change between packets.",
  },
  {
    code: "441",
    name: "Wrong Credentials",
    meaning: "The allocation belongs to another user than the one of the request.",
    todo: "An application that mixes credentials of several users on one socket. Otherwise somebody tries to take a call over.",
  },
  {
    code: "442",
    name: "Unsupported Transport",
    meaning: "Another transport than UDP was asked for towards the peer (RFC 6062 is not there).",
    todo: "Tell the client to relay over UDP; the way to the relay may be TCP or TLS all the same.",
  },
  {
    code: "486",
    name: "Allocation Quota Reached",
    meaning: "The user or the tenant has as many allocations as it may.",
    todo: "`culvert allocations --user USER` shows them. Raise `relay.quotas.user`, or the credential's `maxAllocations`.",
  },
  {
    code: "500",
    name: "Server Error",
    meaning: "The fleet could not be asked in time, and `fleet.onStateLoss` refuses then.",
    todo: "See Redis: up, latency. Runbook CulvertRelayRequestsFailing.",
  },
  {
    code: "508",
    name: "Insufficient Capacity",
    meaning: "No relayed port, no descriptor or no room in the quota of the relay, and no other relay with room.",
    todo: "Scale out. Runbook CulvertRelayCapacityExhausted.",
  },
];
