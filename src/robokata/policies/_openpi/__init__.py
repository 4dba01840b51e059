"""openpi's websocket protocol: server, codec and limits."""
