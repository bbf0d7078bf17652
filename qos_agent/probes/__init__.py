"""One module or package for each kind of measurement; `table` lists them all."""
