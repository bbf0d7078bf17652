"""Evidence bundles: written from sources, and verified from their files alone."""
