"""A UDP socket that shows the IP header of what it receives, which Node.js does not.

Takes the IP address to bind to. Writes its port, then a line of JSON for each datagram; sends what comes as lines of
JSON on standard input, and ends with it."""

import json
import socket
import sys
import threading

ip = sys.argv[1]
v6 = ":" in ip
IPPROTO, CLASS, RECV_CLASS, HOPS, RECV_HOPS = (
    (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, socket.IPV6_RECVTCLASS, socket.IPV6_UNICAST_HOPS, socket.IPV6_RECVHOPLIMIT)
    if v6
    # IP_RECVTTL has no name in this module.
    else (socket.IPPROTO_IP, socket.IP_TOS, socket.IP_RECVTOS, socket.IP_TTL, 12)
)
# The control message of the hop limit has a type of its own over IPv6.
GOT_HOPS = socket.IPV6_HOPLIMIT if v6 else HOPS


def show(**line):
    print(json.dumps(line), flush=True)


def receive():
    while True:
        data, control, _, sender = endpoint.recvmsg(65536, 256)
        values = {kind: int.from_bytes(value, sys.byteorder) for _, kind, value in control}
        show(data=data.hex(), sender=sender[:2], tos=values[CLASS], ttl=values[GOT_HOPS])


endpoint = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
endpoint.bind((ip, 0))
endpoint.setsockopt(IPPROTO, RECV_CLASS, 1)
endpoint.setsockopt(IPPROTO, RECV_HOPS, 1)
show(port=endpoint.getsockname()[1])
threading.Thread(target=receive, daemon=True).start()
for line in sys.stdin:
    order = json.loads(line)
    endpoint.setsockopt(IPPROTO, CLASS, order["tos"])
    endpoint.setsockopt(IPPROTO, HOPS, order["ttl"])
    endpoint.sendto(bytes.fromhex(order["data"]), tuple(order["to"]))
