"""The register of expected stations: reading, comparing, applying, keeping history."""
