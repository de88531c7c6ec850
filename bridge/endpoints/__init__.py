"""Where octets enter and leave: the only asyncio, sockets and serial ports of the house."""
