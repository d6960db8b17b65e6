"""The wire format every stage shares: one key, then bytes by extension."""

Sample = dict[str, str | bytes]
"""`{"__key__": "a-b", "json": b"...", "0.jpg": b"..."}`: one group of tar members that share a stem."""
