"""One package for each kind of measurement. `registry` lists the probes."""
