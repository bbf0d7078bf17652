"""Which stations there are: read and checked, compared, applied, kept with history."""
