"""HOW BYTES LOOK: frames and their codec, payloads and their layout, exceptions."""
