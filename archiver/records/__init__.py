"""What a run leaves for people to read: sidecars, manifests and tag files."""
